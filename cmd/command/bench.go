package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A benchFlags is how bench was asked.
type benchFlags struct {
	r               engine.BenchmarkRequest
	duration, bound time.Duration
	warmup          int
	format          string
	suite           string
	chart           string // file to draw to
	baseline        string // file of an earlier suite
	baselineBin     string
	acceptStored    bool
}

func (c *cli) bench() *cobra.Command {
	var b benchFlags
	cmd := &cobra.Command{
		Use:   "bench MODEL [INPUT...] | bench --suite FILE",
		Short: "Measure how fast a model runs",
		Long: `Measure how fast a model runs, record it, and compare it.

With --baseline-bin another build of this program measures in turn with this
one, so that a drift of the machine is in both. With --compare the other side
is an earlier run, and for a suite with --baseline the file of an earlier one
(bench --suite FILE --json): then a slow-down is only told, unless
--accept-stored says that it counts. The exit code is 3 if it became slower,
and 4 if the sides can't be compared or are too few to tell: measure at least 5
rounds, better 10.`,
		Example: `  ipfs-accelerate bench minilm "a sentence of usual length" --batch 1,8
  ipfs-accelerate bench minilm "a sentence of usual length" --tune
  ipfs-accelerate bench blazeface --workload server --latency-bound 20ms
  ipfs-accelerate bench blazeface --rounds 10 --baseline-bin ./ipfs-accelerate-before
  ipfs-accelerate bench --suite examples/suites/small.yaml --format markdown`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.runBench(cmd, &b, args) },
		Args: cobra.ArbitraryArgs,
	}
	f := cmd.Flags()
	r := &b.r
	f.StringVar(&r.Task, "task", "", "Hugging Face task id (default: what the model's files say)")
	f.StringVar(&r.Workload, "workload", "latency", "latency, offline, server, cold_start, memory, fetch, import or accuracy")
	f.StringSliceVar(&r.Devices, "devices", []string{"all"}, "devices or platforms of detect")
	f.IntSliceVar(&r.BatchSizes, "batch", []int{1}, "items per run")
	f.StringVar(&r.Precision, "precision", "auto", "auto, fp32, fp16, bf16 or int8")
	f.IntVar(&r.Iterations, "iterations", 0, "samples wanted (default 200, or 10 where each loads the model)")
	f.DurationVar(&b.duration, "duration", 10*time.Second, "stop a measurement after this long")
	f.IntVar(&b.warmup, "warmup", 10, "runs before the first sample")
	f.IntVar(&r.Parameters.Rounds, "rounds", 1, "how often to measure all in turn, each time with the model loaded anew")
	f.Float64Var(&r.Parameters.RatePerS, "rate", 0, "workload server: batches that arrive per second")
	f.DurationVar(&b.bound, "latency-bound", 0, "workload server: find the highest rate whose 99th percentile holds this")
	f.StringVar(&r.Parameters.Dataset, "dataset", "", "workload accuracy: a .jsonl file of input with label or embedding")
	f.StringVar(&r.Baseline, "compare", "", "id of a run to compare with")
	f.BoolVar(&r.Tune, "tune", false, "find the threads and the batch size that are best, and use them from now on")
	f.StringVar(&b.baseline, "baseline", "", "with --suite: a file of an earlier suite to compare with")
	f.StringVar(&b.baselineBin, "baseline-bin", "", "another ipfs-accelerate to measure in turn with this one")
	f.BoolVar(&b.acceptStored, "accept-stored", false, "exit with 3 for a slow-down against something stored, too")
	f.StringVar(&b.suite, "suite", "", "a YAML file of models and workloads to measure")
	f.StringVar(&b.chart, "chart", "", "draw the model's history by this workload to a PNG file")
	f.StringVar(&b.format, "format", "table", "table, markdown or benchstat")
	return cmd
}

// runBench is one request, or a suite of them.
func (c *cli) runBench(cmd *cobra.Command, b *benchFlags, args []string) error {
	b.r.DurationS, b.r.Parameters.LatencyBoundMS = b.duration.Seconds(), float64(b.bound)/float64(time.Millisecond)
	changed := cmd.Flags().Changed
	if changed("warmup") {
		b.r.Warmup = &b.warmup
	}
	if b.r.Tune { // it has its own, but refuses those that were asked for
		clearUnless(&b.r.BatchSizes, changed("batch"))
		clearUnless(&b.r.Parameters.Rounds, changed("rounds"))
		clearUnless(&b.r.DurationS, changed("duration"))
	}
	s := suite{Name: "bench"}
	switch {
	case (b.suite == "") == (len(args) == 0):
		return usageError{errors.New("name either a model or, with --suite, a file")}
	case b.suite != "" && (b.r.Baseline != "" || b.chart != ""), b.suite == "" && b.baseline != "":
		return usageError{errors.New("--compare and --chart are for one model, --baseline is for a suite")}
	case b.suite != "":
		var err error
		if s, err = readSuite(b.suite); err != nil {
			return err
		}
	default:
		b.r.Model, b.r.Inputs = args[0], args[1:]
		s.requests = []engine.BenchmarkRequest{b.r}
	}
	show, err := benchPrinter(b.format)
	if err != nil {
		return err
	}
	return c.with(func(a *app) error {
		r, err := c.measureSuite(cmd.Context(), a, s, b)
		if err != nil {
			return err
		}
		if err := c.drawHistory(cmd.Context(), a, b); err != nil {
			return err
		}
		if c.json && b.suite == "" && b.baselineBin == "" { // as the tool answers
			err = c.printJSON(r.Runs[0])
		} else if c.json {
			err = c.printJSON(r)
		} else {
			err = c.table(func(w io.Writer) { show(w, r) })
		}
		return errors.Join(err, c.judge(r, b))
	})
}

