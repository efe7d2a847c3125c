package workloads

import (
	"context"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Latency returns the workload "latency": one batch at a time, the next when
// the last is answered, as one user who waits would.
func Latency() engine.Workload { return latency{} }

type latency struct{}

func (latency) Name() string { return "latency" }

// Setup warms up.
func (latency) Setup(ctx context.Context, t engine.Target, o engine.WorkloadOptions) (engine.Execution, error) {
	if err := warmUp(ctx, t, o); err != nil {
		return nil, err
	}
	return latencyRun{t, o}, nil
}

// warmUp runs the target as often as the options say, once at least: the first
// run opens the session, which is not what is measured.
func warmUp(ctx context.Context, t engine.Target, o engine.WorkloadOptions) error {
	for range max(o.Warmup, 1) {
		if err := t.Run(ctx, o.BatchSize); err != nil {
			return err
		}
	}
	return nil
}

type latencyRun struct {
	t engine.Target
	o engine.WorkloadOptions
}

// Execute takes samples one after the other.
func (r latencyRun) Execute(ctx context.Context, progress func(engine.Progress)) (engine.Measurement, error) {
	m := engine.Measurement{Warmup: max(r.o.Warmup, 1), StopReason: "iterations"}
	start := time.Now()
	for range r.o.Iterations {
		began := time.Now()
		if err := r.t.Run(ctx, r.o.BatchSize); err != nil {
			return m, err
		}
		m.Latencies = append(m.Latencies, milliseconds(time.Since(began)))
		m.Items += int64(r.o.BatchSize)
		progress(engine.Progress{Done: int64(len(m.Latencies)), Total: int64(r.o.Iterations), Unit: "samples"})
		if r.o.Duration > 0 && time.Since(start) >= r.o.Duration {
			m.StopReason = "duration"
			break
		}
	}
	if len(m.Latencies) == r.o.Iterations {
		m.StopReason = "iterations"
	}
	m.Elapsed = time.Since(start)
	return m, nil
}

func (latencyRun) TearDown() error { return nil }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
