package workloads

import (
	"context"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Latency returns the workload "latency": one batch at a time, the next when
// the last is answered, as one user who waits would (MLPerf's single stream).
func Latency() engine.Workload { return single{name: "latency"} }

// ColdStart returns the workload "cold_start": each sample is a first run,
// for which the model is loaded. It needs a target that is an
// [engine.Unloader].
func ColdStart() engine.Workload { return single{name: "cold_start", fresh: true} }

// Memory returns the workload "memory": the most memory that the process of
// the model has had, after each of the runs that follow its loading. It needs
// a target that is an [engine.Unloader] and an [engine.MemoryMeter].
func Memory() engine.Workload { return single{name: "memory", metered: true} }

// Fetch returns the workload "fetch": how long it takes to get the model from
// its sources when nothing of it is here. Its target starts anew when it is
// unloaded.
func Fetch() engine.Workload {
	return single{name: "fetch", subject: engine.SubjectFetch, cold: true, fresh: true}
}

// Import returns the workload "import": how long it takes to add the model's
// files to an empty store, which is mostly hashing them.
func Import() engine.Workload {
	return single{name: "import", subject: engine.SubjectImport, cold: true, fresh: true}
}

// Accuracy returns the workload "accuracy": the model's answers to labelled
// inputs, each once.
func Accuracy() engine.Workload {
	return single{name: "accuracy", subject: engine.SubjectDataset, cold: true}
}

// A single takes samples one after the other.
type single struct {
	name    string
	subject engine.Subject
	cold    bool // without warm-up, unless asked for: there is nothing to warm
	fresh   bool // each sample with the model unloaded before
	metered bool // memory is read after each sample
}

func (w single) Name() string { return w.name }

func (w single) Subject() engine.Subject { return w.subject }

// Setup warms up.
func (w single) Setup(ctx context.Context, t engine.Target, o engine.WorkloadOptions) (engine.Execution, error) {
	r := &singleRun{single: w, t: t, o: o, m: engine.Measurement{Warmup: o.Warmup}}
	var ok bool
	if r.unloader, ok = t.(engine.Unloader); !ok && (w.fresh || w.metered) {
		return nil, engine.Errorf(engine.ErrUnsupported, "workload %s needs a model that can be unloaded", w.name)
	}
	if r.meter, ok = t.(engine.MemoryMeter); !ok && w.metered {
		return nil, engine.Errorf(engine.ErrUnsupported, "workload %s needs a provider that reports memory", w.name)
	}
	var err error
	if !w.cold || o.Warmup > 0 {
		r.m.Warmup, err = warmUp(ctx, t, o)
	}
	return r, err
}

type singleRun struct {
	single
	t        engine.Target
	o        engine.WorkloadOptions
	unloader engine.Unloader
	meter    engine.MemoryMeter
	m        engine.Measurement
}

// Execute takes the samples.
func (r *singleRun) Execute(ctx context.Context, progress func(engine.Progress)) (engine.Measurement, error) {
	if r.metered {
		if err := r.unloader.Unload(ctx); err != nil { // what came before has left no trace then
			return r.m, err
		}
	}
	r.m.StopReason = "duration"
	start := time.Now()
	for n := range r.o.Iterations {
		if n > 0 && r.o.Duration > 0 && time.Since(start) >= r.o.Duration {
			break
		}
		if err := r.sample(ctx, start); err != nil {
			return r.m, err
		}
		progress(engine.Progress{Done: int64(n + 1), Total: int64(r.o.Iterations), Unit: "samples"})
	}
	if len(r.m.Latencies) == r.o.Iterations {
		r.m.StopReason = "iterations"
	}
	r.m.Elapsed = time.Since(start)
	return r.m, nil
}

func (r *singleRun) sample(ctx context.Context, start time.Time) error {
	if r.fresh {
		if err := r.unloader.Unload(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := r.t.Run(ctx, r.o.BatchSize); err != nil {
		return err
	}
	r.m.Latencies = append(r.m.Latencies, milliseconds(time.Since(began)))
	r.m.Offsets = append(r.m.Offsets, milliseconds(began.Sub(start)))
	r.m.Items += int64(r.o.BatchSize)
	if !r.metered {
		return nil
	}
	bytes, err := r.meter.Memory(ctx)
	if err != nil {
		return err
	}
	r.m.MemoryBytes = append(r.m.MemoryBytes, bytes)
	return nil
}

func (*singleRun) TearDown() error { return nil }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
