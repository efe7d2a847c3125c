package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
)

// A BenchmarkRequest asks for measurements of a model.
type BenchmarkRequest struct {
	Model      string   `json:"model,omitempty" jsonschema:"description=Name or CID or path,example=minilm"`
	Task       string   `json:"task,omitempty" jsonschema:"description=Default: as the model says"`
	Inputs     []string `json:"inputs,omitempty" jsonschema:"description=As run_inference; else noise of the declared shape"`
	Workload   string   `json:"workload,omitempty" jsonschema:"description=server: open loop with random arrivals,enum=latency,enum=offline,enum=server,enum=cold_start,enum=memory,enum=fetch,enum=import,enum=accuracy,default=latency"`
	Devices    []string `json:"devices,omitempty" jsonschema:"description=Ids or platforms,default=all"`
	BatchSizes []int    `json:"batch_sizes,omitempty" jsonschema:"default=1"`
	Precision  string   `json:"precision,omitempty" jsonschema:"enum=auto,enum=fp32,enum=fp16,enum=bf16,enum=int8,default=auto"`
	Iterations int      `json:"iterations,omitempty" jsonschema:"default=200,minimum=1,maximum=100000"`
	DurationS  float64  `json:"duration_s,omitempty" jsonschema:"description=Seconds per measurement,default=10,minimum=0.1,maximum=600"`
	Warmup     *int     `json:"warmup,omitempty" jsonschema:"description=Runs before the first sample,default=10,minimum=0,maximum=1000"`

	Parameters BenchmarkParameters `json:"parameters,omitzero"`
	Baseline   string              `json:"baseline,omitempty" jsonschema:"description=A run_id to compare with"`
	Tune       bool                `json:"tune,omitempty" jsonschema:"description=Find the best threads and batch size; keep them"`
	Mode       string              `json:"mode,omitempty" jsonschema:"enum=sync,enum=async,default=sync"`
	Cancel     string              `json:"cancel,omitempty" jsonschema:"description=A run_id to cancel"`
}

// BenchmarkParameters are what only some workloads take.
type BenchmarkParameters struct {
	RatePerS       float64 `json:"rate_per_s,omitempty" jsonschema:"description=server: batches per second"`
	LatencyBoundMS float64 `json:"latency_bound_ms,omitempty" jsonschema:"description=server: for p99; finds the highest rate that holds it"`
	Dataset        string  `json:"dataset,omitempty" jsonschema:"description=accuracy: .jsonl of input with label or embedding"`
	Rounds         int     `json:"rounds,omitempty" jsonschema:"description=Take 10 to compare,default=1,minimum=1,maximum=100"`
}

// A Benchmark is what was measured.
type Benchmark struct {
	Common
	Results    []BenchmarkResult   `json:"results,omitempty"`
	Comparison *benchdb.Comparison `json:"comparison,omitempty"`
	Task       string              `json:"task,omitempty"`
	Plan       *PlanInfo           `json:"plan,omitempty"`
	MachineID  string              `json:"machine_id,omitempty"`
	SoftwareID string              `json:"software_id,omitempty"`
	Files      []FileRef           `json:"files,omitempty"`
}

// A BenchmarkResult is one measurement: a device with a batch size.
type BenchmarkResult struct {
	ResultID      string           `json:"result_id"`
	Device        string           `json:"device"`
	Precision     string           `json:"precision"`
	BatchSize     int              `json:"batch_size"`
	Workload      string           `json:"workload"`
	Samples       int              `json:"samples"`
	Warmup        int              `json:"warmup"`
	LatencyMS     *benchdb.Summary `json:"latency_ms" jsonschema:"nullable"`
	ThroughputS   float64          `json:"throughput_per_s"`
	Threads       int              `json:"threads,omitempty" jsonschema:"-"`
	MemoryBytes   *int64           `json:"memory_bytes" jsonschema:"nullable"`
	AccuracyScore *float64         `json:"accuracy_score" jsonschema:"nullable"`
	Noisy         *bool            `json:"noisy" jsonschema:"nullable"`
	StopReason    string           `json:"stop_reason,omitempty"`
	RatePerS      float64          `json:"rate_per_s,omitempty"` // of arrivals, where they don't wait
	BoundHeld     *bool            `json:"bound_held,omitempty"`
	Accuracy      *Accuracy        `json:"accuracy,omitempty"`
	Bytes         *int64           `json:"bytes,omitempty"` // moved per sample, by fetch and import
	LoadMS        *float64         `json:"load_ms,omitempty"`
	Phases        *PhaseMeans      `json:"phases_ms,omitempty"`
	Joules        *float64         `json:"joules,omitempty"`
	ConfigKey     string           `json:"config_key,omitempty"` // what else must be equal for two results to be compared
	Error         *ErrorInfo       `json:"error" jsonschema:"nullable"`
}

// PlanInfo is how the model was run.
type PlanInfo struct {
	Threads   int    `json:"threads"`
	BatchSize int    `json:"batch_size"`
	Precision string `json:"precision"`
}

