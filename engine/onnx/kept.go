package onnx

// #include "shim.h"
import "C"

import (
	"context"
	"sync"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A kept value is an output that stayed. It is freed when it is kept no more
// and no run takes it.
type kept struct {
	value *C.OrtValue
	users int
	gone  bool
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
	out := make(map[string]*kept, len(k.Take))
	for input, name := range k.Take {
		out[input] = s.values[name]
		out[input].users++
	}
	return out, nil
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
func (s *shelf) put(name string, value *C.OrtValue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(name)
	if s.values == nil {
		s.values = map[string]*kept{}
	}
	s.values[name] = &kept{value: value}
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
