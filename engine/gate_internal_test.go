package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Those that somebody waits for go first, each in the order they came.
func TestGate_order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		if in, err := g.enter(t.Context(), 2, false, nil); !in || err != nil {
			t.Fatal(in, err)
		}
		var order []string
		for _, w := range []struct {
			name       string
			background bool
		}{{"late 1", true}, {"soon 1", false}, {"late 2", true}, {"soon 2", false}} {
			go func() {
				if in, err := g.enter(t.Context(), 2, w.background, nil); !in || err != nil {
					t.Error(in, err)
				}
				order = append(order, w.name)
				g.leave(2)
			}()
			synctest.Wait()
		}
		g.leave(2)
		synctest.Wait()
		if want := []string{"soon 1", "soon 2", "late 1", "late 2"}; !slices.Equal(order, want) {
			t.Errorf("they went in as %v", order)
		}
	})
}

// However they come, go and give up, no more are in than there are cores, and
// in the end all cores are free.
func TestGate_random(t *testing.T) {
	const cores, callers, times = 3, 16, 200
	g := newGate(cores)
	var in atomic.Int64
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(caller)))
			for range times {
				ctx, cancel := context.WithCancel(t.Context())
				skip := make(chan struct{})
				switch random.IntN(3) {
				case 0:
					go cancel()
				case 1:
					go close(skip)
				}
				n := 1 + random.Int64N(cores)
				if entered, _ := g.enter(ctx, n, random.IntN(2) == 0, skip); entered {
					if now := in.Add(n); now > cores {
						t.Errorf("%d cores are in use", now)
					}
					in.Add(-n)
					g.leave(n)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if g.free != cores || len(g.waiting) != 0 {
		t.Errorf("%d cores are free, %d wait", g.free, len(g.waiting))
	}
}
