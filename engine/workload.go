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

// WorkloadOptions bound a measurement.
type WorkloadOptions struct {
	Iterations int           // samples wanted; at least 1
	Duration   time.Duration // stop after this even with fewer samples; 0 means no limit
	Warmup     int           // runs before the first sample
	BatchSize  int           // items per run; at least 1
	Parallel   int           // runs that may go on at once, where the workload is about throughput; at least 1
}

// A Measurement is what a workload saw.
type Measurement struct {
	Latencies  []float64 // milliseconds per run, in order of measurement
	Warmup     int       // runs done before the first sample
	Items      int64     // items processed within Elapsed
	Elapsed    time.Duration
	StopReason string // "iterations" or "duration"
}

// Progress is how far something long has come. Done never goes backwards.
type Progress struct {
	Done    int64  `json:"done"`
	Total   int64  `json:"total"` // 0 if unknown
	Unit    string `json:"unit"`  // such as "bytes" or "samples"
	Message string `json:"message,omitempty"`
}
