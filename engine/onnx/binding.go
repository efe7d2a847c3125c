package onnx

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A memory is where values of a device may lie. The zero value is that of one
// without memory of its own.
type memory struct {
	own  *C.OrtAllocator // on the device
	host *C.OrtAllocator // on the host, where the device reaches it by itself
}

// memoryOf finds the memory of a device.
func memoryOf(o offer) (memory, error) {
	var m memory
	if o.device == nil {
		return m, nil
	}
	if err := check(C.shim_memory(o.device, &m.own, &m.host)); err != nil {
		return memory{}, engine.Errorf(engine.ErrInternal, "ask for a device's memory: %w", err)
	}
	return m, nil
}

// A binding is a run that is repeated on values that all stay. Inputs wait in
// memory of the host that the device reaches by itself, outputs come back to
// such memory, and the device has both at places that never change, so that
// it can record the run as a graph and repeat that.
type binding struct {
	io             *C.OrtIoBinding
	graph          string        // what the recorded graph is called, "" if none is made
	from, to       []*kept       // on the shelf: the inputs and the outputs
	given, in      []*C.OrtValue // of the inputs: the host's, the device's
	out, delivered []*C.OrtValue // of the outputs: the device's, the host's
}

func (b *binding) release() {
	if b.io != nil {
		C.shim_free_binding(b.io)
	}
	for _, v := range slices.Concat(b.in, b.out) {
		C.shim_release(v)
	}
}

// bindable reports whether all of a run's values stay, on a device with memory
// of its own. What is taken and kept under one name changes with each run.
func (s *session) bindable(k engine.Kept) bool {
	if s.memory.own == nil || len(s.composites) != 0 || s.unbound.Load() || len(k.Hold) != 0 ||
		len(k.Take) != len(s.info.Inputs) || len(k.Keep) != len(s.info.Outputs) {
		return false
	}
	taken := slices.Collect(maps.Values(k.Take))
	return !slices.ContainsFunc(slices.Collect(maps.Values(k.Keep)), func(name string) bool { return slices.Contains(taken, name) })
}

// runBound does the run by a binding, and reports whether it could. It can't
// before the run was done once in the usual way: only then are the shapes of
// the outputs known.
func (s *session) runBound(ctx context.Context, k engine.Kept) (done bool, err error) {
	s.alone.Lock()
	defer s.alone.Unlock()
	b, give, err := s.bindingOf(k)
	if err != nil {
		return false, err
	}
	defer give()
	if b == nil {
		return false, nil
	}
	if b.io == nil {
		err = s.bind(ctx, k, b)
	}
	if err == nil {
		s.thread.do(func() { err = s.callBound(ctx, b) })
	}
	if err != nil && ctx.Err() == nil { // the usual way may work, or says what is wrong
		s.unbound.Store(true)
		return false, nil
	}
	return err == nil, err
}

// ranUsually notes the values of a run in the usual way, which can be bound
// when it comes again.
func (s *session) ranUsually(k engine.Kept) {
	s.alone.Lock()
	defer s.alone.Unlock()
	b, give, err := s.bindingOf(k)
	if err != nil { // what it took was forgotten since
		return
	}
	defer give()
	if b != nil {
		return
	}
	from, to := s.shelf.find(k.Take), s.shelf.find(k.Keep)
	defer s.shelf.give(from)
	defer s.shelf.give(to)
	if s.bindings == nil {
		s.bindings, s.thread = map[string]*binding{}, newThread()
	}
	s.bindings[keyOf(k)] = &binding{from: inOrder(s.info.Inputs, from), to: inOrder(s.info.Outputs, to)}
}

// bindingOf returns the binding of a run, or nil if there is none of these
// values. They stay until give is called.
func (s *session) bindingOf(k engine.Kept) (b *binding, give func(), err error) {
	from, err := s.shelf.take(k)
	if err != nil {
		return nil, nil, err
	}
	to := s.shelf.find(k.Keep)
	give = func() {
		s.shelf.give(from)
		s.shelf.give(to)
	}
	key := keyOf(k)
	b = s.bindings[key]
	if b == nil || slices.Equal(b.from, inOrder(s.info.Inputs, from)) && slices.Equal(b.to, inOrder(s.info.Outputs, to)) {
		return b, give, nil
	}
	delete(s.bindings, key)
	b.release()
	return nil, give, nil
}

