package command

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

func (c *cli) bench() *cobra.Command {
	var r engine.BenchmarkRequest
	var duration time.Duration
	warmup := 10
	cmd := &cobra.Command{
		Use:   "bench MODEL [INPUT...]",
		Short: "Measure how fast a model runs",
		Example: `  ipfs-accelerate bench minilm "a sentence of usual length" --batch-sizes 1,8
  ipfs-accelerate bench blazeface --workload offline`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Model, r.Inputs = args[0], args[1:]
			r.DurationS, r.Warmup = duration.Seconds(), &warmup
			return c.with(func(a *app) error { return c.runBench(cmd, a, r) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Task, "task", "", "Hugging Face task id (default: what the model's files say)")
	f.StringVar(&r.Workload, "workload", "latency", "latency or offline")
	f.StringSliceVar(&r.Devices, "devices", []string{"all"}, "devices or platforms of detect")
	f.IntSliceVar(&r.BatchSizes, "batch-sizes", []int{1}, "items per run")
	f.StringVar(&r.Precision, "precision", "auto", "auto, fp32, fp16 or int8")
	f.IntVar(&r.Iterations, "iterations", 200, "samples wanted")
	f.DurationVar(&duration, "duration", 10*time.Second, "stop a measurement after this long")
	f.IntVar(&warmup, "warmup", warmup, "runs before the first sample")
	return cmd
}

func (c *cli) runBench(cmd *cobra.Command, a *app, r engine.BenchmarkRequest) error {
	report, done := c.progress()
	b, err := a.engine.Benchmark(cmd.Context(), r, report)
	done()
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(b)
	}
	return c.table(func(w io.Writer) { printBenchmark(w, b) })
}

func printBenchmark(w io.Writer, b engine.Benchmark) {
	for _, warning := range b.Warnings {
		row(w, "warning: %s", warning)
	}
	row(w, "device\tbatch\tsamples\tmean ms\tp50\tp90\tp95\tp99\titems/s\tmemory")
	for _, r := range b.Results {
		if r.Error != nil {
			row(w, "%s\t%d\t%s", r.Device, r.BatchSize, r.Error.Message)
			continue
		}
		l, memory := r.LatencyMS, "-"
		if r.MemoryBytes != nil {
			memory = humanBytes(*r.MemoryBytes)
		}
		row(w, "%s\t%d\t%d\t%.3f\t%.3f\t%s\t%s\t%s\t%.4g\t%s", r.Device, r.BatchSize, r.Samples, l.Mean, l.P50,
			orDash(l.P90), orDash(l.P95), orDash(l.P99), r.ThroughputS, memory)
	}
	row(w, "run %s", b.RunID)
}

// orDash shows what was not measured as a dash.
func orDash(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", *v)
}
