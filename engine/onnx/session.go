package onnx

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A session is a model loaded in this process. It is safe for concurrent use.
type session struct {
	mu       sync.RWMutex // held for reading by runs, for writing by Close
	bound    *ort.DynamicAdvancedSession
	c        *C.OrtSession // bound's; nil once closed
	inNames  []*C.char
	outNames []*C.char
	info     engine.SessionInfo

	outputs    []engine.ValueInfo // as the model has them; info's have the keys of maps besides
	composites map[string]composite

	// untrue is set once an output had another shape than the model
	// declares; outputs are then no longer made ready before a run.
	untrue atomic.Bool

	shelf shelf

	memory     memory      // of the device
	graphs     bool        // the device records runs that are repeated
	relaid     bool        // convolutions have their channels last
	precisions []string    // that the device computes in
	unbound    atomic.Bool // set once a binding failed: none is tried again

	alone    sync.RWMutex // held for writing by bound runs, for reading by others
	bindings map[string]*binding
	thread   *thread // what bound runs are done on; nil before the first
	recorded int     // how many graphs
}

var (
	_ engine.Describer = (*session)(nil)
	_ engine.Keeper    = (*session)(nil)
)

// Describe says what the model takes and gives. What process it is in, and
// what that may do, is not for it to say.
func (s *session) Describe(context.Context) (engine.SessionInfo, error) { return s.info, nil }

// Close frees the model, once the runs in work are done.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		return nil
	}
	s.c = nil
	s.unbind()
	s.shelf.clear()
	freeNames(s.inNames)
	freeNames(s.outNames)
	return s.bound.Destroy()
}

// Run computes the outputs. When ctx is done it has ONNX Runtime stop after
// the node in work, and returns then.
func (s *session) Run(ctx context.Context, in engine.Tensors) (engine.Tensors, error) {
	return s.RunKept(ctx, in, engine.Kept{})
}

// RunKept is Run with values that the session keeps.
func (s *session) RunKept(ctx context.Context, in engine.Tensors, k engine.Kept) (engine.Tensors, error) {
	if k.Greedy != nil {
		return engine.RunGreedy(ctx, s.RunKept, in, k)
	}
	if err := engine.CheckKept(s.info.Inputs, s.outputs, in, k); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.c == nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the session is closed")
	}
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	bindable := s.bindable(k)
	if bindable {
		if done, err := s.runBound(ctx, k); done || err != nil {
			return nil, failed(ctx, err)
		}
	}
	out, err := s.runUsual(ctx, in, k)
	if err == nil && bindable {
		s.ranUsually(k)
	}
	return out, failed(ctx, err)
}

// runUsual is a run in the usual way.
func (s *session) runUsual(ctx context.Context, in engine.Tensors, k engine.Kept) (engine.Tensors, error) {
	s.alone.RLock()
	defer s.alone.RUnlock()
	out, err := s.run(ctx, in, k, !s.untrue.Load())
	if err != nil && strings.Contains(err.Error(), "shape verification failed") && s.untrue.CompareAndSwap(false, true) {
		out, err = s.run(ctx, in, k, false)
	}
	return out, err
}

// failed says in the engine's words why a run failed, if it did.
func failed(ctx context.Context, err error) error {
	_, refused := errors.AsType[*engine.Error](err)
	switch {
	case err == nil || refused:
		return err
	case ctx.Err() != nil:
		return contextError(ctx)
	}
	return runError(err)
}

// run computes the outputs, into memory made ready before where the model
// declares all of its shape.
func (s *session) run(ctx context.Context, in engine.Tensors, k engine.Kept, ready bool) (engine.Tensors, error) {
	taken, err := s.shelf.take(k)
	if err != nil {
		return nil, err
	}
	defer s.shelf.give(taken)
	v := values{host: s.memory.host}
	defer v.release()
	for _, info := range s.info.Inputs {
		_, stays := k.Hold[info.Name]
		if t := taken[info.Name]; t != nil {
			v.in = append(v.in, t.value)
		} else if err := v.addInput(in[info.Name], stays); err != nil {
			return nil, err
		}
	}
	for _, info := range s.outputs {
		_, stays := k.Keep[info.Name]
		_, made := s.composites[info.Name]
		if err := v.addOutput(info, ready && !stays && !made); err != nil {
			return nil, err
		}
	}
	if err := s.call(ctx, &v); err != nil {
		return nil, err
	}
	return s.results(&v, k)
}

// results keeps what stays, and returns the other outputs: those made ready as
// they are, copies of those that are not.
func (s *session) results(v *values, k engine.Kept) (engine.Tensors, error) {
	for i, info := range s.info.Inputs {
		if name, stays := k.Hold[info.Name]; stays {
			s.shelf.put(name, v.keep(v.in[i]))
		}
	}
	out := make(engine.Tensors, len(s.info.Outputs))
	for i, info := range s.outputs {
		if name, stays := k.Keep[info.Name]; stays {
			s.shelf.put(name, v.out[i])
			v.out[i] = nil
			continue
		}
		if c, ok := s.composites[info.Name]; ok {
			if err := c.copyOut(v.out[i], info.Name, out); err != nil {
				return nil, err
			}
			continue
		}
		var t *engine.Tensor
		if v.ready != nil {
			t = v.ready[i]
		}
		if t == nil {
			var err error
			if t, err = copyOut(v.out[i]); err != nil {
				return nil, err
			}
		}
		out[info.Name] = t
	}
	return out, nil
}

// notRecorded has a run do without a graph.
const notRecorded = "-1"

// call is the run itself.
func (s *session) call(ctx context.Context, v *values) error {
	return s.stoppable(ctx, notRecorded, func(options *C.OrtRunOptions) *C.char {
		return C.shim_run(s.c, options,
			first(s.inNames), first(v.in), C.size_t(len(v.in)),
			first(s.outNames), first(v.out), C.size_t(len(v.out)))
	})
}

// stoppable runs with a way to stop, which ctx has. The graph is the one that
// the device records the run as.
func (s *session) stoppable(ctx context.Context, graph string, run func(*C.OrtRunOptions) *C.char) error {
	var options *C.OrtRunOptions
	tag := C.CString(engine.RequestID(ctx))
	defer C.free(unsafe.Pointer(tag))
	if err := check(C.shim_new_options(tag, &options)); err != nil {
		return err
	}
	defer func() { C.shim_free_options(options) }()
	if s.graphs {
		id := C.CString(graph)
		defer C.free(unsafe.Pointer(id))
		if err := check(C.shim_graph(options, id)); err != nil {
			return err
		}
	}
	terminated := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		C.shim_terminate(options)
		close(terminated)
	})
	err := check(run(options))
	if !stop() {
		<-terminated
	}
	return err
}

// first returns the address of a slice's first element, nil if there is none.
func first[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}
