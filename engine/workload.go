package engine

import (
	"context"
	"time"
)

// A Workload is one way to measure a model: MLPerf's single stream, offline….
type Workload interface {
	Name() string

	// Setup readies a measurement of t: it warms up, and fails if t does.
	// The caller calls TearDown on what it returns.
	Setup(ctx context.Context, t Target, o WorkloadOptions) (Execution, error)
}

// A Subject is what a workload measures.
type Subject string

// The subjects.
const (
	SubjectModel   Subject = ""        // runs of the model
	SubjectFetch   Subject = "fetch"   // getting the model into an empty store
	SubjectImport  Subject = "import"  // adding the model's files to an empty store
	SubjectDataset Subject = "dataset" // the model's answers to labelled inputs
)

// A Specialist is a workload that measures something else than runs of the
// model.
type Specialist interface {
	Subject() Subject
}

// An Execution is a workload that is ready to measure.
type Execution interface {
	// Execute measures until the options' iterations or duration are used
	// up, or ctx is done. Progress counts samples.
	Execute(ctx context.Context, progress func(Progress)) (Measurement, error)

	TearDown() error
}

// A Target is what is measured: one plan of one model with fixed input.
type Target interface {
	// Run runs one batch of n items. It may be called concurrently.
	Run(ctx context.Context, n int) error
}

// An Unloader is a target whose model can be taken out of memory, so that the
// next run loads it.
type Unloader interface {
	Unload(ctx context.Context) error
}

// A MemoryMeter is a target that knows the most bytes of memory that the
// process of its model has had.
type MemoryMeter interface {
	Memory(ctx context.Context) (int64, error)
}

// WorkloadOptions bound a measurement.
type WorkloadOptions struct {
	Iterations int           // samples wanted; at least 1
	Duration   time.Duration // stop after this even with fewer samples; 0 means no limit
	Warmup     int           // runs before the first sample
	BatchSize  int           // items per run; at least 1
	Parallel   int           // runs that may go on at once, where the workload is about throughput; at least 1

	// For arrivals that don't wait for answers.
	Rate  float64       // batches per second; 0 looks for the highest that holds Bound
	Bound time.Duration // what the 99th percentile of latency must not be over; 0 means none is set
}

// A Measurement is what a workload saw.
type Measurement struct {
	Latencies   []float64 // milliseconds per run, in order of measurement; from when it was due, where that is set
	Offsets     []float64 // milliseconds from the start of the measurement to each run's
	MemoryBytes []int64   // after each run; nil if not measured
	Warmup      int       // runs done before the first sample
	Items       int64     // items processed within Elapsed
	Elapsed     time.Duration
	StopReason  string  // "iterations", "duration" or "overload"
	Rate        float64 // batches that arrived per second, 0 if each waited for the last
	BoundHeld   *bool   // whether the bound on latency was held; nil if there was none
}

// Progress is how far something long has come. Done never goes backwards.
type Progress struct {
	Done    int64  `json:"done"`
	Total   int64  `json:"total"` // 0 if unknown
	Unit    string `json:"unit"`  // such as "bytes" or "samples"
	Message string `json:"message,omitempty"`
}
