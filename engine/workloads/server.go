package workloads

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Server returns the workload "server" (MLPerf's scenario of that name):
// batches arrive at random, as a Poisson process, whether or not those before
// them are answered, and a latency counts from when its batch was due. With a
// rate that is the one measured, else the highest that holds the bound is
// looked for.
func Server() engine.Workload { return server{} }

type server struct{}

func (server) Name() string { return "server" }

// Setup warms up, and finds out how long one batch takes.
func (server) Setup(ctx context.Context, t engine.Target, o engine.WorkloadOptions) (engine.Execution, error) {
	if o.Rate <= 0 && o.Bound <= 0 {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "workload server has neither a rate nor a bound").
			WithHint("pass \"parameters\": {\"latency_bound_ms\": 20} to look for the highest rate that holds it, or {\"rate_per_s\": 50}")
	}
	n, err := warmUp(ctx, t, o)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := t.Run(ctx, o.BatchSize); err != nil {
		return nil, err
	}
	return &serverRun{t: t, o: o, warmup: n, service: max(time.Since(began), time.Microsecond)}, nil
}

type serverRun struct {
	t       engine.Target
	o       engine.WorkloadOptions
	warmup  int
	service time.Duration // of one batch alone
}

func (*serverRun) TearDown() error { return nil }

// trials is how many rates are tried at most, each for its part of the time.
const trials = 10

// Execute measures the given rate, or looks for one: it doubles the rate until
// the bound breaks, then halves the interval.
func (r *serverRun) Execute(ctx context.Context, progress func(engine.Progress)) (engine.Measurement, error) {
	if r.o.Rate > 0 {
		return r.trial(ctx, r.o.Rate, r.o.Duration, 0, func(n int) {
			progress(engine.Progress{Done: int64(n), Total: int64(r.o.Iterations), Unit: "samples"})
		})
	}
	var best engine.Measurement
	low, high := 0.0, 0.0
	rate := 0.25 / r.service.Seconds()
	for n := range trials {
		m, err := r.trial(ctx, rate, r.o.Duration/trials, uint64(n), func(int) {})
		if err != nil {
			return m, err
		}
		progress(engine.Progress{Done: int64(n + 1), Total: trials, Unit: "rates"})
		held := *m.BoundHeld
		if held || best.Latencies == nil {
			best = m
		}
		if held {
			low = rate
		} else {
			high = rate
		}
		rate = next(low, high, rate)
	}
	return best, nil
}

// next is the rate to try after low held and high did not, 0 where none has.
func next(low, high, rate float64) float64 {
	switch {
	case high == 0:
		return 2 * rate
	case low == 0:
		return rate / 2
	}
	return (low + high) / 2
}

// maxWaiting is how many batches may be unanswered before a rate counts as
// more than the target can do.
const maxWaiting = 1000

// A trial is one rate for a while.
type trial struct {
	mu        sync.Mutex // guards what follows
	latencies []float64  // 0 until answered
	waiting   int
	err       error
}

// trial has batches arrive at a rate until the iterations or the duration are
// used up, and waits for their answers.
func (r *serverRun) trial(caller context.Context, rate float64, duration time.Duration, seed uint64, progress func(int)) (engine.Measurement, error) {
	ctx, cancel := context.WithCancel(caller)
	defer cancel()
	m := engine.Measurement{Warmup: r.warmup, Rate: rate, StopReason: "iterations"}
	var t trial
	var wait sync.WaitGroup
	random := rand.New(rand.NewPCG(1, seed)) // the same arrivals each time, so that runs can be compared
	start := time.Now()
	for due, n := time.Duration(0), 0; n < r.o.Iterations; n++ {
		due += time.Duration(random.ExpFloat64() / rate * float64(time.Second))
		if duration > 0 && due > duration {
			m.StopReason = "duration"
			break
		}
		if !sleepUntil(ctx, start.Add(due)) {
			break
		}
		if !t.arrive() {
			m.StopReason = "overload"
			cancel() // what waits would only take longer
			break
		}
		m.Offsets = append(m.Offsets, milliseconds(due))
		wait.Go(func() {
			err := r.t.Run(ctx, r.o.BatchSize)
			t.answered(n, time.Since(start.Add(due)), err, cancel)
		})
		progress(n + 1)
	}
	wait.Wait()
	if caller.Err() != nil {
		return m, caller.Err()
	}
	return t.finish(m, r.o, time.Since(start))
}

// sleepUntil reports false if ctx ends first.
func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// arrive notes a batch, unless too many wait already.
func (t *trial) arrive() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting == maxWaiting {
		return false
	}
	t.waiting++
	t.latencies = append(t.latencies, 0)
	return true
}

func (t *trial) answered(n int, took time.Duration, err error, cancel func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting--
	if err != nil && t.err == nil {
		t.err = err
		cancel()
	}
	t.latencies[n] = milliseconds(took)
}

// finish sums a trial up once everything is answered.
func (t *trial) finish(m engine.Measurement, o engine.WorkloadOptions, elapsed time.Duration) (engine.Measurement, error) {
	m.Latencies, m.Elapsed = t.latencies, elapsed
	m.Items = int64(len(t.latencies)) * int64(o.BatchSize)
	overloaded := m.StopReason == "overload"
	if t.err != nil && !overloaded {
		return m, t.err
	}
	if o.Bound > 0 {
		held := !overloaded && percentile99(t.latencies) <= milliseconds(o.Bound)
		m.BoundHeld = &held
	}
	return m, nil
}

// percentile99 is the 99th percentile by nearest rank: the greatest value of
// fewer than a hundred.
func percentile99(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*99+99)/100-1]
}
