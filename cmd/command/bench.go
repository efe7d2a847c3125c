package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

func (c *cli) bench() *cobra.Command {
	var r engine.BenchmarkRequest
	var duration, bound time.Duration
	var format string
	var warmup int
	cmd := &cobra.Command{
		Use:   "bench MODEL [INPUT...]",
		Short: "Measure how fast a model runs",
		Long: `Measure how fast a model runs, record it, and compare it with an earlier run.

With --baseline the exit code is 3 if it became slower, and 4 if the two runs
can't be compared or are too few to tell: give both 5 rounds or, better, 10.`,
		Example: `  ipfs-accelerate bench minilm "a sentence of usual length" --batch-sizes 1,8
  ipfs-accelerate bench blazeface --workload server --latency-bound 20ms
  ipfs-accelerate bench blazeface --rounds 10 --baseline 01a205df-694c-7c4d-8c31-f7aa167b9181
  ipfs-accelerate bench blazeface --rounds 10 --format benchstat > new.txt`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Model, r.Inputs = args[0], args[1:]
			r.DurationS, r.Parameters.LatencyBoundMS = duration.Seconds(), float64(bound)/float64(time.Millisecond)
			if cmd.Flags().Changed("warmup") {
				r.Warmup = &warmup
			}
			show, err := benchPrinter(format)
			if err != nil {
				return err
			}
			return c.with(func(a *app) error { return c.runBench(cmd, a, r, show) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Task, "task", "", "Hugging Face task id (default: what the model's files say)")
	f.StringVar(&r.Workload, "workload", "latency", "latency, offline, server, cold_start, memory, fetch, import or accuracy")
	f.StringSliceVar(&r.Devices, "devices", []string{"all"}, "devices or platforms of detect")
	f.IntSliceVar(&r.BatchSizes, "batch-sizes", []int{1}, "items per run")
	f.StringVar(&r.Precision, "precision", "auto", "auto, fp32, fp16 or int8")
	f.IntVar(&r.Iterations, "iterations", 0, "samples wanted (default 200, or 10 where each loads the model)")
	f.DurationVar(&duration, "duration", 10*time.Second, "stop a measurement after this long")
	f.IntVar(&warmup, "warmup", 10, "runs before the first sample")
	f.IntVar(&r.Parameters.Rounds, "rounds", 1, "how often to measure all in turn, each time with the model loaded anew")
	f.Float64Var(&r.Parameters.RatePerS, "rate", 0, "workload server: batches that arrive per second")
	f.DurationVar(&bound, "latency-bound", 0, "workload server: find the highest rate whose 99th percentile holds this")
	f.StringVar(&r.Parameters.Dataset, "dataset", "", "workload accuracy: a .jsonl file of input with label or embedding")
	f.StringVar(&r.Baseline, "baseline", "", "id of a run to compare with")
	f.StringVar(&format, "format", "table", "table or benchstat")
	return cmd
}

func (c *cli) runBench(cmd *cobra.Command, a *app, r engine.BenchmarkRequest, show func(io.Writer, engine.Benchmark)) error {
	report, done := c.progress()
	b, err := a.engine.Benchmark(cmd.Context(), r, report)
	done()
	if err != nil {
		return err
	}
	if c.json {
		err = c.printJSON(b)
	} else {
		err = c.table(func(w io.Writer) { show(w, b) })
	}
	return errors.Join(err, judge(b.Comparison))
}

// judge is what a comparison means for the exit code.
func judge(c *benchdb.Comparison) error {
	switch {
	case c == nil || c.Verdict == benchdb.Faster || c.Verdict == benchdb.Indistinguishable:
		return nil
	case c.Verdict == benchdb.Slower:
		return verdictError{ExitRegression, errors.New("it became slower than the baseline")}
	}
	return verdictError{ExitUnavailable, fmt.Errorf("no verdict: %s: %s", c.Verdict, c.Reason)}
}

// A verdictError is a comparison that did not come out well. What was measured
// has been shown already.
type verdictError struct {
	code int
	error
}

func benchPrinter(format string) (func(io.Writer, engine.Benchmark), error) {
	switch format {
	case "table":
		return printBenchmark, nil
	case "benchstat":
		return printBenchstat, nil
	}
	return nil, usageError{fmt.Errorf("format %q is neither table nor benchstat", format)}
}

// printBenchstat writes results in Go's benchmark format, which benchstat
// compares (https://go.dev/design/14313-benchmark-format).
func printBenchstat(w io.Writer, b engine.Benchmark) {
	row(w, "goos: %s\ngoarch: %s\npkg: ipfs-accelerate\nmachine: %s\nsoftware: %s", runtime.GOOS, runtime.GOARCH, b.MachineID, b.SoftwareID)
	for _, r := range b.Results {
		if r.Error == nil {
			row(w, "Benchmark%s/model=%s/device=%s/batch=%d %d %.0f ns/op %.4g items/s", camel(r.Workload), cmp.Or(b.Model.Name, b.Model.CID),
				cmp.Or(r.Device, "none"), r.BatchSize, r.Samples, r.LatencyMS.P50*1e6, r.ThroughputS)
		}
	}
}

// camel turns cold_start into ColdStart.
func camel(s string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(s, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

func printBenchmark(w io.Writer, b engine.Benchmark) {
	for _, warning := range b.Warnings {
		row(w, "warning: %s", warning)
	}
	row(w, "device\tbatch\tsamples\tmean ms\tp50\tp90\tp95\tp99\titems/s\tmemory\t")
	for _, r := range b.Results {
		if r.Error != nil {
			row(w, "%s\t%d\t%s", r.Device, r.BatchSize, r.Error.Message)
			continue
		}
		l, memory := r.LatencyMS, "-"
		if r.MemoryBytes != nil {
			memory = humanBytes(*r.MemoryBytes)
		}
		row(w, "%s\t%d\t%d\t%.3f\t%.3f\t%s\t%s\t%s\t%.4g\t%s\t%s", cmp.Or(r.Device, "-"), r.BatchSize, r.Samples, l.Mean, l.P50,
			orDash(l.P90), orDash(l.P95), orDash(l.P99), r.ThroughputS, memory, remark(r))
	}
	row(w, "run %s", b.RunID)
	if c := b.Comparison; c != nil {
		row(w, "%s", comparisonText(*c))
	}
}

// remark is what only some workloads measure.
func remark(r engine.BenchmarkResult) string {
	var parts []string
	if r.RatePerS > 0 {
		parts = append(parts, fmt.Sprintf("%.4g/s arrived", r.RatePerS))
	}
	if r.BoundHeld != nil && !*r.BoundHeld {
		parts = append(parts, "bound not held")
	}
	if r.AccuracyScore != nil {
		parts = append(parts, fmt.Sprintf("accuracy %.4f", *r.AccuracyScore))
	}
	if r.Bytes != nil && r.LatencyMS.P50 > 0 {
		parts = append(parts, humanBytes(int64(float64(*r.Bytes)/r.LatencyMS.P50*1000))+"/s")
	}
	if r.Noisy != nil && *r.Noisy {
		parts = append(parts, "noisy")
	}
	return strings.Join(parts, ", ")
}

func comparisonText(c benchdb.Comparison) string {
	text := "compared with the baseline: " + string(c.Verdict)
	if c.Change != nil {
		text += fmt.Sprintf(", %+.1f %%", 100**c.Change)
	}
	if c.CI95 != nil {
		text += fmt.Sprintf(" (95 %% interval %+.1f to %+.1f %%)", 100*c.CI95[0], 100*c.CI95[1])
	}
	if c.MinDetectable != nil {
		text += fmt.Sprintf("; a change of %.1f %% would be found", 100**c.MinDetectable)
	}
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return text
}

// orDash shows what was not measured as a dash.
func orDash(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", *v)
}
