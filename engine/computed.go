package engine

import (
	"context"
	"sync/atomic"
	"time"
)

// The sums of times that a context may carry.
type (
	computeKey  struct{}
	checkingKey struct{}
)

// WithCompute has [Computed] add to a sum, in nanoseconds.
func WithCompute(ctx context.Context) (context.Context, *atomic.Int64) {
	return withSum(ctx, computeKey{})
}

// Computed notes how long a run took where it was computed, without the way
// there and back: d is part of the time that the caller of Run waits.
func Computed(ctx context.Context, d time.Duration) { addTo(ctx, computeKey{}, d) }

func withSum(ctx context.Context, key any) (context.Context, *atomic.Int64) {
	var sum atomic.Int64
	return context.WithValue(ctx, key, &sum), &sum
}

func addTo(ctx context.Context, key any, d time.Duration) {
	if sum, ok := ctx.Value(key).(*atomic.Int64); ok {
		sum.Add(int64(d))
	}
}
