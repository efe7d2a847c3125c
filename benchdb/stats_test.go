package benchdb

import (
	"math/rand/v2"
	"testing"
)

func TestSummarize_knownSample(t *testing.T) {
	var xs []float64
	for i := range 1000 {
		xs = append(xs, float64((i*7919)%1000)) // every number below 1000 once
	}
	s := Summarize(xs)
	if s.Mean != 499.5 || s.P50 != 499.5 {
		t.Errorf("mean %v, p50 %v, want 499.5", s.Mean, s.P50)
	}
	if s.P99 == nil || *s.P99 < 985 || *s.P99 > 995 || s.P99CI95[0] > *s.P99 || s.P99CI95[1] < *s.P99 {
		t.Errorf("p99 %v in %v", s.P99, s.P99CI95)
	}
	if xs[1] != 919 {
		t.Error("the sample was reordered")
	}
}

// An interval of 95 % must hold the true median about that often.
func TestSummarize_coverage(t *testing.T) {
	const seed, rounds = 7, 2000
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	held := 0
	for range rounds {
		xs := make([]float64, 25)
		for i := range xs {
			xs[i] = r.ExpFloat64()
		}
		ci := Summarize(xs).P50CI95
		if ci != nil && ci[0] <= 0.6931 && 0.6932 <= ci[1] {
			held++
		}
	}
	if held < rounds*94/100 {
		t.Errorf("the interval held the median in %d of %d samples", held, rounds)
	}
}

func TestSummarize_smallSample(t *testing.T) {
	for n, want := range map[int]struct{ p90, p95, p99, ci bool }{
		1: {}, 5: {}, 20: {ci: true}, 50: {ci: true, p90: true}, 120: {ci: true, p90: true, p95: true}, 600: {true, true, true, true},
	} {
		s := Summarize(make([]float64, n))
		if (s.P90 != nil) != want.p90 || (s.P95 != nil) != want.p95 || (s.P99 != nil) != want.p99 || (s.P50CI95 != nil) != want.ci {
			t.Errorf("n=%d: %+v", n, s)
		}
	}
	if s := Summarize(nil); s != (Summary{}) {
		t.Errorf("empty: %+v", s)
	}
}
