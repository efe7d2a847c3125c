package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// A tuned plan is how a model was measured to run best on a device.
type tuned struct {
	At        time.Time `json:"at"`
	Threads   int       `json:"threads"`
	BatchSize int       `json:"batch_size"`
}

// What a search goes by: more threads must gain enough to be worth the cores
// that others could use, larger batches enough to be worth the waiting.
const (
	threadGain = 0.97 // of the time with fewer
	batchGain  = 1.05 // of the throughput of half the batch
	maxTuned   = 64   // items
)

// tune finds for each device how the model runs best on it, and keeps that for
// later runs.
func (b *benchmarking) tune(ctx context.Context, devices []measurement, rows *benchdb.Batch) error {
	for _, d := range devices {
		best, err := b.tuneDevice(ctx, d.c, rows)
		if err != nil {
			return err
		}
		plan := tuned{now(), best.Threads, best.BatchSize}
		if err := b.e.proofs.setPlan(*d.c, &b.model.Model, plan); err != nil {
			b.out.Warnings = append(b.out.Warnings, "the plan could not be kept: later runs don't use it")
			b.e.log.ErrorContext(ctx, "a plan can't be kept", "error", err)
		}
		figures, err := json.Marshal(map[string]float64{"p50_ms": best.LatencyMS.P50, "throughput_per_s": best.ThroughputS})
		if err != nil {
			return err
		}
		rows.Plans = append(rows.Plans, benchdb.Plan{
			Timestamp: plan.At, ModelCID: b.model.Root, Device: d.c.ID, MachineID: b.out.MachineID, Threads: plan.Threads,
			BatchSize: plan.BatchSize, Precision: best.Precision, RunID: b.run.id, Figures: figures,
		})
		if len(rows.Plans) == 1 {
			b.out.Plan = &PlanInfo{plan.Threads, plan.BatchSize, best.Precision}
			b.out.Summary = fmt.Sprintf("tuned on %s: %s, batch %d gives %.4g items/s; later runs use it", d.c.ID, plural(plan.Threads, "thread"), plan.BatchSize, best.ThroughputS)
		}
	}
	b.e.sessions.drop(b.model.Root) // those with other threads are of no more use
	return nil
}

// tuneDevice measures the model with more threads, then with larger batches,
// as long as that pays.
func (b *benchmarking) tuneDevice(ctx context.Context, c *candidate, rows *benchdb.Batch) (best BenchmarkResult, err error) {
	for _, n := range b.e.threadCounts(*c) {
		r, err := b.one(ctx, measurement{i: len(b.out.Results), c: c, batch: 1, threads: n}, rows)
		if err != nil {
			return best, err
		}
		if best.LatencyMS == nil || r.LatencyMS.P50 < threadGain*best.LatencyMS.P50 {
			best = r
		}
	}
	threads := best.Threads
	for n := 2; n <= maxTuned; n *= 2 {
		r, err := b.one(ctx, measurement{i: len(b.out.Results), c: c, batch: n, threads: threads}, rows)
		if ctx.Err() != nil {
			return best, ctx.Err()
		}
		if err == nil && r.ThroughputS >= batchGain*best.ThroughputS {
			best = r
			continue
		}
		break // it takes no larger batch, which its result says, or gains nothing by it
	}
	return best, nil
}

// threadCounts are how many threads are tried on a device: one, and each
// doubling up to all that there are.
func (e *Engine) threadCounts(c candidate) []int {
	h, err := e.host()
	if err != nil || c.Kind != hardware.CPU && c.Kind != hardware.OpenVINO {
		return []int{1}
	}
	most := threads(h)
	var out []int
	for n := 1; n < most; n *= 2 {
		out = append(out, n)
	}
	return append(out, most)
}

// checkTune refuses what a search does not go with: it chooses these itself.
func (r *BenchmarkRequest) checkTune() error {
	if !r.Tune || len(r.BatchSizes) == 0 && r.Workload == "latency" && r.Parameters.Rounds == 0 {
		return nil
	}
	return Errorf(ErrInvalidArgument, "tune searches batch sizes and threads by workload latency, in one round").
		WithHint("leave batch_sizes, workload and rounds out")
}
