package ipfsstore

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// limitBurst is what may come at once under a limit, in bytes: a block, so that
// what comes in a few seconds is not far from the limit.
const limitBurst = 1 << 20

// A limit is one on bytes a second; its zero value is none.
type limit struct{ *rate.Limiter }

func newLimit(bytes int64) limit {
	if bytes <= 0 {
		return limit{}
	}
	return limit{rate.NewLimiter(rate.Limit(bytes), limitBurst)}
}

// wait waits until that many bytes may come; for none, until those before are
// paid for.
func (l limit) wait(ctx context.Context, bytes int64) error {
	if l.Limiter == nil {
		return nil
	}
	for left := max(1, bytes); left > 0; left -= limitBurst {
		if err := l.WaitN(ctx, int(min(left, limitBurst))); err != nil {
			return err
		}
	}
	return nil
}

// owe makes the next who waits pay for bytes that have come already.
func (l limit) owe(bytes int64) {
	if l.Limiter == nil {
		return
	}
	for ; bytes > 0; bytes -= limitBurst {
		l.ReserveN(time.Now(), int(min(bytes, limitBurst)))
	}
}

// piece is how much of a stream is to be read before the next wait, so that the
// stream is never left alone for long.
func (l limit) piece(most int) int {
	if l.Limiter == nil {
		return most
	}
	return max(1, min(most, int(l.Limit())))
}
