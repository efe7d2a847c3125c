// Package figures prints what `make bench` shows: lines of an ID, a value, its
// unit, the goal, and ok, short or absent:REASON.
package figures

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Rounds is how often each measurement is made, in turn with what it is compared
// with.
const Rounds = 5

// AtLeast prints a figure that should be large.
func AtLeast(id string, value float64, unit string, goal float64) {
	fmt.Printf("%s %.3f %s >=%g %s\n", id, value, unit, goal, verdict(value >= goal))
}

// AtMost prints a figure that should be small.
func AtMost(id string, value float64, unit string, goal float64) {
	fmt.Printf("%s %.4f %s <=%g %s\n", id, value, unit, goal, verdict(value <= goal))
}

// Absent prints a figure that can't be had here.
func Absent(id, unit, goal, reason string) {
	fmt.Printf("%s - %s %s absent:%s\n", id, unit, goal, reason)
}

// Note prints what explains figures.
func Note(format string, args ...any) { fmt.Printf("# "+format+"\n", args...) }

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "short"
}

// Median returns the median of xs, of which there are some.
func Median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	return xs[len(xs)/2]
}

// Seconds is how long a call takes. Its error ends the test.
func Seconds(t *testing.T, call func() error) float64 {
	t.Helper()
	start := time.Now()
	if err := call(); err != nil {
		t.Fatal(err)
	}
	return time.Since(start).Seconds()
}
