package ipfsstore

import (
	"slices"
	"time"
)

// pull takes pending tasks for d, about as many as fill a large block. Those
// that others must do stay in front; only so many of them are passed over.
func (f *fetcher) pull(d *donor) []*task {
	var batch, passed []*task
	var size int64
	i := 0
	for ; i < len(f.pending) && len(passed) < maxPassed; i++ {
		t := f.pending[i]
		if !f.mayAsk(d, t) {
			passed = append(passed, t)
			continue
		}
		if len(batch) >= batchBlocks || len(batch) > 0 && size+t.bytes() > batchBytes {
			break
		}
		batch, size = append(batch, t), size+t.bytes()
	}
	copy(f.pending[i-len(passed):i], passed)
	f.pending = f.pending[i-len(passed):]
	f.flying = append(f.flying, batch...)
	return batch
}

// mayAsk reports whether it is d's turn: no source of an earlier tier is left.
func (f *fetcher) mayAsk(d *donor, t *task) bool {
	if slices.Contains(t.lacking, d) {
		return false
	}
	for _, e := range f.donors {
		if e.order < d.order && !e.out && !slices.Contains(t.lacking, e) {
			return false
		}
	}
	return true
}

// hedge picks a task that another source has been at for too long by d's own
// standard, or says when there could be one.
func (f *fetcher) hedge(d *donor) (*task, time.Duration) {
	soonest, now := time.Duration(0), time.Now()
	for _, t := range f.flying {
		if t.taken || slices.Contains(t.lacking, d) ||
			slices.ContainsFunc(t.asked, func(l *lane) bool { return l.donor == d }) {
			continue
		}
		left := f.leave(d, t, now)
		if left <= 0 {
			return t, 0
		}
		if soonest == 0 || left < soonest {
			soonest = left
		}
	}
	return nil, soonest
}

// leave is how long d leaves t to those that are at it.
func (f *fetcher) leave(d *donor, t *task, now time.Time) time.Duration {
	last := t.asked[len(t.asked)-1]
	if last.started.IsZero() {
		return recheck // its call is about to begin, or held back by the limit
	}
	left := max(d.patience(t), last.donor.leeway(d)) - now.Sub(last.started)
	if !f.mayAsk(d, t) {
		left += tierHedge
	}
	if len(t.asked) >= maxAttempts {
		left += stuckHedge
	}
	if !d.sooner(last.donor, t, now) {
		left = max(left, recheck)
	}
	return left
}

// sooner reports whether d would have t before another source, which is at it, is
// through with all that it was asked for. What is not known is hoped for.
func (d *donor) sooner(other *donor, t *task, now time.Time) bool {
	own, its := d.gauge.speed(now), other.gauge.speed(now)
	return own == 0 || its == 0 || (d.remaining(now)+float64(t.bytes()))/own <= other.remaining(now)/its
}

// leeway is how long a source is at a call before another had better ask too: one
// that is about as fast as the other would only be disturbed.
func (d *donor) leeway(other *donor) time.Duration {
	if d.pace > 4*other.pace {
		return 0
	}
	return d.pace * 3 / 2
}
