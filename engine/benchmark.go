package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
)

// A BenchmarkRequest asks for measurements of a model.
type BenchmarkRequest struct {
	Model      string   `json:"model,omitempty" jsonschema:"description=Name or CID or path of the model,example=minilm"`
	Task       string   `json:"task,omitempty" jsonschema:"description=By default what the model's files say"`
	Inputs     []string `json:"inputs,omitempty" jsonschema:"description=As for run_inference; without them the raw model is measured on noise of its declared shape"`
	Workload   string   `json:"workload,omitempty" jsonschema:"description=latency: one batch at a time; offline: throughput with all cores busy,enum=latency,enum=offline,default=latency"`
	Devices    []string `json:"devices,omitempty" jsonschema:"description=Ids or platforms from detect_hardware; all measures each,default=all"`
	BatchSizes []int    `json:"batch_sizes,omitempty" jsonschema:"default=1"`
	Precision  string   `json:"precision,omitempty" jsonschema:"enum=auto,enum=fp32,enum=fp16,enum=int8,default=auto"`
	Iterations int      `json:"iterations,omitempty" jsonschema:"default=200,minimum=1,maximum=100000"`
	DurationS  float64  `json:"duration_s,omitempty" jsonschema:"description=Stop a measurement after this many seconds,default=10,minimum=0.1,maximum=600"`
	Warmup     *int     `json:"warmup,omitempty" jsonschema:"description=Runs before the first sample,default=10,minimum=0,maximum=1000"`
	Mode       string   `json:"mode,omitempty" jsonschema:"enum=sync,enum=async,default=sync"`
	Cancel     string   `json:"cancel,omitempty" jsonschema:"description=A run_id to cancel; nothing else is read"`
}

// A Benchmark is what was measured.
type Benchmark struct {
	Common
	Results    []BenchmarkResult `json:"results,omitempty"`
	Plan       *PlanInfo         `json:"plan,omitempty"`
	MachineID  string            `json:"machine_id,omitempty"`
	SoftwareID string            `json:"software_id,omitempty"`
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
	MemoryBytes   *int64           `json:"memory_bytes" jsonschema:"nullable"`
	AccuracyScore *float64         `json:"accuracy_score" jsonschema:"nullable"`
	StopReason    string           `json:"stop_reason,omitempty"`
	Error         *ErrorInfo       `json:"error" jsonschema:"nullable"`
}

// PlanInfo is how the model was run.
type PlanInfo struct {
	Threads   int    `json:"threads"`
	Precision string `json:"precision"`
}

// Defaults of a benchmark.
const (
	defaultIterations = 200
	defaultWarmup     = 10
	defaultDuration   = 10 * time.Second
	maxBatch          = 1024
)

// Benchmark measures a model on each device and batch size, one after the
// other, and records every measurement.
func (e *Engine) Benchmark(ctx context.Context, r BenchmarkRequest, report func(Progress)) (Benchmark, error) {
	if r.Cancel != "" {
		c, err := e.cancelRun(r.Cancel)
		return Benchmark{Common: c}, err
	}
	if err := r.defaults(e.o.Plugins.Workloads()); err != nil {
		return Benchmark{}, err
	}
	return perform(ctx, e, job[Benchmark]{kind: "benchmark", mode: r.Mode, keep: true, report: report, do: func(ctx context.Context, run *run) (Benchmark, error) {
		b := &benchmarking{e: e, r: r, run: run}
		err := b.do(ctx)
		return b.out, err
	}})
}

// defaults fills in and checks the request.
func (r *BenchmarkRequest) defaults(workloads []string) error {
	if r.Model == "" {
		return Errorf(ErrInvalidArgument, "no model is named").WithHint("pass \"model\": a name from models://, a CID or a path")
	}
	if r.Workload == "" {
		r.Workload = "latency"
	}
	if r.Iterations <= 0 {
		r.Iterations = defaultIterations
	}
	if r.DurationS <= 0 {
		r.DurationS = defaultDuration.Seconds()
	}
	if r.Warmup == nil {
		n := defaultWarmup
		r.Warmup = &n
	}
	if len(r.Devices) == 0 {
		r.Devices = []string{"all"}
	}
	if len(r.BatchSizes) == 0 {
		r.BatchSizes = []int{1}
	}
	for _, n := range r.BatchSizes {
		if n < 1 || n > maxBatch {
			return Errorf(ErrInvalidArgument, "batch size %d is not between 1 and %d", n, maxBatch)
		}
	}
	if slices.Contains(workloads, r.Workload) {
		return nil
	}
	return unknown(ErrInvalidArgument, "workload", r.Workload, workloads)
}

