package workloads

import (
	"context"
	"slices"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Warm-up goes on while it pays: while a block of runs has a median below
// stillWarming times that of the block before, for at most maxBlocks.
const (
	stillWarming = 0.9
	maxBlocks    = 10
)

// warmUp runs the target as often as the options say, once at least: the first
// run opens the session, which is not what is measured. It goes on while runs
// still become faster, and returns how many there were.
func warmUp(ctx context.Context, t engine.Target, o engine.WorkloadOptions) (int, error) {
	n := max(o.Warmup, 1)
	took := make([]time.Duration, 0, n)
	block := max(n/2, 1)
	for len(took) < n || (n > 3 && len(took) < n+maxBlocks*block && warming(took, block)) {
		began := time.Now()
		if err := t.Run(ctx, o.BatchSize); err != nil {
			return len(took), err
		}
		took = append(took, time.Since(began))
	}
	return len(took), nil
}

// warming reports whether the last block was much faster than that before it.
func warming(took []time.Duration, block int) bool {
	last, before := took[len(took)-block:], took[len(took)-2*block:len(took)-block]
	return float64(middle(last)) < stillWarming*float64(middle(before))
}

func middle(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}