// clearUnless sets a flag's value to none if it is only the default.
func clearUnless[T any](value *T, given bool) {
	if !given {
		*value = *new(T)
	}
}

// drawHistory draws how the model has done so far.
func (c *cli) drawHistory(ctx context.Context, a *app, b *benchFlags) error {
	if b.chart == "" {
		return nil
	}
	_, err := ask(ctx, a, engine.ResultsRequest{Report: "history", Model: b.r.Model, Workload: b.r.Workload, Limit: 200}, b.chart)
	return err
}

// judge is what comparisons mean for the exit code.
func (c *cli) judge(r suiteReport, b *benchFlags) error {
	var slower, unknown int
	for _, v := range r.Comparisons {
		switch v.Verdict {
		case benchdb.Slower:
			slower++
		case benchdb.Insufficient, benchdb.NotComparable:
			unknown++
		}
	}
	stored := b.baselineBin == "" && !b.acceptStored
	switch {
	case slower > 0 && stored:
		fmt.Fprintf(c.err, "warning: %d slower than what is stored; measure both in turn with --baseline-bin, or let it count with --accept-stored\n", slower)
		return nil
	case slower > 0:
		return verdictError{ExitRegression, fmt.Errorf("%d of %d became slower", slower, len(r.Comparisons))}
	case unknown > 0:
		return verdictError{ExitUnavailable, fmt.Errorf("%d of %d comparisons have no verdict", unknown, len(r.Comparisons))}
	}
	return nil
}

// A verdictError is a comparison that did not come out well. What was measured
// has been shown already.
type verdictError struct {
	code int
	error
}

func benchPrinter(format string) (func(io.Writer, suiteReport), error) {
	switch format {
	case "table":
		return printBenchmarks, nil
	case "markdown":
		return printMarkdown, nil
	case "benchstat":
		return printBenchstat, nil
	}
	return nil, usageError{fmt.Errorf("format %q is none of table, markdown and benchstat", format)}
}

// printBenchstat writes results in Go's benchmark format, which benchstat
// compares (https://go.dev/design/14313-benchmark-format).
func printBenchstat(w io.Writer, s suiteReport) {
	for _, b := range s.Runs {
		row(w, "goos: %s\ngoarch: %s\npkg: ipfs-accelerate\nmachine: %s\nsoftware: %s", runtime.GOOS, runtime.GOARCH, b.MachineID, b.SoftwareID)
		for _, r := range b.Results {
			if r.Error == nil {
				row(w, "Benchmark%s/model=%s/device=%s/batch=%d %d %.0f ns/op %.4g items/s", camel(r.Workload), modelName(b),
					cmp.Or(r.Device, "none"), r.BatchSize, r.Samples, r.LatencyMS.P50*1e6, r.ThroughputS)
			}
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

func modelName(b engine.Benchmark) string { return cmp.Or(b.Model.Name, b.Model.CID) }

func printBenchmarks(w io.Writer, s suiteReport) {
	for _, b := range s.Runs {
		for _, warning := range b.Warnings {
			row(w, "warning: %s", warning)
		}
	}
	row(w, "model\tworkload\tdevice\tbatch\tsamples\tmean ms\tp50\tp90\tp95\tp99\titems/s\tmemory\t")
	for _, b := range s.Runs {
		for _, r := range b.Results {
			row(w, "%s", strings.Join(cells(b, r), "\t"))
		}
	}
	for _, b := range s.Runs {
		if strings.HasPrefix(b.Summary, "tuned") {
			row(w, "%s", b.Summary)
		}
		row(w, "run %s", b.RunID)
	}
	for _, g := range s.Geomeans {
		if g.Results < 2 {
			continue
		}
		row(w, "geometric mean of p50, %s: %.4g ms", g.Workload, g.P50MS)
	}
	for _, v := range s.Comparisons {
		row(w, "%s: %s", v.Name, comparisonText(v.Comparison))
	}
}

// cells are a result in columns.
func cells(b engine.Benchmark, r engine.BenchmarkResult) []string {
	start := []string{modelName(b), r.Workload, cmp.Or(r.Device, "-"), strconv.Itoa(r.BatchSize)}
	if r.Error != nil {
		return append(start, r.Error.Message)
	}
	l, memory := r.LatencyMS, "-"
	if r.MemoryBytes != nil {
		memory = humanBytes(*r.MemoryBytes)
	}
	return append(start, strconv.Itoa(r.Samples), fmt.Sprintf("%.3f", l.Mean), fmt.Sprintf("%.3f", l.P50),
		orDash(l.P90), orDash(l.P95), orDash(l.P99), fmt.Sprintf("%.4g", r.ThroughputS), memory, remark(r))
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
	text := string(c.Verdict)
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