// prove does the run by a binding, by which it is recorded, and once more as
// it was recorded, and compares what comes out with what the usual way gave.
func (s *session) prove(ctx context.Context, b *binding, want engine.Tensors) error {
	for range 2 {
		var err error
		if s.thread.do(func() { err = s.callBound(ctx, b) }); err != nil {
			return err
		}
	}
	got, err := s.results(&values{out: b.delivered}, engine.Kept{})
	if err != nil {
		return err
	}
	return engine.Agree(got, want, s.precisions)
}

// valuesOf are the values themselves.
func valuesOf(of []*kept) []*C.OrtValue {
	out := make([]*C.OrtValue, len(of))
	for i, v := range of {
		out[i] = v.value
	}
	return out
}

// keyOf tells runs that take and keep different values apart.
func keyOf(k engine.Kept) string {
	var key strings.Builder
	for _, m := range []map[string]string{k.Take, k.Keep} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&key, "%q=%q ", name, m[name])
		}
	}
	return key.String()
}

// inOrder lists kept values in the order of the model's.
func inOrder(infos []engine.ValueInfo, values map[string]*kept) []*kept {
	out := make([]*kept, len(infos))
	for i, info := range infos {
		out[i] = values[info.Name]
	}
	return out
}

// bind makes the binding that b is to be. The outputs that are kept already say
// how large they are, and are replaced.
func (s *session) bind(ctx context.Context, k engine.Kept, b *binding) error {
	want, err := s.results(&values{out: valuesOf(b.to)}, engine.Kept{})
	if err != nil {
		return err
	}
	if s.graphs {
		s.recorded++
		b.graph = fmt.Sprint(s.recorded)
	}
	b.given = valuesOf(b.from)
	if b.in, err = twins(b.given, s.memory.own); err != nil {
		return err
	}
	if b.out, err = twins(valuesOf(b.to), s.memory.own); err != nil {
		return err
	}
	if b.delivered, err = twins(valuesOf(b.to), s.memory.host); err != nil {
		return err
	}
	for i, v := range b.delivered {
		b.to[i] = s.shelf.put(k.Keep[s.info.Outputs[i].Name], v)
	}
	err = check(C.shim_bind(s.c, first(s.inNames), first(b.in), C.size_t(len(b.in)),
		first(s.outNames), first(b.out), C.size_t(len(b.out)), &b.io))
	if err != nil {
		return err
	}
	return s.prove(ctx, b, want)
}

// twins makes tensors of the same types and shapes elsewhere.
func twins(of []*C.OrtValue, where *C.OrtAllocator) ([]*C.OrtValue, error) {
	var out []*C.OrtValue
	for _, v := range of {
		twin, err := like(v, where)
		if err != nil {
			for _, made := range out {
				C.shim_release(made)
			}
			return nil, err
		}
		out = append(out, twin)
	}
	return out, nil
}

// like makes a tensor of the same type and shape.
func like(v *C.OrtValue, where *C.OrtAllocator) (*C.OrtValue, error) {
	var (
		dtype C.int
		shape [maxRank]int64
		rank  C.size_t
		data  unsafe.Pointer
		out   *C.OrtValue
	)
	if err := check(C.shim_tensor(v, &dtype, (*C.int64_t)(&shape[0]), maxRank, &rank, &data)); err != nil {
		return nil, err
	}
	if dtypeOf(dtype) == engine.String {
		return nil, engine.Errorf(engine.ErrUnsupported, "strings stay on the host")
	}
	return out, check(C.shim_new(where, (*C.int64_t)(&shape[0]), rank, dtype, &out, &data))
}

// callBound is the run itself, with a way to stop it.
func (s *session) callBound(ctx context.Context, b *binding) error {
	return s.stoppable(ctx, b.graph, func(options *C.OrtRunOptions) *C.char {
		return C.shim_run_bound(s.c, options, b.io,
			first(b.given), first(b.in), C.size_t(len(b.in)),
			first(b.delivered), first(b.out), C.size_t(len(b.out)))
	})
}

// unbind frees all bindings; no run is in work.
func (s *session) unbind() {
	if s.thread != nil {
		s.thread.close()
	}
	for _, b := range s.bindings {
		b.release()
	}
	s.bindings = nil
}

// A thread does work on one thread of the system: a recorded graph belongs to
// the one that it was recorded on.
type thread struct{ work chan func() }

func newThread() *thread {
	t := &thread{make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range t.work {
			f()
		}
	}()
	return t
}

func (t *thread) do(f func()) {
	done := make(chan struct{})
	t.work <- func() { f(); close(done) }
	<-done
}

func (t *thread) close() { close(t.work) }