// benchmarking is one Benchmark as it goes.
type benchmarking struct {
	e   *Engine
	r   BenchmarkRequest
	run *run

	model *loadedModel
	graph Graph
	task  string
	work  func(batch int) (targetRun, error)
	out   Benchmark
}

// A targetRun runs one batch on given sessions.
type targetRun func(ctx context.Context, s Sessions) error

func (b *benchmarking) do(ctx context.Context) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	devices, err := b.devices(ctx)
	if err != nil {
		return err
	}
	env := b.e.env()
	b.out.MachineID, b.out.SoftwareID = env.record.ID, env.software
	batch := benchdb.Batch{Environments: []benchdb.Environment{env.record}, Sync: true}
	total := len(devices) * len(b.r.BatchSizes)
	for _, c := range devices {
		for _, n := range b.r.BatchSizes {
			res, row, err := b.measure(ctx, c, n, len(b.out.Results), total)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				res.Error = Explain(err)
				row.Error = string(res.Error.Code)
			}
			b.out.Results, batch.Results = append(b.out.Results, res), append(batch.Results, row)
			if err != nil && total == 1 {
				b.e.record(ctx, batch)
				return err
			}
		}
	}
	if !b.e.record(ctx, batch) {
		b.out.Warnings = append(b.out.Warnings, "the measurements could not be recorded")
	}
	b.summarize()
	return nil
}

// prepare finds the model and decides what a run of it is.
func (b *benchmarking) prepare(ctx context.Context) error {
	m, _, err := b.e.model(ctx, b.r.Model, b.run.progress)
	if err != nil {
		return err
	}
	b.model = m
	file, err := m.OnnxFileFor(b.r.Precision)
	if err != nil {
		return err
	}
	if b.graph, err = m.graph(file); err != nil {
		return err
	}
	b.out.Model = &ModelRef{Name: m.Name, CID: m.Root, File: file}
	b.run.about(b.out.Model)
	if len(b.r.Inputs) == 0 && b.r.Task == "" {
		b.out.Warnings = append(b.out.Warnings, "no inputs were given: measured on noise of the model's declared shape, dimensions left open are 1 or the batch size")
		b.work = func(n int) (targetRun, error) { return noise(b.graph, file, n) }
		return nil
	}
	return b.preparePipeline(ctx)
}

func (b *benchmarking) preparePipeline(ctx context.Context) error {
	if len(b.r.Inputs) == 0 {
		return Errorf(ErrInvalidArgument, "no inputs for task %s", b.r.Task).WithHint("pass \"inputs\" as for run_inference, or leave \"task\" out to measure the raw model on noise")
	}
	items, err := b.e.items(ctx, InferRequest{Inputs: b.r.Inputs})
	if err != nil {
		return err
	}
	p, task, err := b.e.pipeline(ctx, b.model, b.r.Task)
	if err != nil {
		return err
	}
	b.task = task
	b.work = func(n int) (targetRun, error) {
		batch := make([]Item, n)
		for i := range batch {
			batch[i] = items[i%len(items)]
		}
		return func(ctx context.Context, s Sessions) error {
			_, err := p.Run(ctx, s, Request{Items: batch, BatchSize: n})
			return err
		}, nil
	}
	return nil
}

// devices lists what to measure on.
func (b *benchmarking) devices(ctx context.Context) ([]candidate, error) {
	if len(b.r.Devices) == 1 && b.r.Devices[0] == "all" {
		return b.e.candidates(ctx)
	}
	var out []candidate
	for _, d := range b.r.Devices {
		cs, err := b.e.choose(ctx, d)
		if err != nil {
			return nil, err
		}
		if d == "auto" {
			cs = cs[:1]
		}
		out = append(out, cs...)
	}
	return out, nil
}