// Defaults of a benchmark, and its limits.
const (
	defaultIterations = 200
	defaultReloads    = 10 // samples for each of which much is done anew
	defaultWarmup     = 10
	defaultDuration   = 10 * time.Second
	maxBatch          = 1024
	maxRounds         = 100
)

// Benchmark measures a model on each device and batch size, one after the
// other, and records every measurement.
func (e *Engine) Benchmark(ctx context.Context, r BenchmarkRequest, report func(Progress)) (Benchmark, error) {
	if r.Cancel != "" {
		c, err := e.cancelRun(r.Cancel)
		return Benchmark{Common: c}, err
	}
	if err := r.defaults(e.o.Plugins); err != nil {
		return Benchmark{}, err
	}
	return perform(ctx, e, job[Benchmark]{kind: "benchmark", mode: r.Mode, keep: true, report: report, do: func(ctx context.Context, run *run) (Benchmark, error) {
		b := &benchmarking{e: e, r: r, run: run}
		err := b.do(ctx)
		return b.out, err
	}})
}

// defaults fills in and checks the request.
func (r *BenchmarkRequest) defaults(plugins *Registry) error {
	if r.Model == "" {
		return Errorf(ErrInvalidArgument, "no model is named").WithHint("pass \"model\": a name from models://, a CID or a path")
	}
	r.Workload = cmp.Or(r.Workload, "latency")
	w := plugins.workloads[r.Workload]
	if w == nil {
		return unknown(ErrInvalidArgument, "workload", r.Workload, plugins.Workloads())
	}
	iterations, warmup := defaultIterations, defaultWarmup
	if r.Workload == "cold_start" {
		iterations, warmup = defaultReloads, 1
	}
	if err := r.checkTune(); err != nil {
		return err
	}
	duration := defaultDuration
	if r.Tune { // about ten measurements
		iterations, duration = defaultIterations/4, defaultDuration/4
	}
	switch subjectOf(w) {
	case SubjectFetch, SubjectImport:
		iterations, warmup = defaultReloads, 0
	case SubjectDataset: // the data say how many
		warmup, r.Warmup = 0, nil
	}
	r.Iterations = cmp.Or(r.Iterations, iterations)
	r.DurationS = cmp.Or(r.DurationS, duration.Seconds())
	if r.Warmup == nil {
		r.Warmup = &warmup
	}
	if len(r.Devices) == 0 {
		r.Devices = []string{"all"}
	}
	if len(r.BatchSizes) == 0 {
		r.BatchSizes = []int{1}
	}
	r.Parameters.Rounds = cmp.Or(r.Parameters.Rounds, 1)
	return r.limits()
}

func (r *BenchmarkRequest) limits() error {
	for _, n := range r.BatchSizes {
		if n < 1 || n > maxBatch {
			return Errorf(ErrInvalidArgument, "batch size %d is not between 1 and %d", n, maxBatch)
		}
	}
	if n := r.Parameters.Rounds; n < 1 || n > maxRounds {
		return Errorf(ErrInvalidArgument, "%d rounds are not between 1 and %d", n, maxRounds)
	}
	if r.Iterations < 1 || r.DurationS < 0 {
		return Errorf(ErrInvalidArgument, "iterations and duration_s must be over 0")
	}
	return nil
}

// benchmarking is one Benchmark as it goes.
type benchmarking struct {
	e   *Engine
	r   BenchmarkRequest
	run *run

	workload Workload
	model    *loadedModel
	graph    Graph
	task     string
	work     func(batch int) (targetRun, error) // for subjects that are runs
	phases   phaseSums
	total    int // measurements to do, if that is known
	watched  []benchdb.TimeSeries
	out      Benchmark
}

// A targetRun runs one batch on given sessions.
type targetRun func(ctx context.Context, s Sessions) error

func (b *benchmarking) do(ctx context.Context) error {
	b.workload = b.e.o.Plugins.workloads[b.r.Workload]
	if err := b.prepare(ctx); err != nil {
		return err
	}
	todo, err := b.measurements(ctx)
	if err != nil {
		return err
	}
	env := b.e.env()
	software := b.e.software(todo[0].driver())
	b.out.MachineID, b.out.SoftwareID = env.machine.ID, software.ID
	batch := benchdb.Batch{Environments: []benchdb.Environment{env.machine, software}, Sync: true}
	if err := b.measureAll(ctx, todo, &batch); err != nil {
		if ctx.Err() == nil {
			b.e.record(ctx, batch)
		}
		return err
	}
	batch.TimeSeries, b.out.Task = b.watched, b.task
	if !b.e.record(ctx, batch) {
		b.out.Warnings = append(b.out.Warnings, "the measurements could not be recorded")
	}
	b.summarize()
	return b.compare(ctx)
}

