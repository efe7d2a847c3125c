package ipfsstore

import "time"

const (
	rateWindow = 100 * time.Millisecond // over which a source's speed is taken
	probeLanes = 4                      // calls of a source whose speed is not known, where there are others
	recheck    = 50 * time.Millisecond  // of a source that had better not take more
	maxSummed  = 256                    // pending tasks that are looked at; the others are taken to be like them
	late       = 1.02                   // times the end of all, that a source may be at it
)

// A gauge measures how fast a source is, all its calls together. Its methods are
// called by the fetcher, which holds its mu.
type gauge struct {
	load  int64     // bytes asked for that did not come yet
	due   int64     // what of them has to come before the window ends: calls at the same time end at the same time
	rate  float64   // bytes a second; 0 is not known
	since time.Time // begin of the window
	got   int64     // bytes in it
}

// ask books bytes that were asked for. While nothing is asked for, no time
// passes.
func (g *gauge) ask(bytes int64, now time.Time) {
	if g.load == 0 {
		g.since, g.got = now, 0
	}
	g.load += bytes
	if g.got == 0 {
		g.due = g.load
	}
}

// take books bytes that came.
func (g *gauge) take(bytes int64, now time.Time) {
	g.got += bytes
	took := now.Sub(g.since)
	if took < rateWindow || g.got < g.due {
		return
	}
	seen := float64(g.got) / took.Seconds()
	if g.rate > 0 {
		seen = g.rate + scoreWeight*(seen-g.rate)
	}
	g.rate, g.since, g.got, g.due = seen, now, 0, g.load
}

// speed is the rate, or less if it has not been kept for a while: a source that
// has stopped is not counted on.
func (g *gauge) speed(now time.Time) float64 {
	if took := now.Sub(g.since); g.rate > 0 && g.load > 0 && took > 2*rateWindow {
		return min(g.rate, float64(max(g.got, g.due, limitBurst))/took.Seconds())
	}
	return g.rate
}

// mayTake reports whether d is to be given more: not if it would be at it when
// all the others are done. So all end at about the same time, and none waits for
// the slowest.
func (f *fetcher) mayTake(d *donor, now time.Time) bool {
	var load, rate float64
	others := 0
	for _, e := range f.donors {
		if e.out || e.order > d.order {
			continue
		}
		load += e.remaining(now)
		rate += e.gauge.speed(now)
		if e != d {
			others++
		}
	}
	own := d.gauge.speed(now)
	switch {
	case others == 0 || len(f.pending) == 0:
		return true
	case own == 0:
		return len(d.lanes) < probeLanes
	case load == 0:
		return true // somebody has to
	}
	end := (load + f.pendingBytes()) / rate
	return (d.remaining(now)+float64(f.pending[0].bytes()))/own <= late*end
}

// pendingBytes is about how much nobody was asked for yet.
func (f *fetcher) pendingBytes() float64 {
	var sum int64
	seen := f.pending[:min(len(f.pending), maxSummed)]
	for _, t := range seen {
		sum += t.bytes()
	}
	return float64(sum) * float64(len(f.pending)) / float64(max(1, len(seen)))
}
