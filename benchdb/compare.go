package benchdb

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
)

// A Verdict says what a comparison came to.
type Verdict string

// The verdicts.
const (
	Faster            Verdict = "faster"
	Slower            Verdict = "slower"
	Indistinguishable Verdict = "indistinguishable"
	Insufficient      Verdict = "insufficient"   // too few runs to tell
	NotComparable     Verdict = "not_comparable" // other machines, or not the same work
)

// A Config is what must be equal for runs to be compared. The software may
// differ: it is what is compared.
type Config struct {
	MachineID string
	Model     string // CID, or name where there is none
	Task      string
	Workload  string
	Precision string
	BatchSize int
	Device    string
	Key       string // Result.ConfigKey
}

// A RunSample is one run as a comparison sees it. Samples within a run depend on
// each other, so that a run counts once, however many it has.
type RunSample struct {
	ID         string // UUIDv7, which says when the run was; may be empty
	Config     Config
	SoftwareID string
	Value      float64 // what it cost, such as its median latency in milliseconds; over 0, and less is better
}

// SampleOf returns what a comparison sees of a result: the median of its
// latencies or, for the workloads offline and server, the time per item. It is
// false of a result that failed or has nothing that costs less when it is
// better.
func SampleOf(r Result) (RunSample, bool) {
	s := RunSample{ID: r.ID, SoftwareID: r.SoftwareID, Config: Config{
		MachineID: r.Environment, Model: r.ModelCID, Task: r.Task, Workload: r.Workload, Precision: r.Precision, BatchSize: r.BatchSize,
		Device: r.Device, Key: r.ConfigKey,
	}}
	if r.ModelCID == "" {
		s.Config.Model = r.ModelName
	}
	switch {
	case (r.Workload == "offline" || r.Workload == "server") && r.Throughput > 0:
		s.Value = 1000 / r.Throughput
	case len(r.Latencies) > 0:
		s.Value = stats.Sample{Xs: r.Latencies}.Quantile(0.5)
	}
	return s, r.Error == "" && r.Workload != "accuracy" && s.Value > 0
}

// A Comparison is of a candidate with a baseline.
type Comparison struct {
	Verdict       Verdict     `json:"verdict"`
	Change        *float64    `json:"change"`         // of the cost, relative to the baseline: 0.1 is a tenth slower; nil if there is none
	CI95          *[2]float64 `json:"ci95"`           // of the change; nil if too few runs
	MinDetectable *float64    `json:"min_detectable"` // the change that so many runs find four times in five; nil if too few
	Reason        string      `json:"reason,omitempty"`
	BaselineRuns  int         `json:"baseline_runs"`
	CandidateRuns int         `json:"candidate_runs"`
	Interleaved   bool        `json:"interleaved"` // the runs alternate, so that a drift of the machine is in both
}

// minRuns is how many runs each side needs: with three no outcome is
// significant.
const minRuns = 4

// minEffect is the change below which none is claimed: so much comes from the
// layout of memory alone.
const minEffect = 0.02

// Compare compares a candidate with a baseline, on the values of their runs.
// It wants one configuration on each side, the same on both, and one software
// within each side.
func Compare(baseline, candidate []RunSample) Comparison {
	return compare(baseline, candidate, sameConfig(baseline, candidate, func(c Config) Config { return c }))
}

// CompareDevices is Compare for sides that differ in their device.
func CompareDevices(baseline, candidate []RunSample) Comparison {
	return compare(baseline, candidate, sameConfig(baseline, candidate, func(c Config) Config {
		c.Device = ""
		return c
	}))
}

// compare is the comparison of what can be compared; reason says why it can't.
func compare(baseline, candidate []RunSample, reason string) Comparison {
	c := Comparison{Verdict: NotComparable, Reason: reason, BaselineRuns: len(baseline), CandidateRuns: len(candidate)}
	if reason != "" {
		return c
	}
	c.Interleaved = interleaved(baseline, candidate)
	a, b := logs(baseline), logs(candidate)
	shifts := differences(a, b)
	change := math.Expm1(stats.Sample{Xs: shifts, Sorted: true}.Quantile(0.5)) // Hodges and Lehmann's estimate
	c.Change = &change
	if min(len(a), len(b)) < minRuns {
		c.Verdict, c.Reason = Insufficient, fmt.Sprintf("a verdict needs %d runs of each; there are %d and %d", minRuns, len(a), len(b))
		return c
	}
	low, high := shiftInterval(shifts, len(a), len(b))
	c.CI95 = &[2]float64{math.Expm1(low), math.Expm1(high)}
	detectable := detectable(a, b)
	c.MinDetectable = &detectable
	switch {
	case low > 0 && change >= minEffect:
		c.Verdict = Slower
	case high < 0 && change <= -minEffect:
		c.Verdict = Faster
	default:
		c.Verdict = Indistinguishable
	}
	return c
}

