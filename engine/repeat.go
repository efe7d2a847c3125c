package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A repeated run is one on inputs that are the same each time. The session is
// given them once, if it can keep them, and leaves the outputs where they are
// wanted: what is measured is the model, and what the device takes in and
// gives out, but not the way to another process.
type repeated struct {
	file    string
	in      Tensors
	outputs []ValueInfo

	mu    sync.Mutex // guards what follows
	free  []*place   // that no run uses at the moment
	named int        // how many there are
}

// A place is where a session keeps the values of one run.
type place struct {
	Kept
	in     Session // that was given the inputs; nil before
	vacant Session // that keeps nothing; nil if none was seen
}

// run runs the session of the file.
func (r *repeated) run(ctx context.Context, s Sessions) error {
	session, err := s.Open(ctx, r.file)
	if err != nil {
		return err
	}
	keeper, ok := session.(Keeper)
	if !ok {
		_, err = session.Run(ctx, r.in)
		return err
	}
	p := r.take()
	defer r.give(p)
	if p.vacant == session {
		_, err = session.Run(ctx, r.in)
		return err
	}
	if p.in == session {
		_, err = keeper.RunKept(ctx, nil, Kept{Take: p.Hold, Keep: p.Keep})
		return err
	}
	switch _, err = keeper.RunKept(ctx, r.in, p.Kept); {
	case err == nil:
		p.in = session
	case errors.Is(err, ErrUnsupported): // the session that it stands for is no Keeper
		p.vacant = session
		_, err = session.Run(ctx, r.in)
	}
	return err
}

// take returns a place. Runs at the same time have different ones.
func (r *repeated) take() *place {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.free); n > 0 {
		p := r.free[n-1]
		r.free = r.free[:n-1]
		return p
	}
	r.named++
	p := &place{Kept: Kept{Hold: map[string]string{}, Keep: map[string]string{}}}
	for name := range r.in {
		p.Hold[name] = fmt.Sprintf("repeat.%d.in.%s", r.named, name)
	}
	for _, v := range r.outputs {
		p.Keep[v.Name] = fmt.Sprintf("repeat.%d.out.%s", r.named, v.Name)
	}
	return p
}

func (r *repeated) give(p *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = append(r.free, p)
}
