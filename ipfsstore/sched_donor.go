package ipfsstore

import (
	"context"
	"time"

	"github.com/ipfs/go-cid"
)

// A task is a block to be fetched.
type task struct {
	cid  cid.Cid
	size int64 // expected, in bytes; a guess will do
	// take receives the verified block, which it may not keep, and returns
	// the blocks that are wanted next. It is called once.
	take func(block []byte) ([]*task, error)

	// Guarded by the fetcher's mu.
	taken   bool
	done    bool
	asked   []*lane  // who is at it now
	lacking []*donor // who does not have it
}

func (t *task) bytes() int64 {
	if t.size <= 0 {
		return guessedBytes
	}
	return t.size
}

// A donor is a source as one fetch sees it. Its fields are guarded by the
// fetcher's mu.
type donor struct {
	src   Source
	tier  string
	order int // of the tier
	stat  SourceStat
	pace  time.Duration // of one call, recent ones weighing more
	usual float64       // bytes of one call, likewise
	gauge gauge
	lanes []*lane // calls in progress
	fails int
	out   bool // not asked any more
	err   error
}

// observe takes the speed of a call into the donor's score.
func (d *donor) observe(l *lane) {
	took := max(time.Since(l.started), time.Microsecond)
	rate := float64(l.bytes) / took.Seconds()
	if d.pace == 0 {
		d.pace, d.usual, d.stat.Score = took, float64(l.bytes), rate
		return
	}
	d.pace += time.Duration(scoreWeight * float64(took-d.pace))
	d.usual += scoreWeight * (float64(l.bytes) - d.usual)
	d.stat.Score += scoreWeight * (rate - d.stat.Score)
}

// patience is how long another source is left at t by d's own standard: by what
// its calls take, and longer for what is larger than they usually are. It has an
// end: what a call for a few bytes takes says little of a large block.
func (d *donor) patience(t *task) time.Duration {
	if d.pace == 0 {
		return firstHedge
	}
	larger := max(1, float64(t.bytes())/max(1, d.usual))
	usual := 2 * d.pace
	return max(shortHedge, min(time.Duration(larger*float64(usual)), max(usual, longHedge)))
}

// remaining is about how many bytes are to come yet of what d was asked for. Blocks
// come whole, but those that are on their way count for what must have come of them.
func (d *donor) remaining(now time.Time) float64 {
	each := d.gauge.speed(now) / float64(max(1, len(d.lanes)))
	var sum float64
	for _, l := range d.lanes {
		var came float64
		if !l.started.IsZero() {
			came = each*now.Sub(l.started).Seconds() - float64(l.bytes)
		}
		sum += float64(l.left) - min(max(0, came), 0.9*float64(l.left))
	}
	return sum
}

// A lane is one call of a source that is in progress.
type lane struct {
	donor   *donor
	tasks   []*task
	started time.Time // zero while the limit holds it back
	cancel  context.CancelFunc
	bytes   int64 // that came
	left    int64 // that are expected still
}

// stats are the statistics of the sources, in tier order.
func (f *fetcher) stats() []SourceStat {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]SourceStat, len(f.donors))
	for i, d := range f.donors {
		out[i] = d.stat
	}
	return out
}

// level is the farthest tier that a block came from.
func (f *fetcher) level() string {
	level := tierStore
	for _, d := range f.donors {
		if d.stat.Blocks > 0 {
			level = max(level, d.tier)
		}
	}
	return level
}
