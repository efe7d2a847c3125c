package onnx

// #include "shim.h"
import "C"

import (
	"context"
	"sync"
	"unsafe"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A kept value is an output that stayed. It is freed when it is kept no more
// and no run takes it.
type kept struct {
	value *C.OrtValue
	users int
	gone  bool

	// Of a past that grows in place: where it lies, for how many tokens there is
	// room, and how many are there.
	data         unsafe.Pointer
	room, filled int64
}

// A shelf is what a session keeps.
type shelf struct {
	mu     sync.Mutex // guards what follows, and the fields of values
	values map[string]*kept
}

// take finds the values that a run takes, by input. They are not freed before
// they are given back.
func (s *shelf) take(k engine.Kept) (map[string]*kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := k.CheckRoom(len(s.values)); err != nil {
		return nil, err
	}
	for _, name := range k.Take {
		if s.values[name] == nil {
			return nil, engine.NotKept(name)
		}
	}
	return s.use(k.Take), nil
}

// find is take for values of which some may not be there.
func (s *shelf) find(names map[string]string) map[string]*kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.use(names)
}

// use has the values under these names stay until they are given back; s.mu is
// held.
func (s *shelf) use(names map[string]string) map[string]*kept {
	out := make(map[string]*kept, len(names))
	for key, name := range names {
		if v := s.values[name]; v != nil {
			out[key] = v
			v.users++
		}
	}
	return out
}

// give gives back what take returned.
func (s *shelf) give(taken map[string]*kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range taken {
		v.users--
		v.release()
	}
}

// release frees a value that nobody needs; the shelf's mu is held.
func (v *kept) release() {
	if v.gone && v.users == 0 {
		C.shim_release(v.value)
		v.value = nil
	}
}

// put keeps a value, in place of what was under the name.
func (s *shelf) put(name string, value *C.OrtValue) *kept {
	v := &kept{value: value}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.place(name, v)
	return v
}

// place is put; s.mu is held.
func (s *shelf) place(name string, v *kept) {
	s.drop(name)
	if s.values == nil {
		s.values = map[string]*kept{}
	}
	s.values[name] = v
}

// putGrown keeps the pasts of a run, by output, that are so long now.
func (s *shelf) putGrown(pasts map[string]grown, names map[string]string, filled int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for output, p := range pasts {
		if p.filled = filled; p.fresh {
			s.place(names[output], p.kept)
		}
	}
}

// alone reports whether nobody else takes a value that a run took.
func (s *shelf) alone(v *kept) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.users == 1 && !v.gone
}

// drop forgets a value; s.mu is held.
func (s *shelf) drop(name string) {
	if v := s.values[name]; v != nil {
		v.gone = true
		v.release()
		delete(s.values, name)
	}
}

func (s *shelf) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.values {
		s.drop(name)
	}
}

// Forget frees what is kept under the names.
func (s *session) Forget(_ context.Context, names ...string) error {
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	for _, name := range names {
		s.shelf.drop(name)
	}
	return nil
}
