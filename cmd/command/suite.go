package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A suite is what to measure: each model by each workload.
type suite struct {
	Name       string       `yaml:"name"`
	Workloads  []string     `yaml:"workloads"`   // default latency
	Devices    []string     `yaml:"devices"`     // default all
	BatchSizes []int        `yaml:"batch_sizes"` // default 1
	Rounds     int          `yaml:"rounds"`      // default 1
	Iterations int          `yaml:"iterations"`
	DurationS  float64      `yaml:"duration_s"`
	Models     []suiteModel `yaml:"models"`

	requests []engine.BenchmarkRequest
}

type suiteModel struct {
	Model          string   `yaml:"model"`
	Task           string   `yaml:"task"`
	Precision      string   `yaml:"precision"`
	Inputs         []string `yaml:"inputs"`
	BatchSizes     []int    `yaml:"batch_sizes"` // instead of the suite's
	Dataset        string   `yaml:"dataset"`
	LatencyBoundMS float64  `yaml:"latency_bound_ms"`
	RatePerS       float64  `yaml:"rate_per_s"`
}

// maxSuite bounds a suite's file, in bytes.
const maxSuite = 1 << 20

func readSuite(path string) (suite, error) {
	var s suite
	f, err := os.Open(path)
	if err != nil {
		return s, usageError{err}
	}
	defer f.Close()
	d := yaml.NewDecoder(io.LimitReader(f, maxSuite))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		return s, usageError{fmt.Errorf("%s is no suite: %w", path, err)}
	}
	if len(s.Models) == 0 {
		return s, usageError{fmt.Errorf("%s names no models", path)}
	}
	s.expand()
	return s, nil
}

// expand lists the requests that a suite is made of.
func (s *suite) expand() {
	if len(s.Workloads) == 0 {
		s.Workloads = []string{"latency"}
	}
	for _, m := range s.Models {
		for _, w := range s.Workloads {
			r := engine.BenchmarkRequest{
				Model: m.Model, Task: m.Task, Precision: m.Precision, Inputs: m.Inputs, Workload: w, Devices: s.Devices,
				BatchSizes: s.BatchSizes, Iterations: s.Iterations, DurationS: s.DurationS,
				Parameters: engine.BenchmarkParameters{Rounds: s.Rounds, Dataset: m.Dataset, LatencyBoundMS: m.LatencyBoundMS, RatePerS: m.RatePerS},
			}
			if len(m.BatchSizes) > 0 {
				r.BatchSizes = m.BatchSizes
			}
			s.requests = append(s.requests, r)
		}
	}
}

// A suiteReport is what came of a suite.
type suiteReport struct {
	Suite       string             `json:"suite"`
	Runs        []engine.Benchmark `json:"runs"`
	Baseline    []engine.Benchmark `json:"baseline,omitempty"` // what the other build measured in turn
	Geomeans    []geomean          `json:"geomeans"`
	Comparisons []namedComparison  `json:"comparisons,omitempty"`
}

// A geomean is over the median latencies of one workload.
type geomean struct {
	Workload string  `json:"workload"`
	P50MS    float64 `json:"p50_ms"`
	Results  int     `json:"results"`
}

type namedComparison struct {
	Name string `json:"name"`
	benchdb.Comparison
}

// measureSuite measures all requests, and compares them as far as asked.
func (c *cli) measureSuite(ctx context.Context, a *app, s suite, b *benchFlags) (suiteReport, error) {
	r := suiteReport{Suite: s.Name}
	var stored []engine.Benchmark
	if b.baseline != "" {
		var err error
		if stored, err = readBaseline(b.baseline); err != nil {
			return r, err
		}
	}
	for _, q := range s.requests {
		if err := c.measureOne(ctx, a, q, b, &r); err != nil {
			return r, err
		}
	}
	r.Geomeans = geomeans(r.Runs)
	switch {
	case b.baselineBin != "":
		r.Comparisons = compareRuns(r.Baseline, r.Runs)
	case stored != nil:
		r.Comparisons = compareRuns(stored, r.Runs)
	case b.r.Baseline != "":
		r.Comparisons = []namedComparison{{modelName(r.Runs[0]), *r.Runs[0].Comparison}}
	}
	return r, nil
}

