package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// A measuring is one measurement as it goes.
type measuring struct {
	b   *benchmarking
	m   measurement
	o   *opened // nil if no device takes part
	res BenchmarkResult
	row benchdb.Result

	mu    sync.Mutex // guards loads
	loads []time.Duration
}

// measure runs the workload once; total is how many measurements there are.
func (b *benchmarking) measure(ctx context.Context, m measurement, total int) (BenchmarkResult, benchdb.Result, error) {
	x := &measuring{b: b, m: m, res: BenchmarkResult{
		ResultID: newID(), BatchSize: m.batch, Workload: b.r.Workload,
	}}
	if m.c != nil {
		x.res.Device, x.res.Precision = m.c.ID, m.c.precision(b.graph)
		x.o = b.e.open(b.model, *m.c, x.loaded)
		x.o.file = b.out.Model.File
		if m.threads > 0 {
			x.o.threads = m.threads
		}
		x.res.Threads = x.o.threads
		profiled := b.e.profiling(ctx, x.o, b.run.id, func(f FileRef) { b.out.Files = append(b.out.Files, f) })
		defer profiled()
		defer x.o.release()
		b.out.Plan = &PlanInfo{Threads: x.o.threads, BatchSize: m.batch, Precision: x.res.Precision}
	}
	err := x.do(ctx, total)
	x.fill()
	return x.res, x.row, err
}

// loaded notes how long a session took to open.
func (x *measuring) loaded(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loads = append(x.loads, d)
}

func (x *measuring) do(ctx context.Context, total int) error {
	if x.m.c != nil {
		if err := x.b.e.unfit(*x.m.c, x.b.model, x.b.out.Model.File, x.b.graph); err != nil {
			return err
		}
	}
	s, err := x.b.subject(ctx, x.m, x.o)
	if err != nil {
		return err
	}
	defer s.close() // a scratch folder that stays is no reason to lose the measurement
	if x.m.replay > 0 {
		if u, ok := s.(Unloader); ok { // each round in a process of its own
			if err := u.Unload(ctx); err != nil {
				return err
			}
		}
	}
	o := x.options(s)
	x.b.phases.reset()
	loadBefore, energy, began := hardware.LoadAverage(), hardware.MeterEnergy(ctx, x.kind()), time.Now()
	m, err := execute(ctx, x.b.workload, s, o, x.progress(o, total))
	took := ms(time.Since(began))
	x.row.Measures = benchdb.Measures{
		DurationMS: &took, Joules: energy.Stop(), LoadBefore: loadBefore, LoadAfter: hardware.LoadAverage(),
	}
	if err != nil {
		return err
	}
	x.measured(ctx, m, s)
	return nil
}

// kind is the platform that is measured.
func (x *measuring) kind() hardware.Kind {
	if x.m.c == nil {
		return hardware.CPU
	}
	return x.m.c.Kind
}

func (x *measuring) options(s subject) WorkloadOptions {
	r := x.b.r
	o := WorkloadOptions{
		Iterations: r.Iterations, Duration: time.Duration(r.DurationS * float64(time.Second)), Warmup: *r.Warmup,
		BatchSize: x.m.batch, Parallel: 1, Rate: r.Parameters.RatePerS, Bound: time.Duration(r.Parameters.LatencyBoundMS * float64(time.Millisecond)),
	}
	if x.o != nil {
		o.Parallel = x.o.threads
	}
	if d, ok := s.(*datasetSubject); ok { // all of it, once
		o.Iterations, o.Duration = (len(d.items)+x.m.batch-1)/x.m.batch, 0
	}
	return o
}

// progress reports over all measurements.
func (x *measuring) progress(o WorkloadOptions, total int) func(Progress) {
	return func(p Progress) {
		of := max(p.Total, int64(o.Iterations))
		p.Done, p.Total = p.Done+int64(x.m.i)*of, int64(total)*of
		p.Message = x.b.r.Workload
		if x.m.c != nil {
			p.Message = fmt.Sprintf("%s on %s, batch %d", x.b.r.Workload, x.m.c.ID, x.m.batch)
		}
		x.b.run.progress(p)
	}
}

// measured takes over what the workload saw.
func (x *measuring) measured(ctx context.Context, m Measurement, s subject) {
	sum := benchdb.Summarize(m.Latencies).Rounded()
	x.res.LatencyMS, x.res.Samples, x.res.Warmup, x.res.StopReason = &sum, len(m.Latencies), m.Warmup, m.StopReason
	x.res.RatePerS, x.res.BoundHeld = round3(m.Rate), m.BoundHeld
	if m.Elapsed > 0 {
		x.res.ThroughputS = round3(float64(m.Items) / m.Elapsed.Seconds())
	}
	noisy := unsteady(m.Latencies) || busy(x.row.LoadBefore)
	x.res.Noisy, x.row.Noisy = &noisy, &noisy
	x.row.Latencies, x.row.Offsets = m.Latencies, m.Offsets
	x.res.Joules = x.row.Joules
	switch s := s.(type) {
	case *modelSubject:
		x.res.MemoryBytes = s.o.memory(ctx)
	case *datasetSubject:
		x.res.MemoryBytes = s.o.memory(ctx)
		x.res.Accuracy = s.accuracy()
		x.res.AccuracyScore = x.res.Accuracy.score()
	case *scratchSubject:
		n := s.bytes.Load()
		x.res.Bytes, x.row.Bytes = &n, &n
	}
	x.learn(ctx)
	x.addPhases()
	x.addLoads()
	x.b.series(x.res.ResultID, m)
}