// measure runs the workload once. The i-th of total measurements it is.
func (b *benchmarking) measure(ctx context.Context, c candidate, n, i, total int) (BenchmarkResult, benchdb.Result, error) {
	res := BenchmarkResult{ResultID: newID(), Device: c.ID, Precision: b.graph.Precision, BatchSize: n, Workload: b.r.Workload}
	run, err := b.work(n)
	if err != nil {
		return res, b.row(res, c, Measurement{}, 0), err
	}
	o := b.e.open(b.model, c, func(time.Duration) {})
	defer o.release()
	b.out.Plan = &PlanInfo{Threads: o.threads, Precision: b.graph.Precision}
	w := b.e.o.Plugins.workloads[b.r.Workload]
	began := time.Now()
	m, err := execute(ctx, w, targetFunc(func(ctx context.Context, _ int) error { return run(ctx, o) }), WorkloadOptions{
		Iterations: b.r.Iterations, Duration: time.Duration(b.r.DurationS * float64(time.Second)), Warmup: *b.r.Warmup, BatchSize: n, Parallel: o.threads,
	}, func(p Progress) {
		p.Done, p.Total = p.Done+int64(i*b.r.Iterations), int64(total*b.r.Iterations)
		p.Message = fmt.Sprintf("%s on %s, batch %d", b.r.Workload, c.ID, n)
		b.run.progress(p)
	})
	if err != nil {
		return res, b.row(res, c, m, time.Since(began)), err
	}
	sum := benchdb.Summarize(m.Latencies).Rounded()
	res.LatencyMS, res.Samples, res.Warmup, res.StopReason = &sum, len(m.Latencies), m.Warmup, m.StopReason
	if m.Elapsed > 0 {
		res.ThroughputS = round3(float64(m.Items) / m.Elapsed.Seconds())
	}
	res.MemoryBytes = o.memory(ctx)
	return res, b.row(res, c, m, time.Since(began)), nil
}

// execute is one workload from set-up to tear-down.
func execute(ctx context.Context, w Workload, t Target, o WorkloadOptions, report func(Progress)) (m Measurement, err error) {
	x, err := w.Setup(ctx, t, o)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, x.TearDown()) }()
	return x.Execute(ctx, report)
}

type targetFunc func(ctx context.Context, n int) error

func (f targetFunc) Run(ctx context.Context, n int) error { return f(ctx, n) }

func (b *benchmarking) row(res BenchmarkResult, c candidate, m Measurement, took time.Duration) benchdb.Result {
	meta, err := json.Marshal(map[string]any{
		"software_id": b.out.SoftwareID, "version": b.e.o.Version, "threads": b.out.Plan.threads(), "stop_reason": m.StopReason,
		"took_ms": ms(took), "file": b.out.Model.File,
	})
	if err != nil {
		meta = []byte("{}")
	}
	return benchdb.Result{
		ID: res.ResultID, RunID: b.run.id, Timestamp: time.Now(), ModelName: b.model.Name, ModelCID: b.model.Root, Task: b.task,
		Workload: res.Workload, HardwareType: string(c.Kind), Device: c.ID, Precision: res.Precision, BatchSize: res.BatchSize,
		Warmup: res.Warmup, Latencies: m.Latencies, Throughput: res.ThroughputS, MemoryBytes: res.MemoryBytes,
		Environment: b.out.MachineID, Metadata: meta,
	}
}

func (p *PlanInfo) threads() int {
	if p == nil {
		return 0
	}
	return p.Threads
}

func (b *benchmarking) summarize() {
	for _, r := range b.out.Results {
		if r.LatencyMS == nil {
			continue
		}
		b.out.Summary = fmt.Sprintf("%s: p50 %.3g ms, %.4g items/s on %s at batch %d", cmpName(b.model.Name, b.model.Root), r.LatencyMS.P50, r.ThroughputS, r.Device, r.BatchSize)
		break
	}
	b.out.NextSteps = []string{"query_results {\"report\":\"percentiles\",\"model\":\"" + cmpName(b.model.Name, b.model.Root) + "\"}"}
}

// memory is the peak of the process that holds the session, if it says so.
func (o *opened) memory(ctx context.Context) *int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.byFile {
		if d, ok := s.s.(Describer); ok {
			if info, err := d.Describe(ctx); err == nil && info.MemoryBytes > 0 {
				return &info.MemoryBytes
			}
		}
	}
	return nil
}
