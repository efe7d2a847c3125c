package wire

import (
	"context"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// open loads a model. The session takes its number once it is there.
func (s *server) open(ctx context.Context, h *header) (*header, engine.Tensors, error) {
	if err := s.reserve(); err != nil {
		return nil, nil, err
	}
	r := h.Open.request()
	session, err := s.load(ctx, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	if err != nil {
		return nil, nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.last++
	// The other half is for what the session makes of its inputs.
	s.sessions[s.last] = &served{Session: session, budget: r.Plan.Memory / 2, ctx: life, cancel: cancel}
	return &header{Session: s.last}, nil, nil
}

func (s *server) reserve() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions)+s.opening >= s.options.MaxSessions {
		return engine.Errorf(engine.ErrTooLarge, "more than %d sessions at once", s.options.MaxSessions)
	}
	s.opening++
	return nil
}

func (s *server) load(ctx context.Context, r OpenRequest) (engine.Session, error) {
	if s.options.BeforeOpen != nil {
		if err := s.options.BeforeOpen(r); err != nil {
			return nil, err
		}
	}
	return s.provider.NewSession(ctx, r.Model, r.File, r.Plan)
}

func (s *served) run(ctx context.Context, h *header, in engine.Tensors) (*header, engine.Tensors, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() //nolint:contextcheck // closing the session ends its runs
	if s.ctx.Err() != nil {
		return nil, nil, errClosed
	}
	began := time.Now()
	out, err := s.keepRun(engine.WithRequestID(ctx, h.Request), h, in)
	return &header{Session: h.Session, TookUS: time.Since(began).Microseconds()}, out, err
}

// keepRun runs, with values that stay here if the request says so.
func (s *served) keepRun(ctx context.Context, h *header, in engine.Tensors) (engine.Tensors, error) {
	kept := engine.Kept{Take: h.Take, Keep: h.Keep, Hold: h.Hold, Greedy: h.Greedy}
	if !kept.Any() {
		return s.Run(ctx, in)
	}
	k, ok := s.Session.(engine.Keeper)
	if !ok {
		return nil, errKeepsNothing
	}
	return k.RunKept(ctx, in, kept)
}

// errKeepsNothing is what a session says that is no engine.Keeper.
var errKeepsNothing = engine.Errorf(engine.ErrUnsupported, "the session keeps nothing between runs")

func (s *server) forget(ctx context.Context, h *header) (*header, engine.Tensors, error) {
	session, err := s.session(h.Session)
	if err != nil {
		return nil, nil, err
	}
	session.mu.RLock()
	defer session.mu.RUnlock()
	if session.ctx.Err() != nil {
		return nil, nil, errClosed
	}
	k, ok := session.Session.(engine.Keeper)
	if !ok {
		return nil, nil, errKeepsNothing
	}
	return new(header), nil, k.Forget(ctx, h.Names...)
}

func (s *server) describe(ctx context.Context, h *header) (*header, engine.Tensors, error) {
	session, err := s.session(h.Session)
	if err != nil {
		return nil, nil, err
	}
	session.mu.RLock()
	defer session.mu.RUnlock()
	d, ok := session.Session.(engine.Describer)
	if !ok {
		return nil, nil, engine.Errorf(engine.ErrUnsupported, "the provider %s does not describe its sessions", s.provider.Name())
	}
	if session.ctx.Err() != nil {
		return nil, nil, errClosed
	}
	info, err := d.Describe(ctx)
	if err != nil {
		return nil, nil, err
	}
	if s.options.Annotate != nil {
		s.options.Annotate(&info)
	}
	return &header{Info: &info}, nil, nil
}

// close cancels a session's runs and waits for them before it closes it.
func (s *server) close(_ context.Context, h *header) (*header, engine.Tensors, error) {
	session, err := s.session(h.Session)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	delete(s.sessions, h.Session)
	s.mu.Unlock()
	return new(header), nil, session.end()
}

// errClosed is what uses of a closed session get.
var errClosed = engine.Errorf(engine.ErrInvalidArgument, "the session is closed")

func (s *server) session(number uint64) (*served, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.sessions[number]
	if session == nil {
		return nil, errClosed
	}
	return session, nil
}

func (s *served) end() error {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Close()
}

// closeAll closes the sessions that the other side left open.
func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		session.end() //nolint:errcheck // nobody is left to be told
	}
}