// enough samples of single runs tell which device is best for the model.
const enough = 30

// learn keeps how long a run takes, if that is what was measured.
func (x *measuring) learn(ctx context.Context) {
	if x.m.c == nil || x.m.batch != 1 || x.res.Samples < enough || x.b.r.Workload != "latency" || subjectOf(x.b.workload) != SubjectModel {
		return
	}
	if err := x.b.e.proofs.setRun(*x.m.c, &x.b.model.Model, x.b.out.Model.File, x.res.LatencyMS.P50); err != nil {
		x.b.e.log.ErrorContext(ctx, "what was found out about a device can't be kept", "error", err)
	}
}

// addPhases notes where the time of a run went, where a pipeline tells.
func (x *measuring) addPhases() {
	p := x.b.phases.means()
	if p == nil {
		return
	}
	x.res.Phases = p
	x.row.PreprocessMS, x.row.RunMS, x.row.PostMS = &p.Preprocess, &p.Run, &p.Postprocess
}

// addLoads notes how long the model took to load, on average, where it did.
func (x *measuring) addLoads() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.loads) == 0 {
		return
	}
	var sum time.Duration
	for _, d := range x.loads {
		sum += d
	}
	mean := round3(ms(sum) / float64(len(x.loads)))
	x.res.LoadMS, x.row.LoadMS = &mean, &mean
}

// series keeps the memory after each run, where it was measured.
func (b *benchmarking) series(result string, m Measurement) {
	if len(m.MemoryBytes) == 0 {
		return
	}
	values := make([]float64, len(m.MemoryBytes))
	for i, n := range m.MemoryBytes {
		values[i] = float64(n)
	}
	b.watched = append(b.watched, benchdb.TimeSeries{
		ID: newID(), Timestamp: time.Now(), RunID: b.run.id, ResultID: result, Name: "memory_bytes", Unit: "bytes",
		Offsets: m.Offsets, Values: values,
	})
}

// fill completes the row.
func (x *measuring) fill() {
	b, row := x.b, &x.row
	row.ID, row.RunID, row.Timestamp = x.res.ResultID, b.run.id, time.Now()
	row.ModelName, row.ModelCID, row.Task = b.model.Name, b.model.Root, b.task
	row.Workload, row.Precision, row.BatchSize, row.Warmup = x.res.Workload, x.res.Precision, x.res.BatchSize, x.res.Warmup
	row.Throughput, row.MemoryBytes, row.AccuracyScore = x.res.ThroughputS, x.res.MemoryBytes, x.res.AccuracyScore
	row.Environment, row.SoftwareID = b.out.MachineID, b.e.software(x.m.driver()).ID
	if x.m.c != nil {
		row.HardwareType, row.Device, row.Threads = string(x.m.c.Kind), x.m.c.ID, x.o.threads
	}
	x.res.ConfigKey = b.configKey()
	row.ConfigKey = x.res.ConfigKey
	row.Metadata = x.metadata()
}

// configKey is what else must be equal for two results to be compared: the
// file that was run, and on what.
func (b *benchmarking) configKey() string {
	key, err := json.Marshal(map[string]any{
		"held": len(b.r.Inputs) == 0, "file": b.out.Model.File, "inputs": b.r.Inputs, "parameters": BenchmarkParameters{
			RatePerS: b.r.Parameters.RatePerS, LatencyBoundMS: b.r.Parameters.LatencyBoundMS, Dataset: b.r.Parameters.Dataset,
		},
	})
	if err != nil {
		return "" // strings and numbers can't fail
	}
	return fingerprint(key) // of the inputs nothing else is kept
}

func (x *measuring) metadata() json.RawMessage {
	meta := map[string]any{
		"version": x.b.e.o.Version, "stop_reason": x.res.StopReason, "file": x.b.out.Model.File,
		"round": x.m.replay, "mlperf_compliant": false, "mlperf_reason": "shorter than MLPerf's rules ask for, and not by its LoadGen",
	}
	if x.res.RatePerS > 0 {
		meta["rate_per_s"], meta["bound_held"] = x.res.RatePerS, x.res.BoundHeld
	}
	if x.res.Accuracy != nil {
		meta["accuracy"] = x.res.Accuracy
	}
	data, err := json.Marshal(meta)
	if err != nil {
		return json.RawMessage("{}")
	}
	return data
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
