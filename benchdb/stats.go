package benchdb

import (
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
)

// A Summary describes a sample of latencies, in milliseconds. A percentile is
// nil when the sample is too small for a 95 % interval that is bounded on
// both sides: below 39 values for p90, 76 for p95 and 441 for p99, and more
// where they depend on each other.
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

// Summarize describes latencies in the order in which they were measured, and
// leaves them as they are. The intervals are distribution-free: order
// statistics chosen by the binomial distribution (Conover, Practical
// Nonparametric Statistics, 3.2), of as many independent values as the
// latencies are worth. An empty sample gives the zero Summary.
func Summarize(latencies []float64) Summary {
	if len(latencies) == 0 {
		return Summary{}
	}
	s := stats.Sample{Xs: slices.Sorted(slices.Values(latencies)), Sorted: true}
	sum := Summary{Mean: s.Mean(), P50: s.Quantile(0.5)}
	_, sum.P50CI95 = quantile(latencies, s, 0.5)
	sum.P90, _ = quantile(latencies, s, 0.9)
	sum.P95, _ = quantile(latencies, s, 0.95)
	sum.P99, sum.P99CI95 = quantile(latencies, s, 0.99)
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

// quantile returns the q-quantile of a sample, which is also given in order of
// measurement, and its interval; or nils if the sample is too small to bound
// it.
func quantile(measured []float64, s stats.Sample, q float64) (*float64, *[2]float64) {
	n := len(s.Xs)
	v := s.Quantile(q)
	worth := int(float64(n) / dependence(measured, v))
	if worth < 1 {
		return nil, nil
	}
	ci := stats.QuantileCI(worth, q, confidence)
	if ci.LoOrder < 1 || ci.HiOrder > worth {
		return nil, nil
	}
	// The same shares of the whole sample, outwards.
	low := int(math.Floor(float64(ci.LoOrder) / float64(worth) * float64(n)))
	high := int(math.Ceil(float64(ci.HiOrder) / float64(worth) * float64(n)))
	return &v, &[2]float64{s.Xs[max(low, 1)-1], s.Xs[min(high, n)-1]}
}

// dependence is how many values of a sample are worth one that is independent
// of the others, where being at most v is what counts: the integrated
// autocorrelation time, summed for as long as neighbouring pairs of lags are
// positive (Geyer, Practical Markov Chain Monte Carlo, 3.3). It is 1 or more.
func dependence(measured []float64, v float64) float64 {
	n := len(measured)
	at := make([]float64, n)
	mean := 0.0
	for i, x := range measured {
		if x <= v {
			at[i] = 1
			mean += 1 / float64(n)
		}
	}
	variance := mean * (1 - mean)
	if variance <= 0 {
		return 1
	}
	for i := range at {
		at[i] -= mean
	}
	correlation := func(lag int) float64 {
		sum := 0.0
		for i := lag; i < n; i++ {
			sum += at[i] * at[i-lag]
		}
		return sum / float64(n) / variance
	}
	time := -1.0 // each lag counts twice, but the first once
	for lag := 0; lag+1 < n && lag < maxLag; lag += 2 {
		pair := correlation(lag) + correlation(lag+1)
		if pair <= 0 {
			break
		}
		time += 2 * pair
	}
	return max(1, time)
}

// maxLag bounds the work on a sample that drifts.
const maxLag = 200
