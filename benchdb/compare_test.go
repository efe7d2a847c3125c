package benchdb

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// synthetic makes a run's samples: log-normal with a within-run CV of 10 %,
// each depending on the one before by half, around a level of its own that
// varies by 3 % from run to run.
func synthetic(r *rand.Rand, median float64, n int) (samples []float64, level float64) {
	const between, within, memory = 0.03, 0.10, 0.5
	level = math.Log(median) + between*r.NormFloat64()
	out := make([]float64, n)
	state := r.NormFloat64()
	for i := range out {
		out[i] = math.Exp(level + within*state)
		state = memory*state + math.Sqrt(1-memory*memory)*r.NormFloat64()
	}
	return out, math.Exp(level)
}

func syntheticRuns(r *rand.Rand, median float64, runs, samples int) []RunSample {
	out := make([]RunSample, runs)
	for i := range out {
		xs, _ := synthetic(r, median, samples)
		slices.Sort(xs)
		out[i] = RunSample{SoftwareID: "s", Value: (xs[samples/2-1] + xs[samples/2]) / 2}
	}
	return out
}

// Two sides of one level are told apart rarely, of levels a tenth apart nearly
// always, and the interval holds the truth as often as it says.
func TestCompare_rates(t *testing.T) {
	const seed, rounds, runs, samples = 11, 2000, 10, 100
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	alarms, found, held := 0, 0, 0
	for range rounds {
		base := syntheticRuns(r, 5, runs, samples)
		if c := Compare(base, syntheticRuns(r, 5, runs, samples)); c.Verdict == Slower || c.Verdict == Faster {
			alarms++
		}
		c := Compare(base, syntheticRuns(r, 5.5, runs, samples))
		if c.Verdict == Slower {
			found++
		}
		if c.CI95[0] <= 0.1 && 0.1 <= c.CI95[1] {
			held++
		}
	}
	t.Logf("%d alarms, %d found, %d intervals held the truth, of %d", alarms, found, held, rounds)
	if alarms > rounds*5/100 {
		t.Errorf("%d of %d comparisons of equals raised an alarm", alarms, rounds)
	}
	if found < rounds*95/100 {
		t.Errorf("a tenth slower was found in %d of %d comparisons", found, rounds)
	}
	if held < rounds*94/100 {
		t.Errorf("the interval held the truth in %d of %d comparisons", held, rounds)
	}
}

// Intervals of percentiles hold the truth as often as they say, of samples that
// depend on each other too. Simulation error is three standard deviations.
func TestSummarize_coverageOfDependentSamples(t *testing.T) {
	const seed, rounds = 5, 2000
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	p99 := math.Exp(0.1 * 2.3263478740408408)
	p50held, p99held := 0, 0
	for range rounds {
		xs, level := synthetic(r, 1, 1000)
		sum := Summarize(xs)
		if sum.P50CI95[0] <= level && level <= sum.P50CI95[1] {
			p50held++
		}
		if ci := sum.P99CI95; ci == nil || ci[0] <= level*p99 && level*p99 <= ci[1] {
			p99held++
		}
	}
	t.Logf("the median was held %d times, the 99th percentile %d times, of %d", p50held, p99held, rounds)
	low := int(rounds*confidence - 3*math.Sqrt(rounds*confidence*(1-confidence)))
	if p50held < low || p99held < low {
		t.Errorf("held %d and %d times; want %d of %d", p50held, p99held, low, rounds)
	}
}

func TestCompare_power(t *testing.T) {
	const seed, rounds = 3, 400
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	claimed := Compare(syntheticRuns(r, 1, 40, 100), syntheticRuns(r, 1, 40, 100))
	if claimed.Verdict != Indistinguishable || *claimed.MinDetectable > 0.05 {
		t.Errorf("got %+v", claimed)
	}
	found := 0
	for range rounds {
		base := syntheticRuns(r, 1, 10, 100)
		c := Compare(base, syntheticRuns(r, 1, 10, 100))
		if Compare(base, syntheticRuns(r, 1/(1+*c.MinDetectable), 10, 100)).Verdict == Faster {
			found++
		}
	}
	if found < rounds*70/100 {
		t.Errorf("a change of the size that can be detected was found in %d of %d", found, rounds)
	}
}

func runsOf(config Config, software string, values ...float64) []RunSample {
	var out []RunSample
	for i, v := range values {
		out = append(out, RunSample{ID: fmt.Sprintf("%s%d", software, i), Config: config, SoftwareID: software, Value: v})
	}
	return out
}

