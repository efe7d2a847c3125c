package workloads

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Offline returns the workload "offline": all batches are there from the
// start, and as many go on at once as the options allow. What counts is
// throughput; a latency is from a batch's start to its answer.
func Offline() engine.Workload { return offline{} }

type offline struct{}

func (offline) Name() string { return "offline" }

// Setup warms up.
func (offline) Setup(ctx context.Context, t engine.Target, o engine.WorkloadOptions) (engine.Execution, error) {
	n, err := warmUp(ctx, t, o)
	return &offlineRun{t: t, o: o, m: engine.Measurement{Warmup: n, StopReason: "iterations"}}, err
}

type offlineRun struct {
	t engine.Target
	o engine.WorkloadOptions

	mu sync.Mutex // guards what follows
	m  engine.Measurement
	n  int // batches begun
}

// Execute works the batches off.
func (r *offlineRun) Execute(ctx context.Context, progress func(engine.Progress)) (engine.Measurement, error) {
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for range max(r.o.Parallel, 1) {
		group.Go(func() error {
			for r.next(start) {
				began := time.Now()
				if err := r.t.Run(ctx, r.o.BatchSize); err != nil {
					return err
				}
				r.done(began.Sub(start), time.Since(began), progress)
			}
			return nil
		})
	}
	err := group.Wait()
	r.m.Elapsed = time.Since(start)
	return r.m, err
}

// next takes a batch, unless they or the time are used up.
func (r *offlineRun) next(start time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n >= r.o.Iterations {
		return false
	}
	if r.n > 0 && r.o.Duration > 0 && time.Since(start) >= r.o.Duration {
		r.m.StopReason = "duration"
		return false
	}
	r.n++
	return true
}

func (r *offlineRun) done(at, took time.Duration, progress func(engine.Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m.Latencies = append(r.m.Latencies, milliseconds(took))
	r.m.Offsets = append(r.m.Offsets, milliseconds(at))
	r.m.Items += int64(r.o.BatchSize)
	progress(engine.Progress{Done: int64(len(r.m.Latencies)), Total: int64(r.o.Iterations), Unit: "samples"})
}

func (*offlineRun) TearDown() error { return nil }
