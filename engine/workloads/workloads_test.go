package workloads

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

func TestWorkloads(t *testing.T) {
	for _, w := range []engine.Workload{Latency(), Offline(), ColdStart(), Memory(), Fetch(), Import(), Accuracy(), Server()} {
		t.Run(w.Name(), func(t *testing.T) { enginetest.TestWorkload(t, w) })
	}
}

// A target is a function of how many runs there were.
type target func(n int) time.Duration

type counted struct {
	n       chan int // holds how many runs there were
	target  target
	unloads int
	lock    chan struct{} // holds a token if runs exclude each other
}

func newTarget(f target) *counted {
	c := &counted{n: make(chan int, 1), target: f}
	c.n <- 0
	return c
}

// exclusive has one run wait for the other, as a device does.
func (c *counted) exclusive() *counted {
	c.lock = make(chan struct{}, 1)
	return c
}

func (c *counted) Run(ctx context.Context, _ int) error {
	if c.lock != nil {
		select {
		case c.lock <- struct{}{}:
			defer func() { <-c.lock }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	n := <-c.n
	c.n <- n + 1
	select {
	case <-time.After(c.target(n)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *counted) Unload(context.Context) error {
	c.unloads++
	return nil
}

func (c *counted) Memory(context.Context) (int64, error) { return int64(c.unloads), nil }

func measure(t *testing.T, w engine.Workload, c *counted, o engine.WorkloadOptions) engine.Measurement {
	t.Helper()
	o.BatchSize, o.Parallel = 1, 1
	x, err := w.Setup(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := x.Execute(t.Context(), func(engine.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Runs that still become faster are not samples yet.
func TestWarmUp_goesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTarget(func(n int) time.Duration {
			return max(25*time.Millisecond, time.Duration(200*math.Pow(0.85, float64(n)))*time.Millisecond)
		})
		m := measure(t, Latency(), c, engine.WorkloadOptions{Iterations: 5, Warmup: 4})
		if m.Warmup < 13 || m.Warmup > 18 {
			t.Errorf("%d runs of warm-up; want a few more than 13", m.Warmup)
		}
	})
}

func TestColdStart_unloadsEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTarget(func(int) time.Duration { return time.Millisecond })
		if measure(t, ColdStart(), c, engine.WorkloadOptions{Iterations: 7}); c.unloads != 7 {
			t.Errorf("unloaded %d times; want 7", c.unloads)
		}
	})
}

func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTarget(func(int) time.Duration { return time.Millisecond })
		m := measure(t, Memory(), c, engine.WorkloadOptions{Iterations: 3})
		if len(m.MemoryBytes) != 3 || m.MemoryBytes[0] != 1 || c.unloads != 1 {
			t.Errorf("got %v with the model unloaded %d times", m.MemoryBytes, c.unloads)
		}
	})
}

// A stall of a second at a hundred arrivals per second makes about a hundred
// requests late: each latency counts from when its request was due.
func TestServer_openLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTarget(func(n int) time.Duration {
			if n == 300 {
				return time.Second
			}
			return 10 * time.Microsecond
		}).exclusive()
		m := measure(t, Server(), c, engine.WorkloadOptions{Iterations: 1000, Rate: 100})
		late := 0
		for _, l := range m.Latencies {
			if l > 10 {
				late++
			}
		}
		if late < 70 || late > 130 {
			t.Errorf("%d requests were late; want about 100", late)
		}
		if got := 1000 / m.Elapsed.Seconds(); got < 90 || got > 110 {
			t.Errorf("%.1f requests per second came; want about 100", got)
		}
	})
}

// A device that takes 10 ms at a time, with random arrivals, holds 50 ms for
// the 99th percentile up to about two thirds of what it can do (M/D/1).
func TestServer_findsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTarget(func(int) time.Duration { return 10 * time.Millisecond }).exclusive()
		m := measure(t, Server(), c, engine.WorkloadOptions{Iterations: 10_000, Duration: 1000 * time.Second, Bound: 50 * time.Millisecond})
		if m.BoundHeld == nil || !*m.BoundHeld || m.Rate < 50 || m.Rate > 90 {
			t.Errorf("found %.1f/s, bound held: %v", m.Rate, m.BoundHeld)
		}
	})
}

// A rate that no target can do ends by itself.
func TestServer_overload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTarget(func(int) time.Duration { return time.Second }).exclusive()
		m := measure(t, Server(), c, engine.WorkloadOptions{Iterations: 100_000, Rate: 1000, Bound: time.Second})
		if m.StopReason != "overload" || m.BoundHeld == nil || *m.BoundHeld {
			t.Errorf("stopped by %s, bound held: %v", m.StopReason, m.BoundHeld)
		}
	})
}

func TestServer_needsRateOrBound(t *testing.T) {
	_, err := Server().Setup(t.Context(), newTarget(nil), engine.WorkloadOptions{Iterations: 1, BatchSize: 1})
	if !errors.Is(err, engine.ErrInvalidArgument) {
		t.Errorf("got %v", err)
	}
}

// A workload that unloads needs a target that can.
func TestColdStart_unsupported(t *testing.T) {
	type bare struct{ engine.Target }
	_, err := ColdStart().Setup(t.Context(), bare{}, engine.WorkloadOptions{Iterations: 1, BatchSize: 1})
	if !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
