package benchdb

import (
	"sync"
	"time"
)

// processStart has a reading of the monotonic clock that others are told by.
var processStart = time.Now()

// steady is the clock of this process's records.
var steady clock

// A clock follows the wall clock, but never back.
type clock struct {
	mu    sync.Mutex
	start time.Time // the wall clock at processStart, as far as is known
}

// at returns the time of a reading: what the wall clock showed when so much of
// monotonic time had passed since processStart.
func (c *clock) at(wall time.Time, passed time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if start := wall.Add(-passed); start.After(c.start) {
		c.start = start // set forward, or the machine has slept
	}
	return c.start.Add(passed)
}
