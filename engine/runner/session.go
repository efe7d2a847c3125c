package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A session is a model in a child, and in the next one when that dies.
type session struct {
	p     *Provider
	model *engine.Model
	file  string
	plan  engine.Plan
	turn  chan struct{} // holds a token while nobody starts a child for it

	mu       sync.Mutex // guards what follows
	live     *loaded    // nil once its child was seen dead
	failures int        // children lost since the last run that worked
	retryAt  time.Time  // no new child before
	closed   bool
}

// A loaded model is a session within one child.
type loaded struct {
	engine.Session
	child *child
}

var (
	_ engine.Session   = (*session)(nil)
	_ engine.Describer = (*session)(nil)
	_ engine.Keeper    = (*session)(nil)
)

func newSession(p *Provider, m *engine.Model, file string, plan engine.Plan) *session {
	s := &session{p: p, model: m, file: file, plan: plan, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// start loads the model in a child that gives up its rights for it.
func (s *session) start(ctx context.Context) error {
	c, err := s.p.take(ctx, s.p.household(s.model, s.plan))
	if err != nil {
		return err
	}
	inner, err := c.client.NewSession(ctx, s.model, s.file, s.plan)
	s.p.log.DebugContext(ctx, "a model was opened", "pid", c.pid(), "model", s.model.Root, "file", s.file, "error", err)
	if err != nil {
		err = c.explain(err)
		if s.p.leave(c, s) {
			c.kill() // it may still be loading
			c.stop()
		}
		s.p.replenish()
		return err
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.live = &loaded{inner, c}
	}
	s.mu.Unlock()
	if closed {
		return errors.Join(errClosed, s.quit(&loaded{inner, c}))
	}
	s.p.replenish()
	return nil
}

// Run runs the model, in a new child if the last one died.
func (s *session) Run(ctx context.Context, in engine.Tensors) (engine.Tensors, error) {
	return s.RunKept(ctx, in, engine.Kept{})
}

// Forget frees what the child keeps. One that died keeps nothing.
func (s *session) Forget(ctx context.Context, names ...string) error {
	l, err := s.current()
	if l == nil || err != nil {
		return err
	}
	if err := l.Session.(engine.Keeper).Forget(ctx, names...); err != nil {
		return s.failed(l, err)
	}
	return nil
}

// RunKept runs the model with values that the child keeps. A new child keeps
// none: who took some starts again.
func (s *session) RunKept(ctx context.Context, in engine.Tensors, k engine.Kept) (engine.Tensors, error) {
	l, err := s.loaded(ctx)
	if err != nil {
		return nil, err
	}
	out, err := l.Session.(engine.Keeper).RunKept(ctx, in, k)
	s.p.log.DebugContext(ctx, "a model ran", "pid", l.child.pid(), "model", s.model.Root, "file", s.file, "error", err)
	if err != nil {
		return nil, s.failed(l, err)
	}
	s.mu.Lock()
	s.failures = 0
	s.mu.Unlock()
	return out, nil
}

// Describe says what the child loaded, and the most memory it has had.
func (s *session) Describe(ctx context.Context) (engine.SessionInfo, error) {
	l, err := s.loaded(ctx)
	if err != nil {
		return engine.SessionInfo{}, err
	}
	info, err := l.Session.(engine.Describer).Describe(ctx)
	if err != nil {
		return info, s.failed(l, err)
	}
	peak, held := memoryOf(l.child.pid())
	info.MemoryBytes = peak
	info.HeldBytes += l.child.share(s, held) // beside the device's, which the child tells
	return info, nil
}

// Close ends the child and waits for it, unless others are in it. A profile is
// written before.
func (s *session) Close() error {
	s.mu.Lock()
	l := s.live
	s.live, s.closed = nil, true
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	return s.quit(l)
}

// quit leaves a child.
func (s *session) quit(l *loaded) error {
	var err error
	last := s.p.leave(l.child, s)
	if !last || s.plan.Profile != "" {
		err = l.Close()
	}
	if last {
		l.child.stop()
	}
	return err
}

// loaded returns the model in a child that lives, as far as is known. Callers
// that find none wait while one of them starts it.
func (s *session) loaded(ctx context.Context) (*loaded, error) {
	if l, err := s.current(); l != nil || err != nil {
		return l, err
	}
	select {
	case <-s.turn:
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
	defer func() { s.turn <- struct{}{} }()
	if l, err := s.current(); l != nil || err != nil {
		return l, err
	}
	if err := s.pause(ctx); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		s.countFailure(err)
		return nil, err
	}
	return s.current()
}

func (s *session) current() (*loaded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.live != nil && !s.live.child.alive() {
		s.drop(s.live)
	}
	return s.live, nil
}

// drop forgets a child that died; s.mu is held.
func (s *session) drop(l *loaded) {
	if s.live == l {
		s.live = nil
		s.failures++
		s.retryAt = time.Now().Add(backOff(s.failures))
	}
}

// failed explains why a run failed. If that is the child's death, the child is
// forgotten.
func (s *session) failed(l *loaded, err error) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed && !errors.Is(err, engine.ErrCancelled) && !errors.Is(err, engine.ErrDeadline) {
		return errClosed // however the connection's end was seen
	}
	if !errors.Is(err, engine.ErrRunnerCrashed) {
		return err
	}
	s.mu.Lock()
	s.drop(l)
	s.mu.Unlock()
	err = l.child.explain(err)
	l.child.stop()
	return err
}

func (s *session) countFailure(err error) {
	if !errors.Is(err, engine.ErrRunnerCrashed) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures++
	s.retryAt = time.Now().Add(backOff(s.failures))
}

// backOff is how long to wait after so many losses in a row before the next
// child: none after the first, then 100 ms doubling up to 10 s.
func backOff(failures int) time.Duration {
	const first, most = 100 * time.Millisecond, 10 * time.Second
	if failures <= 1 {
		return 0
	}
	return min(first<<min(failures-2, 10), most)
}

// pause waits until a new child may be started.
func (s *session) pause(ctx context.Context) error {
	s.mu.Lock()
	wait := time.Until(s.retryAt)
	s.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}
