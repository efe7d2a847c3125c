package engine

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A joining is the runs of a session that wait to be done together. Nobody
// waits for company: what is there when there are cores for it goes together.
type joining struct {
	mu      sync.Mutex // guards waiting
	waiting []*member
}

// A member is one caller's run among those joined.
type member struct {
	ctx   context.Context //nolint:containedctx // of the call that waits for it
	in    Tensors
	how   Join
	shape rowShape

	done chan struct{} // closed when out and err are set
	out  Tensors
	err  error
}

// RunJoined waits for its turn, and runs with others that wait too.
func (s turnSession) RunJoined(ctx context.Context, in Tensors, j Join) (Tensors, error) {
	shape, ok := j.shapeOf(in)
	if !ok || !s.joins {
		return s.Run(ctx, in)
	}
	m := &member{ctx: ctx, in: in, how: j, shape: shape, done: make(chan struct{})}
	s.joining.add(m)
	for {
		entered, err := s.turn.take(ctx, s.cores, m.done)
		if err != nil {
			s.joining.remove(m)
			return nil, err
		}
		if !entered {
			return m.out, m.err
		}
		members := s.joining.take()
		if !s.start(members) || slices.Contains(members, m) { //nolint:contextcheck // each of them has its own
			break // its run is under way; else the cores were for others that came before
		}
	}
	select {
	case <-m.done:
		return m.out, m.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// start does the members' run, which goes on for the others when the caller
// that leads it has gone, and then gives back its cores. It reports whether
// there was anything to do.
func (s turnSession) start(members []*member) bool {
	if len(members) == 0 {
		s.turn.give(s.cores)
		return false
	}
	s.turn.e.work.Go(func() {
		defer s.turn.give(s.cores)
		s.runAll(members)
	})
	return true
}

// runAll does the members' runs as one, or if that goes wrong one by one.
func (s turnSession) runAll(members []*member) {
	if len(members) > 1 && s.runTogether(members) {
		return
	}
	for _, m := range members {
		m.out, m.err = s.s.Run(m.ctx, m.in)
		close(m.done)
	}
}

// runTogether reports false if the run must be repeated for each alone.
func (s turnSession) runTogether(members []*member) bool {
	ctx, stop := whileWanted(members)
	defer stop()
	ctx, computed := WithCompute(ctx)
	out, err := s.s.Run(ctx, join(members))
	if err != nil && ctx.Err() == nil {
		return false
	}
	var rows, from int64
	for _, m := range members {
		rows += m.shape.rows
	}
	parts := make([]Tensors, len(members))
	for i, m := range members {
		var ok bool
		if parts[i], ok = part(out, from, m.shape.rows, rows); !ok && err == nil {
			return false
		}
		from += m.shape.rows
	}
	share := computed.Load() / int64(len(members))
	for i, m := range members {
		addTo(m.ctx, computeKey{}, time.Duration(share))
		m.out, m.err = parts[i], err
		close(m.done)
	}
	return true
}

// whileWanted is a context that ends when all members have gone.
func whileWanted(members []*member) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(members[0].ctx))
	var wanted atomic.Int64
	wanted.Store(int64(len(members)))
	stops := make([]func() bool, len(members))
	for i, m := range members {
		stops[i] = context.AfterFunc(m.ctx, func() {
			if wanted.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

func (j *joining) add(m *member) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting = append(j.waiting, m)
}

// remove takes out a member whose caller has gone, if it still waits.
func (j *joining) remove(m *member) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if i := slices.Index(j.waiting, m); i >= 0 {
		j.waiting = slices.Delete(j.waiting, i, i+1)
	}
}

// take takes out the first that waits, with those that can be joined to it.
func (j *joining) take() []*member {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 {
		return nil
	}
	first := j.waiting[0]
	all, rest := first.shape, []*member(nil)
	taken := []*member{first}
	for _, m := range j.waiting[1:] {
		together := rowShape{all.rows + m.shape.rows, max(all.length, m.shape.length)}
		if m.shape.group() != first.shape.group() || together.rows*together.length > int64(first.how.Budget) || !first.like(m) {
			rest = append(rest, m)
			continue
		}
		all, taken = together, append(taken, m)
	}
	j.waiting = rest
	return taken
}

// like reports whether two members have the same inputs and padding.
func (m *member) like(other *member) bool {
	if len(m.in) != len(other.in) {
		return false
	}
	for name := range m.in {
		if other.in[name] == nil || m.how.Pad[name] != other.how.Pad[name] {
			return false
		}
	}
	return true
}

// joins reports whether a graph takes any number of rows of any length, and
// gives each row the same whatever is beside it: what is quantized as it runs
// is scaled by the largest of all rows.
func (g Graph) joins() bool {
	for _, v := range g.Inputs {
		if len(v.Shape) != 2 || v.Shape[0] >= 0 || v.Shape[1] >= 0 {
			return false
		}
	}
	return !strings.HasPrefix(g.Precision, "int")
}
