package engine

import (
	"context"
	"sync/atomic"
	"time"
)

type computeKey struct{}

// WithCompute has [Computed] add to a sum, in nanoseconds.
func WithCompute(ctx context.Context) (context.Context, *atomic.Int64) {
	var sum atomic.Int64
	return context.WithValue(ctx, computeKey{}, &sum), &sum
}

// Computed notes how long a run took where it was computed, without the way
// there and back: d is part of the time that the caller of Run waits.
func Computed(ctx context.Context, d time.Duration) {
	if sum, ok := ctx.Value(computeKey{}).(*atomic.Int64); ok {
		sum.Add(int64(d))
	}
}
