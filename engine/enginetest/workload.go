package enginetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// runTime is how long the target of the workload suite takes for a batch.
const runTime = 10 * time.Millisecond

// target takes runTime for a batch, and fails from the failAt-th run on.
type target struct {
	runs    atomic.Int64
	current atomic.Int64
	most    atomic.Int64
	failAt  int64
}

var errTarget = errors.New("the target failed")

func (t *target) Run(ctx context.Context, _ int) error {
	n := t.current.Add(1)
	defer t.current.Add(-1)
	for m := t.most.Load(); n > m && !t.most.CompareAndSwap(m, n); m = t.most.Load() {
	}
	if r := t.runs.Add(1); t.failAt > 0 && r >= t.failAt {
		return errTarget
	}
	select {
	case <-time.After(runTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unload has nothing to unload.
func (*target) Unload(ctx context.Context) error { return ctx.Err() }

// Memory is as many bytes as there were runs.
func (t *target) Memory(context.Context) (int64, error) { return t.runs.Load(), nil }

// rate is that of arrivals, for workloads in which they don't wait: half of
// what the target can do.
const rate = 50

// TestWorkload checks what every [engine.Workload] must keep to. Time in it is
// that of testing/synctest.
func TestWorkload(t *testing.T, w engine.Workload) {
	t.Run("counts what it ran", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { workloadCounts(t, w) }) })
	t.Run("stops at its duration", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { workloadStops(t, w) }) })
	t.Run("reports a failing target", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { workloadFails(t, w) }) })
	t.Run("obeys its context", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { workloadCancels(t, w) }) })
}

func workloadCounts(t *testing.T, w engine.Workload) {
	tg := &target{}
	o := engine.WorkloadOptions{Iterations: 20, Warmup: 3, BatchSize: 4, Parallel: 2, Rate: rate}
	x, err := w.Setup(t.Context(), tg, o)
	if err != nil {
		t.Fatal(err)
	}
	before := tg.runs.Load()
	if before < 3 {
		t.Errorf("%d runs to warm up, want 3", before)
	}
	var last engine.Progress
	m, err := x.Execute(t.Context(), func(p engine.Progress) {
		if p.Done < last.Done {
			t.Errorf("progress went from %d to %d", last.Done, p.Done)
		}
		last = p
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Latencies) != 20 || m.Items != 80 || m.Warmup != 3 || m.StopReason != "iterations" || tg.runs.Load() != before+20 || len(m.Offsets) != 20 || last.Done != 20 {
		t.Errorf("%d latencies, %d items, %d warm-up, stopped by %s, %d runs, progress %+v", len(m.Latencies), m.Items, m.Warmup, m.StopReason, tg.runs.Load(), last)
	}
	for _, l := range m.Latencies {
		if l != 10 {
			t.Errorf("a latency of %v ms, want 10", l)
		}
	}
	if want := 20 * runTime / time.Duration(tg.most.Load()); m.Rate == 0 && m.Elapsed != want {
		t.Errorf("elapsed %v with %d at once, want %v", m.Elapsed, tg.most.Load(), want)
	}
	if err := x.TearDown(); err != nil {
		t.Error(err)
	}
}

func workloadStops(t *testing.T, w engine.Workload) {
	x, err := w.Setup(t.Context(), &target{}, engine.WorkloadOptions{Iterations: 1000, Duration: 55 * time.Millisecond, BatchSize: 1, Parallel: 1, Rate: rate})
	if err != nil {
		t.Fatal(err)
	}
	m, err := x.Execute(t.Context(), func(engine.Progress) {})
	if err != nil || m.StopReason != "duration" || (m.Rate == 0 && len(m.Latencies) != 6) {
		t.Errorf("%d samples, stopped by %q, %v", len(m.Latencies), m.StopReason, err)
	}
}

func workloadFails(t *testing.T, w engine.Workload) {
	if _, err := w.Setup(t.Context(), &target{failAt: 1}, engine.WorkloadOptions{Iterations: 5, Warmup: 1, BatchSize: 1, Parallel: 1, Rate: rate}); !errors.Is(err, errTarget) {
		t.Errorf("set-up: %v", err)
	}
	x, err := w.Setup(t.Context(), &target{failAt: 4}, engine.WorkloadOptions{Iterations: 5, Warmup: 1, BatchSize: 1, Parallel: 1, Rate: rate})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Execute(t.Context(), func(engine.Progress) {}); !errors.Is(err, errTarget) {
		t.Errorf("execute: %v", err)
	}
}

func workloadCancels(t *testing.T, w engine.Workload) {
	ctx, cancel := context.WithTimeout(t.Context(), 35*time.Millisecond)
	defer cancel()
	x, err := w.Setup(ctx, &target{}, engine.WorkloadOptions{Iterations: 1000, BatchSize: 1, Parallel: 2, Rate: rate})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Execute(ctx, func(engine.Progress) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("execute: %v", err)
	}
}
