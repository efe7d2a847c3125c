package benchdb

import (
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
)

// A Summary describes a sample of latencies, in milliseconds. A percentile is
// nil when the sample is too small for a 95 % interval that is bounded on
// both sides: 39 values for p90, 76 for p95 and 441 for p99.
type Summary struct {
	Mean    float64     `json:"mean"`
	P50     float64     `json:"p50"`
	P90     *float64    `json:"p90"`
	P95     *float64    `json:"p95"`
	P99     *float64    `json:"p99"`
	P50CI95 *[2]float64 `json:"p50_ci95"`
	P99CI95 *[2]float64 `json:"p99_ci95,omitempty"`
}

// confidence of the intervals.
const confidence = 0.95

// Summarize describes latencies, which it leaves as they are. The intervals
// are distribution-free: order statistics chosen by the binomial distribution
// (Conover, Practical Nonparametric Statistics, 3.2). An empty sample gives
// the zero Summary.
func Summarize(latencies []float64) Summary {
	if len(latencies) == 0 {
		return Summary{}
	}
	s := stats.Sample{Xs: slices.Sorted(slices.Values(latencies)), Sorted: true}
	sum := Summary{Mean: s.Mean(), P50: s.Quantile(0.5)}
	_, sum.P50CI95 = quantile(s, 0.5)
	sum.P90, _ = quantile(s, 0.9)
	sum.P95, _ = quantile(s, 0.95)
	sum.P99, sum.P99CI95 = quantile(s, 0.99)
	return sum
}

// Rounded returns s with a microsecond's resolution.
func (s Summary) Rounded() Summary {
	for _, p := range []*float64{&s.Mean, &s.P50, s.P90, s.P95, s.P99} {
		round(p)
	}
	for _, ci := range []*[2]float64{s.P50CI95, s.P99CI95} {
		if ci != nil {
			round(&ci[0])
			round(&ci[1])
		}
	}
	return s
}

func round(p *float64) {
	if p != nil {
		*p = math.Round(*p*1000) / 1000
	}
}

// quantile returns the q-quantile and its interval, or nils if the sample is
// too small to bound it.
func quantile(s stats.Sample, q float64) (*float64, *[2]float64) {
	v, lo, hi := stats.QuantileCI(len(s.Xs), q, confidence).SampleCI(s)
	if math.IsInf(lo, 0) || math.IsInf(hi, 0) {
		return nil, nil
	}
	return &v, &[2]float64{lo, hi}
}
