package p2p

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// A ledger is what is known of content providers: how soon and how fast they
// answer, how often, and how busy they are.
type ledger struct {
	now func() time.Time

	mu      sync.Mutex // guards all below
	entries map[peer.ID]*entry
}

// An entry is one peer of a ledger.
type entry struct {
	latency   time.Duration // until an answer, less its bytes by bandwidth
	bandwidth float64       // bytes a second
	success   float64       // recent ones weigh more
	bytes     int64
	busy      int // requests in flight
	fails     int // in a row
	until     time.Time
	banned    bool
}

const (
	weight       = 0.2 // of the newest observation
	fairLatency  = 50 * time.Millisecond
	fairRate     = 50 << 20
	usualBlock   = 1 << 20
	smallBlock   = 16 << 10
	maxFails     = 3 // in a row, before a peer is left alone for a while
	firstPause   = 2 * time.Second
	longestPause = time.Minute
)

func newLedger() *ledger { return &ledger{now: time.Now, entries: make(map[peer.ID]*entry)} }

// of returns the entry of p. The caller has the lock.
func (l *ledger) of(p peer.ID) *entry {
	e, ok := l.entries[p]
	if !ok {
		e = &entry{success: 1}
		l.entries[p] = e
	}
	return e
}

// cost is how long a block from the peer is expected to take, in seconds. A
// peer of which nothing is known is taken for a fair one, so that it is tried.
func (e *entry) cost() float64 {
	latency, rate := e.latency, e.bandwidth
	if latency == 0 {
		latency = fairLatency
	}
	if rate == 0 {
		rate = fairRate
	}
	return (latency.Seconds() + usualBlock/rate) * float64(e.busy+1) / max(e.success, 0.05)
}

// usable reports whether the peer may be asked now.
func (e *entry) usable(now time.Time) bool { return !e.banned && !now.Before(e.until) }

// pick returns the best of some peers and books a request to it.
func (l *ledger) pick(from []peer.ID) (peer.ID, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	best := peer.ID("")
	for _, p := range from {
		if l.of(p).usable(now) && (best == "" || l.of(p).cost() < l.of(best).cost()) {
			best = p
		}
	}
	if best == "" {
		return "", false
	}
	l.of(best).busy++
	return best, true
}

// An outcome is how a request ended.
type outcome int

const (
	served outcome = iota
	absent         // the peer does not have it, which is no fault
	failed
	dropped // we wanted it no more
)

// book ends a request that pick began.
func (l *ledger) book(p peer.ID, o outcome, bytes int, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.of(p)
	e.busy--
	switch o {
	case served:
		e.fails = 0
		e.success += weight * (1 - e.success)
		e.bytes += int64(bytes)
		e.observe(bytes, max(took, time.Microsecond))
	case absent:
		e.fails = 0
		e.latency = blend(e.latency, took)
	case failed:
		e.success -= weight * e.success
		if e.fails++; e.fails >= maxFails {
			e.until = l.now().Add(min(longestPause, firstPause<<min(e.fails-maxFails, 5)))
		}
	}
}

// observe takes a small block for a measure of latency, a large one for one of
// bandwidth.
func (e *entry) observe(bytes int, took time.Duration) {
	if bytes < smallBlock {
		e.latency = blend(e.latency, took)
		return
	}
	rate := float64(bytes) / took.Seconds()
	if e.bandwidth == 0 {
		e.bandwidth = rate
	}
	e.bandwidth += weight * (rate - e.bandwidth)
	if e.latency == 0 || took < e.latency {
		e.latency = blend(e.latency, took)
	}
}

func blend(old, observed time.Duration) time.Duration {
	if old == 0 {
		return observed
	}
	return old + time.Duration(weight*float64(observed-old))
}

// ban says that a peer sent wrong bytes: that is proof, and not forgotten.
func (l *ledger) ban(p peer.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(p).banned = true
}

// isBanned reports whether p has lied.
func (l *ledger) isBanned(p peer.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.entries[p]
	return ok && e.banned
}

// snapshot returns the entries, and the peers best first.
func (l *ledger) snapshot() (map[peer.ID]entry, []peer.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[peer.ID]entry, len(l.entries))
	for p, e := range l.entries {
		out[p] = *e
	}
	ranked := slices.SortedFunc(maps.Keys(out), func(a, b peer.ID) int {
		x, y := out[a], out[b]
		return cmp.Or(cmp.Compare(x.cost(), y.cost()), cmp.Compare(a, b))
	})
	return out, ranked
}
