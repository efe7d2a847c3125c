package benchdb

import (
	"math"
	"slices"
)

// figures are the columns of a result that say what its samples were like.
type figures struct {
	N    int      `json:"n"`
	Mean *float64 `json:"mean_ms"`
	Min  *float64 `json:"min_ms"`
	Max  *float64 `json:"max_ms"`
	P50  *float64 `json:"p50_ms"`
	Low  *float64 `json:"p50_low"`
	High *float64 `json:"p50_high"`
	P90  *float64 `json:"p90_ms"` // of however few samples, as the view has always had it
	P95  *float64 `json:"p95_ms"`
	P99  *float64 `json:"p99_ms"`
}

func figuresOf(latencies []float64) figures {
	if len(latencies) == 0 {
		return figures{}
	}
	sorted := slices.Sorted(slices.Values(latencies))
	s, p90 := Summarize(latencies), interpolated(sorted, 0.9)
	f := figures{
		N: len(sorted), Mean: &s.Mean, Min: &sorted[0], Max: &sorted[len(sorted)-1], P50: &s.P50, P90: &p90, P95: s.P95, P99: s.P99,
	}
	if s.P50CI95 != nil {
		f.Low, f.High = &s.P50CI95[0], &s.P50CI95[1]
	}
	return f
}

// interpolated is DuckDB's quantile_cont.
func interpolated(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}
