package engine

import (
	"math"
	"slices"
)

// What makes a measurement noisy.
const (
	busyLoad  = 0.5  // processes per processor that wanted it in the minute before
	maxSpread = 0.25 // robust relative spread of the samples: 1.4826·MAD/median
	maxDrift  = 0.15 // change of the median from the first third of the samples to the last
)

// busy reports whether the machine was: load is its load average per
// processor, nil if not known.
func busy(load *float64) bool { return load != nil && *load > busyLoad }

// unsteady reports whether samples, in order, scatter or drift too much for
// their median to stand for them. It can't tell of fewer than nine.
func unsteady(samples []float64) bool {
	if len(samples) < 9 {
		return false
	}
	center := median(samples)
	if center <= 0 {
		return false
	}
	off := make([]float64, len(samples))
	for i, x := range samples {
		off[i] = math.Abs(x - center)
	}
	third := len(samples) / 3
	drift := median(samples[len(samples)-third:]) - median(samples[:third])
	// 1.4826 makes the median absolute deviation that of a normal distribution.
	return 1.4826*median(off) > maxSpread*center || math.Abs(drift) > maxDrift*center
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