// measureOne measures one request; with another build, in turn with that.
func (c *cli) measureOne(ctx context.Context, a *app, q engine.BenchmarkRequest, b *benchFlags, r *suiteReport) error {
	if b.baselineBin == "" {
		report, done := c.progress()
		run, err := a.engine.Benchmark(ctx, q, report)
		done()
		r.Runs = append(r.Runs, run)
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for range max(q.Parameters.Rounds, 1) {
		for _, side := range []struct {
			program string
			runs    *[]engine.Benchmark
		}{{b.baselineBin, &r.Baseline}, {self, &r.Runs}} {
			run, err := benchBy(ctx, side.program, a.home, q)
			if err != nil {
				return err
			}
			*side.runs = append(*side.runs, run)
		}
	}
	return nil
}

// benchArgs is the command line for one round of a request.
func benchArgs(home string, q engine.BenchmarkRequest) []string {
	args := append([]string{"bench", "--json", "--home", home, "--workload", q.Workload, "--task", q.Task, q.Model}, q.Inputs...)
	add := func(flag, value string) { args = append(args, flag, value) }
	if len(q.Devices) > 0 {
		add("--devices", strings.Join(q.Devices, ","))
	}
	for _, n := range q.BatchSizes {
		add("--batch", strconv.Itoa(n))
	}
	if q.Iterations > 0 {
		add("--iterations", strconv.Itoa(q.Iterations))
	}
	if q.DurationS > 0 {
		add("--duration", strconv.FormatFloat(q.DurationS, 'f', -1, 64)+"s")
	}
	if q.Precision != "" {
		add("--precision", q.Precision)
	}
	if q.Warmup != nil {
		add("--warmup", strconv.Itoa(*q.Warmup))
	}
	return append(args, parameterArgs(q.Parameters)...)
}

func parameterArgs(p engine.BenchmarkParameters) []string {
	var args []string
	if p.RatePerS > 0 {
		args = append(args, "--rate", strconv.FormatFloat(p.RatePerS, 'f', -1, 64))
	}
	if p.LatencyBoundMS > 0 {
		args = append(args, "--latency-bound", strconv.FormatFloat(p.LatencyBoundMS, 'f', -1, 64)+"ms")
	}
	if p.Dataset != "" {
		args = append(args, "--dataset", p.Dataset)
	}
	return args
}

// benchBy has a program measure one round.
func benchBy(ctx context.Context, program, home string, q engine.BenchmarkRequest) (engine.Benchmark, error) {
	cmd := exec.CommandContext(ctx, program, benchArgs(home, q)...)
	var b engine.Benchmark
	out, err := cmd.Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, lastLine(string(out)+string(failed.Stderr)))
		}
		return b, engine.Errorf(engine.ErrDeviceUnavailable, "%s could not measure: %w", program, err)
	}
	if err := json.Unmarshal(out, &b); err != nil {
		return b, engine.Errorf(engine.ErrDeviceUnavailable, "%s answered what is no benchmark: %w", program, err)
	}
	return b, nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// readBaseline reads what bench --suite FILE --json printed.
func readBaseline(path string) ([]engine.Benchmark, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, usageError{err}
	}
	var r suiteReport
	if err := json.Unmarshal(data, &r); err != nil || len(r.Runs) == 0 {
		return nil, usageError{fmt.Errorf("%s is not what bench --suite FILE --json prints", path)}
	}
	return r.Runs, nil
}

func geomeans(runs []engine.Benchmark) []geomean {
	var out []geomean
	for _, run := range runs {
		for _, r := range run.Results {
			if r.LatencyMS == nil || r.LatencyMS.P50 <= 0 {
				continue
			}
			i := slices.IndexFunc(out, func(g geomean) bool { return g.Workload == r.Workload })
			if i < 0 {
				i, out = len(out), append(out, geomean{Workload: r.Workload})
			}
			out[i].P50MS += math.Log(r.LatencyMS.P50)
			out[i].Results++
		}
	}
	for i := range out {
		out[i].P50MS = math.Exp(out[i].P50MS / float64(out[i].Results))
	}
	return out
}

// compareRuns compares what two sides measured, by configuration.
func compareRuns(baseline, candidate []engine.Benchmark) []namedComparison {
	before, after := byConfig(baseline), byConfig(candidate)
	var out []namedComparison
	for _, run := range candidate {
		for _, s := range run.Samples() {
			if samples := after[s.Config]; samples != nil {
				name := fmt.Sprintf("%s %s on %s, batch %d", modelName(run), s.Config.Workload, s.Config.Device, s.Config.BatchSize)
				out = append(out, namedComparison{name, benchdb.Compare(before[s.Config], samples)})
				delete(after, s.Config)
			}
		}
	}
	return out
}

func byConfig(runs []engine.Benchmark) map[benchdb.Config][]benchdb.RunSample {
	out := map[benchdb.Config][]benchdb.RunSample{}
	for _, run := range runs {
		for _, s := range run.Samples() {
			out[s.Config] = append(out[s.Config], s)
		}
	}
	return out
}

// printMarkdown writes a summary for a pull request.
func printMarkdown(w io.Writer, s suiteReport) {
	row(w, "### %s\n", s.Suite)
	row(w, "| model | workload | device | batch | samples | mean ms | p50 | p90 | p95 | p99 | items/s | memory | remarks |")
	row(w, "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|")
	for _, b := range s.Runs {
		for _, r := range b.Results {
			row(w, "| %s |", strings.Join(cells(b, r), " | "))
		}
	}
	row(w, "")
	for _, g := range s.Geomeans {
		row(w, "Geometric mean of p50, %s: %.4g ms over %d results.", g.Workload, g.P50MS, g.Results)
	}
	if len(s.Comparisons) > 0 {
		row(w, "\n| comparison | verdict |\n|---|---|")
	}
	for _, v := range s.Comparisons {
		row(w, "| %s | %s |", v.Name, comparisonText(v.Comparison))
	}
}
