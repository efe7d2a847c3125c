package command

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadSuite(t *testing.T) {
	s, err := readSuite("../../examples/suites/small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.requests) != 4 || s.requests[0].Model != "minilm" || len(s.requests[0].BatchSizes) != 2 || s.requests[3].Workload != "offline" || s.requests[3].Parameters.Rounds != 5 {
		t.Errorf("%+v", s.requests)
	}
	for name, text := range map[string]string{
		"unknown key": "models: [{modl: x}]", "no models": "name: x", "no YAML": "a: [", "wrong type": "rounds: many\nmodels: [{model: x}]",
	} {
		var usage usageError
		if _, err := readSuite(writeFile(t, "suite.yaml", text)); !errors.As(err, &usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// ran is a run of one round with the given median latency.
func ran(id string, p50 float64) engine.Benchmark {
	b := engine.Benchmark{MachineID: "m", SoftwareID: "s"}
	b.Model = &engine.ModelRef{Name: "blazeface", CID: "bafy"}
	b.Results = []engine.BenchmarkResult{{
		ResultID: id, Device: "cpu", BatchSize: 1, Workload: "latency", Samples: 50, LatencyMS: &benchdb.Summary{Mean: p50, P50: p50}, ThroughputS: 1000 / p50,
	}}
	return b
}

func rounds(p50s ...float64) []engine.Benchmark {
	var out []engine.Benchmark
	for _, p := range p50s {
		out = append(out, ran("", p))
	}
	return out
}

func TestCompareRuns_exitCodes(t *testing.T) {
	base := rounds(1, 1.01, 0.99, 1.02, 1, 0.98, 1.01, 1, 0.99, 1)
	twice := rounds(2, 2.01, 1.99, 2.02, 2, 1.98, 2.01, 2, 1.99, 2)
	elsewhere := rounds(1, 1, 1, 1, 1)
	for i := range elsewhere {
		elsewhere[i].MachineID = "other"
	}
	for name, c := range map[string]struct {
		baseline, candidate []engine.Benchmark
		flags               benchFlags
		want                int
	}{
		"the same":               {base, base, benchFlags{baselineBin: "x"}, ExitOK},
		"slower":                 {base, twice, benchFlags{baselineBin: "x"}, ExitRegression},
		"faster":                 {twice, base, benchFlags{baselineBin: "x"}, ExitOK},
		"slower than stored":     {base, twice, benchFlags{}, ExitOK},
		"slower, stored counts":  {base, twice, benchFlags{acceptStored: true}, ExitRegression},
		"too few":                {base[:1], twice[:1], benchFlags{baselineBin: "x"}, ExitUnavailable},
		"another machine":        {elsewhere, base, benchFlags{baselineBin: "x"}, ExitUnavailable},
		"nothing to compare to":  {nil, base, benchFlags{baselineBin: "x"}, ExitUnavailable},
		"no comparison asked of": {nil, nil, benchFlags{}, ExitOK},
	} {
		t.Run(name, func(t *testing.T) {
			var errs bytes.Buffer
			app := &cli{err: &errs}
			err := app.judge(suiteReport{Comparisons: compareRuns(c.baseline, c.candidate)}, &c.flags)
			got := ExitOK
			if err != nil {
				got = exitCode(err)
			}
			if got != c.want {
				t.Errorf("exit code %d, want %d: %v", got, c.want, err)
			}
			if warned := errs.Len() > 0; warned != (name == "slower than stored") {
				t.Errorf("printed %q", &errs)
			}
		})
	}
}

func TestPrintSuite(t *testing.T) {
	r := suiteReport{Suite: "small", Runs: rounds(2, 8), Geomeans: geomeans(rounds(2, 8))}
	r.Comparisons = compareRuns(rounds(1), r.Runs)
	for format, want := range map[string][]string{
		"table":     {"blazeface", "geometric mean of p50, latency: 4 ms"},
		"markdown":  {"### small", "| blazeface | latency | cpu | 1 | 50 | 2.000 |", "over 2 results"},
		"benchstat": {"BenchmarkLatency/model=blazeface/device=cpu/batch=1 50 2000000 ns/op 500 items/s"},
	} {
		show, err := benchPrinter(format)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		show(&out, r)
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s has no %q:\n%s", format, w, &out)
			}
		}
	}
	if _, err := benchPrinter("xml"); err == nil {
		t.Error("an unknown format is taken")
	}
}

// The other build is called with all that the request says.
func TestBenchArgs(t *testing.T) {
	warmup := 3
	args := strings.Join(benchArgs("/h", engine.BenchmarkRequest{
		Model: "m", Inputs: []string{"a b"}, Workload: "server", Devices: []string{"cpu"}, BatchSizes: []int{1, 8}, Iterations: 5, DurationS: 1.5,
		Warmup: &warmup, Parameters: engine.BenchmarkParameters{RatePerS: 2.5, LatencyBoundMS: 20, Dataset: "d"},
	}), "|")
	for _, want := range []string{"bench|--json", "--workload|server", "|m|a b|", "--devices|cpu", "--batch|1|--batch|8", "--iterations|5", "--duration|1.5s", "--warmup|3", "--rate|2.5", "--latency-bound|20ms", "--dataset|d"} {
		if !strings.Contains(args, want) {
			t.Errorf("%s has no %s", args, want)
		}
	}
}