// measureAll does all measurements. What goes wrong with one of several is
// only said of it.
func (b *benchmarking) measureAll(ctx context.Context, todo []measurement, rows *benchdb.Batch) error {
	if b.r.Tune {
		return b.tune(ctx, todo, rows)
	}
	b.total = len(todo)
	for _, m := range todo {
		if _, err := b.one(ctx, m, rows); err != nil && (ctx.Err() != nil || len(todo) == 1) {
			return err
		}
	}
	return nil
}

// one does one measurement and notes it.
func (b *benchmarking) one(ctx context.Context, m measurement, rows *benchdb.Batch) (BenchmarkResult, error) {
	rows.Environments = append(rows.Environments, b.e.untold(b.e.software(m.driver()))...)
	res, row, err := b.measure(ctx, m, max(b.total, m.i+1))
	if ctx.Err() != nil {
		return res, ctx.Err()
	}
	if err != nil {
		res.Error = Explain(err)
		row.Error = string(res.Error.Code)
	}
	b.out.Results, rows.Results = append(b.out.Results, res), append(rows.Results, row)
	return res, err
}

// A measurement is one row to be: what is measured how.
type measurement struct {
	i       int        // its number
	c       *candidate // nil if no device takes part
	batch   int
	replay  int // the round it is of
	threads int // 0 is what is planned
}

// driver is what drives its device, "" if none takes part.
func (m measurement) driver() string {
	if m.c == nil {
		return ""
	}
	return m.c.Driver
}

// measurements lists what to measure. The rounds are in turn, so that a drift
// of the machine is in all alike.
func (b *benchmarking) measurements(ctx context.Context) ([]measurement, error) {
	devices := []*candidate{nil}
	if s := subjectOf(b.workload); s == SubjectModel || s == SubjectDataset {
		found, err := b.devices(ctx)
		if err != nil {
			return nil, err
		}
		devices = nil
		for _, c := range found {
			devices = append(devices, &c)
		}
	}
	var out []measurement
	for replay := range b.r.Parameters.Rounds {
		for _, c := range devices {
			for _, n := range b.r.BatchSizes {
				out = append(out, measurement{i: len(out), c: c, batch: n, replay: replay})
			}
		}
	}
	return out, nil
}

// Samples are the results as a comparison sees them.
func (b Benchmark) Samples() []benchdb.RunSample {
	var out []benchdb.RunSample
	for _, r := range b.Results {
		if r.LatencyMS == nil || r.Error != nil {
			continue
		}
		s, ok := benchdb.SampleOf(benchdb.Result{
			ID: r.ResultID, Environment: b.MachineID, SoftwareID: b.SoftwareID, ModelCID: b.Model.CID, ModelName: b.Model.Name, Task: b.Task,
			Workload: r.Workload, Precision: r.Precision, BatchSize: r.BatchSize, Device: r.Device, ConfigKey: r.ConfigKey,
			Latencies: []float64{r.LatencyMS.P50}, Throughput: r.ThroughputS,
		})
		if ok {
			out = append(out, s)
		}
	}
	return out
}

// compare compares with the baseline that was named.
func (b *benchmarking) compare(ctx context.Context) error {
	if b.r.Baseline == "" {
		return nil
	}
	t, err := b.e.o.Results.Query(ctx, benchdb.Query{Report: benchdb.ReportCompare, RunID: b.run.id, Baseline: b.r.Baseline})
	if err != nil {
		b.out.Warnings = append(b.out.Warnings, "the comparison failed: "+Explain(queryError(err)).Message)
		return nil
	}
	b.out.Comparison = t.Comparison
	if t.Comparison == nil {
		b.out.Comparison = &benchdb.Comparison{Verdict: benchdb.NotComparable, Reason: "the two runs have not exactly one configuration in common: query_results {\"report\":\"compare\"} tells of each"}
	}
	b.out.Summary += "; " + verdictText(b.out.Comparison)
	return nil
}

func verdictText(c *benchdb.Comparison) string {
	text := "compared with the baseline: " + string(c.Verdict)
	if c.Change != nil {
		text += fmt.Sprintf(" (%+.1f %%)", 100**c.Change)
	}
	return text
}

func (b *benchmarking) summarize() {
	name := cmpName(b.model.Name, b.model.Root)
	for _, r := range b.out.Results {
		if r.LatencyMS == nil || b.r.Tune {
			continue
		}
		b.out.Summary = fmt.Sprintf("%s, %s: p50 %.3g ms, %.4g items/s", name, r.Workload, r.LatencyMS.P50, r.ThroughputS)
		if r.Device != "" {
			b.out.Summary += fmt.Sprintf(" on %s at batch %d", r.Device, r.BatchSize)
		}
		if r.Noisy != nil && *r.Noisy {
			b.out.Warnings = append(b.out.Warnings, "the machine was busy or the samples are unsteady: measure again when it is idle, or with more rounds")
		}
		break
	}
	b.out.NextSteps = []string{"query_results {\"report\":\"percentiles\",\"model\":\"" + name + "\"}"}
}
