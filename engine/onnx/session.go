package onnx

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
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
	pasts map[string]string // by input, the output, of those that grow in place

	doubles bool // its arena does

	device     *C.OrtEpDevice // nil for one that is added by name
	memory     memory         // of the device
	graphs     bool           // the device records runs that are repeated
	relaid     bool           // convolutions have their channels last
	precisions []string       // that the device computes in
	unbound    atomic.Bool    // set once a binding failed: none is tried again

	alone    sync.RWMutex // held for writing by bound runs, for reading by others
	bindings map[string]*binding
	thread   *thread // what bound runs are done on; nil before the first
	recorded int     // how many graphs
}

var (
	_ engine.Describer = (*session)(nil)
	_ engine.Keeper    = (*session)(nil)
)

// Describe says what the model takes and gives, and what memory of its device
// the session holds, where that says. What process it is in, and what that may
// do and takes, is not for it to say.
func (s *session) Describe(context.Context) (engine.SessionInfo, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	info := s.info
	if s.c == nil || s.device == nil {
		return info, nil
	}
	var held C.int64_t
	if check(C.shim_held(s.c, s.device, &held)) == nil { // a device need not say
		info.HeldBytes = int64(held)
	}
	return info, nil
}

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
	// A goroutine that comes back from C on another thread wakes that where
	// ONNX Runtime's threads compute: a tenth of a step of a language model.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if k.Greedy != nil {
		return s.greedy(ctx, in, k)
	}
	return s.runKept(ctx, in, k, nil)
}

// greedy makes several steps. The logits of each are read where they lie: copies
// would be nearly all that the steps leave to Go's collector.
func (s *session) greedy(ctx context.Context, in engine.Tensors, k engine.Kept) (engine.Tensors, error) {
	var lent *C.OrtValue
	defer func() { C.shim_release(lent) }()
	return engine.RunGreedy(ctx, func(ctx context.Context, in engine.Tensors, k engine.Kept) (engine.Tensors, error) {
		C.shim_release(lent)
		lent = nil
		return s.runKept(ctx, in, k, &lent)
	}, in, k)
}

// runKept is one run. The logits are lent if lent is not nil: the caller releases
// it when they are read.
func (s *session) runKept(ctx context.Context, in engine.Tensors, k engine.Kept, lent **C.OrtValue) (engine.Tensors, error) {
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
	out, err := s.runUsual(ctx, in, k, lent)
	if err == nil && bindable {
		s.ranUsually(k)
	}
	return out, failed(ctx, err)
}

// runUsual is a run in the usual way.
func (s *session) runUsual(ctx context.Context, in engine.Tensors, k engine.Kept, lent **C.OrtValue) (engine.Tensors, error) {
	s.alone.RLock()
	defer s.alone.RUnlock()
	out, err := s.run(ctx, in, k, !s.untrue.Load(), lent)
	if err != nil && strings.Contains(err.Error(), "shape verification failed") && s.untrue.CompareAndSwap(false, true) {
		out, err = s.run(ctx, in, k, false, lent)
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
func (s *session) run(ctx context.Context, in engine.Tensors, k engine.Kept, ready bool, lent **C.OrtValue) (engine.Tensors, error) {
	taken, err := s.shelf.take(k)
	if err != nil {
		return nil, err
	}
	defer s.shelf.give(taken)
	pasts, total, err := s.grow(in, k, taken)
	if err != nil {
		return nil, err
	}
	done := false
	defer func() {
		if !done {
			release(pasts)
		}
	}()
	v := values{host: s.memory.host, lent: lent}
	defer v.release()
	if err := s.fill(&v, in, k, taken, pasts, ready); err != nil {
		return nil, err
	}
	if err := s.callGrowing(ctx, &v, k, pasts, total); err != nil {
		return nil, err
	}
	done = true
	return s.results(&v, k)
}

// fill makes the inputs and outputs of a run.
func (s *session) fill(v *values, in engine.Tensors, k engine.Kept, taken map[string]*kept, pasts map[string]grown, ready bool) error {
	for _, info := range s.info.Inputs {
		_, stays := k.Hold[info.Name]
		if p, ok := pasts[s.pasts[info.Name]]; ok {
			v.in = append(v.in, p.value)
		} else if t := taken[info.Name]; t != nil {
			v.in = append(v.in, t.value)
		} else if err := v.addInput(in[info.Name], stays); err != nil {
			return err
		}
	}
	for _, info := range s.outputs {
		_, stays := k.Keep[info.Name]
		_, made := s.composites[info.Name]
		if err := v.addOutput(info, ready && !stays && !made); err != nil {
			return err
		}
	}
	return nil
}

// results keeps what stays, and returns the other outputs: those made ready as
// they are, logits that may be lent where they lie, copies of the others.
func (s *session) results(v *values, k engine.Kept) (engine.Tensors, error) {
	for i, info := range s.info.Inputs {
		if name, stays := k.Hold[info.Name]; stays {
			s.shelf.put(name, v.keep(v.in[i]))
		}
	}
	out := make(engine.Tensors, len(s.info.Outputs))
	for i, info := range s.outputs {
		if name, stays := k.Keep[info.Name]; stays {
			if v.out[i] != nil { // which a past that grew where it lies is
				s.shelf.put(name, v.out[i])
				v.out[i] = nil
			}
			continue
		}
		if c, ok := s.composites[info.Name]; ok {
			if err := c.copyOut(v.out[i], info.Name, out); err != nil {
				return nil, err
			}
			continue
		}
		var err error
		if out[info.Name], err = v.result(i, info.Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// notRecorded has a run do without a graph.
const notRecorded = "-1"

// call is the run itself. One that memory did not suffice for is done again, and
// leaves an arena that is small: it had doubled until nothing else fits.
func (s *session) call(ctx context.Context, v *values) error {
	err := s.attempt(ctx, v, false)
	if err != nil && s.doubles && isMemory(err.Error()) {
		err = s.attempt(ctx, v, true)
	}
	return err
}

func (s *session) attempt(ctx context.Context, v *values, shrink bool) error {
	return s.stoppable(ctx, notRecorded, func(options *C.OrtRunOptions) *C.char {
		if shrink {
			if m := C.shim_shrink(options); m != nil {
				return m
			}
		}
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