// sameConfig says why two sides can't be compared, if they can't. key is what
// must be equal of a configuration.
func sameConfig(baseline, candidate []RunSample, key func(Config) Config) string {
	if len(baseline) == 0 || len(candidate) == 0 {
		return "one side has no run"
	}
	first := key(baseline[0].Config)
	for _, side := range [][]RunSample{baseline, candidate} {
		for _, r := range side {
			switch c := key(r.Config); {
			case c.MachineID != first.MachineID:
				return "the runs are of different machines"
			case c != first:
				return "the runs differ in " + difference(first, c)
			case side[0].Config.Device != r.Config.Device:
				return "the runs of one side are of different devices"
			case r.SoftwareID != side[0].SoftwareID:
				return "the runs of one side are of different software"
			case !(r.Value > 0) || math.IsInf(r.Value, 0):
				return "a run measured nothing"
			}
		}
	}
	return ""
}

// difference names what differs in two configurations.
func difference(a, b Config) string {
	switch {
	case a.Model != b.Model:
		return "model"
	case a.Task != b.Task:
		return "task"
	case a.Workload != b.Workload:
		return "workload"
	case a.Precision != b.Precision:
		return "precision"
	case a.BatchSize != b.BatchSize:
		return "batch size"
	case a.Device != b.Device:
		return "device"
	}
	return "settings"
}

// interleaved reports whether the two sides' runs alternate in time.
func interleaved(baseline, candidate []RunSample) bool {
	type run struct {
		id   string
		side int
	}
	var all []run
	for side, runs := range [][]RunSample{baseline, candidate} {
		for _, r := range runs {
			if r.ID == "" {
				return false
			}
			all = append(all, run{r.ID, side})
		}
	}
	slices.SortFunc(all, func(a, b run) int { return cmp.Compare(a.id, b.id) })
	switches := 0
	for i := 1; i < len(all); i++ {
		if all[i].side != all[i-1].side {
			switches++
		}
	}
	return switches >= min(len(baseline), len(candidate))
}

func logs(runs []RunSample) []float64 {
	out := make([]float64, len(runs))
	for i, r := range runs {
		out[i] = math.Log(r.Value)
	}
	return out
}

// differences are all of b less all of a, in order.
func differences(a, b []float64) []float64 {
	out := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, y-x)
		}
	}
	slices.Sort(out)
	return out
}

// maxExact is how many runs a side may have for the exact distribution of the
// rank sum; beyond, it is normal.
const maxExact = 15

// shiftInterval is the 95 % interval of the shift between two samples of sizes m
// and n, from their sorted differences: those shifts that the rank-sum test of
// Mann and Whitney does not refute (Hollander, Nonparametric Statistical
// Methods, 4.3).
func shiftInterval(shifts []float64, m, n int) (low, high float64) {
	const tail = (1 - confidence) / 2
	k := 0 // how many shifts are left out on each side
	if m <= maxExact && n <= maxExact {
		u := stats.UDist{N1: m, N2: n}
		for u.CDF(float64(k)) <= tail {
			k++
		}
	} else {
		mn := float64(m) * float64(n)
		k = int(mn/2 - 1.96*math.Sqrt(mn*float64(m+n+1)/12))
	}
	k = max(k, 1)
	return shifts[k-1], shifts[len(shifts)-k]
}

// detectable is the change that a comparison of samples like these finds with a
// power of 80 %.
func detectable(a, b []float64) float64 {
	const efficiency = 0.955 // of the rank-sum test
	m, n := float64(len(a)), float64(len(b))
	va, vb := stats.Sample{Xs: a}.Variance(), stats.Sample{Xs: b}.Variance()
	pooled := ((m-1)*va + (n-1)*vb) / (m + n - 2)
	t := stats.InvCDF(stats.TDist{V: m + n - 2})
	power := t(1-(1-confidence)/2) + t(0.8)
	return max(minEffect, math.Expm1(power*math.Sqrt(pooled*(1/m+1/n)/efficiency)))
}
