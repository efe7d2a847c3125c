package engine

import (
	"math/rand/v2"
	"testing"
)

func TestUnsteady(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int, f func(i int) float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = f(i)
		}
		return out
	}
	for name, c := range map[string]struct {
		samples []float64
		want    bool
	}{
		"steady":      {draw(100, func(int) float64 { return 10 + random.Float64() }), false},
		"one stall":   {append(draw(99, func(int) float64 { return 10 }), 1000), false},
		"scattered":   {draw(100, func(int) float64 { return 1 + 10*random.Float64() }), true},
		"drifting":    {draw(100, func(i int) float64 { return 10 + 0.05*float64(i) }), true},
		"too few":     {[]float64{1, 100}, false},
		"none at all": {nil, false},
	} {
		if got := unsteady(c.samples); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
