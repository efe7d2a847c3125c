package engine

import (
	"context"
	"slices"
	"sync"
)

// A gate lets work at the processor's cores: as much at once as there are, the
// rest waits. Calls that somebody waits for go before those in the background,
// and each in the order they came.
type gate struct {
	mu      sync.Mutex // guards what follows
	free    int64
	waiting []*waiter
}

// A waiter waits for some of the cores.
type waiter struct {
	cores      int64
	background bool
	in         chan struct{} // closed when it may go in
}

func newGate(cores int) *gate { return &gate{free: int64(cores)} }

// enter waits for cores until ctx is done or skip is closed, which in says:
// only who is in must leave.
func (g *gate) enter(ctx context.Context, cores int64, background bool, skip <-chan struct{}) (in bool, err error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	w := g.line(cores, background)
	select {
	case <-w.in:
		return true, nil
	case <-skip:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !g.quit(w) { // it was let in at the same moment
		g.leave(cores)
	}
	return false, err
}

// line puts a waiter behind those of its kind, or lets it in.
func (g *gate) line(cores int64, background bool) *waiter {
	w := &waiter{cores, background, make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	at := len(g.waiting)
	if !background {
		if i := slices.IndexFunc(g.waiting, func(w *waiter) bool { return w.background }); i >= 0 {
			at = i
		}
	}
	g.waiting = slices.Insert(g.waiting, at, w)
	g.admit()
	return w
}

// quit takes a waiter out of the line, and reports false if it was let in.
func (g *gate) quit(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, w)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	g.admit() // those behind it may need fewer
	return true
}

// leave gives cores back.
func (g *gate) leave(cores int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free += cores
	g.admit()
}

// admit lets in who is first while there are cores for it; g.mu is held.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.waiting[0].cores <= g.free {
		w := g.waiting[0]
		g.waiting = g.waiting[1:]
		g.free -= w.cores
		close(w.in)
	}
}
