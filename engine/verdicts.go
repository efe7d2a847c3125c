package engine

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// verdicts remembers the verdict on each device of this process.
type verdicts struct {
	turn sync.Mutex // held while a canary runs

	mu       sync.Mutex // guards what follows
	by       map[string]verdict
	suspects map[string]bool // being checked in the background
}

func (v *verdicts) get(id string) verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.by[id]
}

func (v *verdicts) put(id string, is verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.by == nil {
		v.by = map[string]verdict{}
	}
	v.by[id] = is
}

// used lists the devices that have been checked.
func (v *verdicts) used() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.by))
}

// suspect notes that a device is being checked; it reports false if it is
// already.
func (v *verdicts) suspect(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.suspects[id] {
		return false
	}
	if v.suspects == nil {
		v.suspects = map[string]bool{}
	}
	v.suspects[id] = true
	return true
}

func (v *verdicts) cleared(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.suspects, id)
}

// list returns how each device's last canary went.
func (v *verdicts) list() []DeviceHealth {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := []DeviceHealth{}
	for _, id := range slices.Sorted(maps.Keys(v.by)) {
		is := v.by[id]
		d := DeviceHealth{ID: id, OK: is.err == nil, CheckedAt: is.at.UTC().Truncate(time.Second)}
		if is.err != nil {
			d.Reason = Explain(is.err).Message
		}
		out = append(out, d)
	}
	return out
}
