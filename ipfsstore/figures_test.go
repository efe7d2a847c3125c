//go:build figures && linux

package ipfsstore_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const figureRounds = 5 // of each measurement, in turn with what it is compared with

// atLeast prints a figure: ID value unit goal ok|short.
func atLeast(id string, value float64, unit string, goal float64) {
	fmt.Printf("%s %.3f %s >=%g %s\n", id, value, unit, goal, verdict(value >= goal))
}

// atMost is atLeast for what should be small.
func atMost(id string, value float64, unit string, goal float64) {
	fmt.Printf("%s %.4f %s <=%g %s\n", id, value, unit, goal, verdict(value <= goal))
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "short"
}

// absent prints a figure that can't be had here.
func absent(id, unit, goal, reason string) {
	fmt.Printf("%s - %s %s absent:%s\n", id, unit, goal, reason)
}

func median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	return xs[len(xs)/2]
}

// seconds is how long a call takes.
func seconds(t *testing.T, call func() error) float64 {
	t.Helper()
	start := time.Now()
	if err := call(); err != nil {
		t.Fatal(err)
	}
	return time.Since(start).Seconds()
}

// TestFigures prints the figures of `make bench`. They are printed, never
// asserted.
func TestFigures(t *testing.T) {
	p3(t)
}
