package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// maxWaiting is how many calls wait for the processor at most. One more is
// told to come again: its answer would be long in coming.
const maxWaiting = 1024

// admit counts a call among those that wait or compute, until done.
func (e *Engine) admit() (done func(), err error) {
	if n := e.load.admitted.Add(1); n > maxWaiting {
		e.load.admitted.Add(-1)
		err := Errorf(ErrOverloaded, "%d calls wait for the processor", maxWaiting)
		err.Retryable = true
		return nil, err.WithHint("call again in a minute, or give several inputs to one call")
	}
	return func() { e.load.admitted.Add(-1) }, nil
}

// A turn is what one call waits with for the processor's cores, run by run: it
// holds none while it reads its input or makes its answer.
type turn struct {
	e          *Engine
	background bool
	waited     atomic.Int64 // nanoseconds
}

// take waits for cores, or until skip is closed: then in is false.
func (t *turn) take(ctx context.Context, cores int64, skip <-chan struct{}) (in bool, err error) {
	began := time.Now()
	t.e.load.queued.Add(1)
	in, err = t.e.compute.enter(ctx, cores, t.background, skip)
	t.e.load.queued.Add(-1)
	t.waited.Add(int64(time.Since(began)))
	if in {
		t.e.load.running.Add(1)
	}
	return in, err
}

func (t *turn) give(cores int64) {
	t.e.load.running.Add(-1)
	t.e.compute.leave(cores)
}

// A turnSession is a session whose runs wait for their turn.
type turnSession struct {
	*cachedSession
	turn  *turn
	cores int64
	joins bool // its runs may be joined with others'
}

var (
	_ Keeper    = turnSession{}
	_ Describer = turnSession{}
	_ Joiner    = turnSession{}
)

// turned has the runs of a session wait for turns, where the work does.
func (o *opened) turned(s *cachedSession, g Graph) Session {
	if o.turn == nil {
		return s.s
	}
	cores := int64(1)
	if o.c.Kind == hardware.CPU {
		cores = int64(min(o.threads, o.e.concurrency()))
	}
	return turnSession{s, o.turn, cores, g.joins()}
}

// Run waits, and runs.
func (s turnSession) Run(ctx context.Context, in Tensors) (out Tensors, err error) {
	err = s.inTurn(ctx, func() error { out, err = s.s.Run(ctx, in); return err })
	return out, err
}

// RunKept waits, and runs.
func (s turnSession) RunKept(ctx context.Context, in Tensors, k Kept) (out Tensors, err error) {
	keeper, ok := s.s.(Keeper)
	if !ok {
		return nil, Errorf(ErrUnsupported, "the device keeps nothing between runs")
	}
	err = s.inTurn(ctx, func() error { out, err = keeper.RunKept(ctx, in, k); return err })
	return out, err
}

func (s turnSession) inTurn(ctx context.Context, run func() error) error {
	if _, err := s.turn.take(ctx, s.cores, nil); err != nil {
		return err
	}
	defer s.turn.give(s.cores)
	return run()
}

// Forget passes it on.
func (s turnSession) Forget(ctx context.Context, names ...string) error {
	if keeper, ok := s.s.(Keeper); ok {
		return keeper.Forget(ctx, names...)
	}
	return nil
}

// Describe passes the question on.
func (s turnSession) Describe(ctx context.Context) (SessionInfo, error) {
	return s.describe(ctx), nil
}

// Close does nothing: the session is the cache's.
func (turnSession) Close() error { return nil }