func TestCompare_verdicts(t *testing.T) {
	c := Config{MachineID: "m", Model: "bafy", Workload: "latency", Precision: "fp32", BatchSize: 1, Device: "cpu"}
	other := func(change func(*Config)) Config {
		d := c
		change(&d)
		return d
	}
	base := runsOf(c, "a", 10, 10.1, 9.9, 10.2, 9.8)
	for name, x := range map[string]struct {
		a, b []RunSample
		want Verdict
	}{
		"twice as slow":       {base, runsOf(c, "b", 20, 20.1, 19.9, 20.2), Slower},
		"twice as fast":       {base, runsOf(c, "b", 5, 5.1, 4.9, 5.2), Faster},
		"the same":            {base, base, Indistinguishable},
		"sure, but tiny":      {base, runsOf(c, "b", 10.21, 10.22, 10.23, 10.24, 10.25), Slower},
		"too tiny":            {runsOf(c, "a", 10, 10, 10, 10, 10), runsOf(c, "b", 10.1, 10.1, 10.1, 10.1, 10.1), Indistinguishable},
		"one against one":     {base[:1], runsOf(c, "b", 20), Insufficient},
		"three against many":  {base[:3], base, Insufficient},
		"none":                {base, nil, NotComparable},
		"of another machine":  {base, runsOf(other(func(c *Config) { c.MachineID = "n" }), "b", 1, 2, 3, 4), NotComparable},
		"of another batch":    {base, runsOf(other(func(c *Config) { c.BatchSize = 8 }), "b", 1, 2, 3, 4), NotComparable},
		"of another device":   {base, runsOf(other(func(c *Config) { c.Device = "cuda:0" }), "b", 1, 2, 3, 4), NotComparable},
		"of mixed software":   {base, append(runsOf(c, "b", 1, 2), runsOf(c, "d", 3, 4)...), NotComparable},
		"with nothing":        {base, runsOf(c, "b", 1, 2, 3, 0), NotComparable},
		"with what is no one": {base, runsOf(c, "b", 1, 2, 3, math.NaN()), NotComparable},
	} {
		got := Compare(x.a, x.b)
		if got.Verdict != x.want || got.Verdict == NotComparable && got.Reason == "" || (got.CI95 == nil) != slices.Contains([]Verdict{Insufficient, NotComparable}, got.Verdict) {
			t.Errorf("%s: %+v; want %s", name, got, x.want)
		}
	}
	if got := Compare(base[:1], runsOf(c, "b", 20)); got.Change == nil || math.Abs(*got.Change-1) > 1e-9 {
		t.Errorf("one against one: %+v; want the change", got)
	}
	gpu := runsOf(other(func(c *Config) { c.Device = "cuda:0" }), "a", 5, 5.1, 4.9, 5)
	if got := CompareDevices(base, gpu); got.Verdict != Faster {
		t.Errorf("devices: %+v", got)
	}
	a, b := runsOf(c, "a", 1, 1, 1, 1), runsOf(c, "b", 1, 1, 1, 1)
	if Compare(a, b).Interleaved {
		t.Error("blocks are not interleaved")
	}
	for i := range a {
		a[i].ID, b[i].ID = fmt.Sprint(2*i), fmt.Sprint(2*i+1)
	}
	if !Compare(a, b).Interleaved {
		t.Error("ABAB is interleaved")
	}
}

// Many runs take the approximation, which agrees with the exact distribution.
func TestShiftInterval_manyRuns(t *testing.T) {
	for _, n := range []int{maxExact, maxExact + 1} {
		shifts := make([]float64, n*n)
		for i := range shifts {
			shifts[i] = float64(i) / float64(len(shifts))
		}
		low, high := shiftInterval(shifts, n, n)
		if math.Abs(low-0.29) > 0.02 || math.Abs(high-0.71) > 0.02 {
			t.Errorf("%d runs: [%v, %v]", n, low, high)
		}
	}
}

func TestSampleOf(t *testing.T) {
	for name, x := range map[string]struct {
		r    Result
		want float64
	}{
		"latency":  {Result{Workload: "latency", Latencies: []float64{9, 1, 2, 3, 8}, Throughput: 10}, 3},
		"offline":  {Result{Workload: "offline", Latencies: []float64{9}, Throughput: 10}, 100},
		"failed":   {Result{Workload: "latency", Latencies: []float64{9}, Error: "deadline"}, 0},
		"accuracy": {Result{Workload: "accuracy", Latencies: []float64{9}}, 0},
		"nothing":  {Result{Workload: "latency"}, 0},
	} {
		got, ok := SampleOf(x.r)
		if ok != (x.want > 0) || ok && got.Value != x.want {
			t.Errorf("%s: %+v, %v; want %v", name, got, ok, x.want)
		}
	}
	if s, _ := SampleOf(Result{ModelName: "m", Environment: "e", Device: "cpu"}); s.Config != (Config{Model: "m", MachineID: "e", Device: "cpu"}) {
		t.Errorf("got %+v", s)
	}
}
