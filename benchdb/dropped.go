package benchdb

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxSpools is how large all spools together may grow, in bytes, while nobody
// ingests them: from then on inferences are only counted.
const maxSpools = 256 << 20

// measureEvery is how often their size is looked at.
const measureEvery = time.Second

// dropped is a number of inferences of one minute that were not recorded.
type dropped struct {
	ID        string    `json:"id"`
	Timestamp time.Time `json:"timestamp"`
	ModelName string    `json:"model_name"`
	ModelCID  string    `json:"model_cid"`
	Device    string    `json:"device"`
	Error     string    `json:"error"`
	N         int64     `json:"n"`
}

// A counter counts inferences by the minute while the spools are full.
type counter struct {
	dir   string // of the spools
	limit int64

	mu       sync.Mutex // guards what follows
	measured time.Time
	full     bool
	counts   map[dropped]int64 // by all but ID and N
}

// take counts rows, if the spools are full, and reports whether it did. It also
// returns the counts of minutes that are over, or of all if the spools have
// room again.
func (c *counter) take(rows []Inference, now time.Time) (counted bool, due []dropped) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.measured.IsZero() || now.Sub(c.measured) >= measureEvery {
		c.measured, c.full = now, spoolBytes(c.dir) > c.limit
	}
	minute := now.UTC().Truncate(time.Minute)
	due = c.due(minute, !c.full)
	if !c.full || len(rows) == 0 {
		return false, due
	}
	if c.counts == nil {
		c.counts = map[dropped]int64{}
	}
	for _, r := range rows {
		c.counts[dropped{Timestamp: minute, ModelName: r.ModelName, ModelCID: r.ModelCID, Device: r.Device, Error: r.Error}]++
	}
	return true, due
}

// rest returns all counts.
func (c *counter) rest() []dropped {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.due(time.Time{}, true)
}

// due takes the counts out that are not of the minute; c.mu is held.
func (c *counter) due(minute time.Time, all bool) []dropped {
	var out []dropped
	for d, n := range c.counts {
		if all || !d.Timestamp.Equal(minute) {
			delete(c.counts, d)
			d.ID, d.N = uuid.Must(uuid.NewV7()).String(), n
			out = append(out, d)
		}
	}
	return out
}

// spoolBytes is the size of all spools in a folder. What can't be read counts
// nothing.
func spoolBytes(dir string) int64 {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	var n int64
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), spoolSuffix) {
			continue
		}
		if st, err := os.Stat(filepath.Join(dir, e.Name())); err == nil {
			n += st.Size()
		}
	}
	return n
}
