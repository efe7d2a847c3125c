package wire

import (
	"sync"
	"time"
)

// An Expecter is a connection that a client tells when an answer is near.
type Expecter interface {
	// Expect returns when there is something to read, when the connection
	// has ended, after d, or sooner: it may wait in a way that has what
	// comes read earlier. It is called while the connection is read and
	// written, and must not make either fail.
	Expect(d time.Duration)
}

const (
	// near is up to what time in the server an answer is expected: of
	// longer runs, what is won would not be noticed.
	near = 800 * time.Microsecond

	// onTheWay is what a run mostly takes outside of the server at most,
	// there and back, and overdue what it takes there only where somebody
	// else wants the processors.
	onTheWay = 300 * time.Microsecond
	overdue  = time.Millisecond

	// How many runs are not expected once an answer came late, and then
	// another.
	minPause, maxPause = 8, 128
)

// A pace says how soon the answers to a session's runs come.
type pace struct {
	mu    sync.Mutex    // guards what follows
	took  time.Duration // of the last run, in the server; the next is likely to take as long
	pause int           // runs not to expect
	late  int           // the last pause, less one for each answer since that was in time
}

// next returns how long to expect the answer of a run; 0 is not at all.
func (p *pace) next() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pause > 0 {
		p.pause--
		return 0
	}
	if p.took == 0 || p.took > near {
		return 0
	}
	return p.took + onTheWay
}

// ran notes a run that took so long in the server and in all, and for how long
// its answer was expected. One that comes late says that the processors are
// busy, where who expects it is in the way.
func (p *pace) ran(took, all, expected time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = took
	switch {
	case expected == 0:
	case all-took > overdue:
		p.late = min(max(2*p.late, minPause), maxPause)
		p.pause = p.late
	case p.late > 0:
		p.late--
	}
}
