package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// Health is how the engine and what it stands on are.
type Health struct {
	Status    string         `json:"status"` // "ok", or "degraded" if something that was asked for does not work
	StartedAt time.Time      `json:"started_at"`
	Devices   []DeviceHealth `json:"devices"`
	Sources   []SourceHealth `json:"sources"`
	Errors    []ErrorClass   `json:"errors"`
	Queued    int64          `json:"queued"`
	Running   int64          `json:"running"`
	Sessions  int            `json:"sessions"`
	Models    int            `json:"models"`
	Store     string         `json:"store"` // "ok", or what is the matter
}

// DeviceHealth is how a device's last canary went. A device that failed it is
// not used until one goes right.
type DeviceHealth struct {
	ID        string    `json:"id"`
	OK        bool      `json:"ok"`
	CheckedAt time.Time `json:"checked_at"`
	Reason    string    `json:"reason,omitempty"`
}

// SourceHealth is how a source has been since the start.
type SourceHealth struct {
	Name        string     `json:"name"`
	LastSuccess *time.Time `json:"last_success"` // null: it has given nothing yet
	LastFailure *time.Time `json:"last_failure"`
	Failures    int64      `json:"failures"`
	Bytes       int64      `json:"bytes"`
	Banned      bool       `json:"banned"` // it sent wrong bytes in the last fetch
}

// ErrorClass is how often one kind of error happened since the start.
type ErrorClass struct {
	Code   Code      `json:"code"`
	Count  int64     `json:"count"`
	LastAt time.Time `json:"last_at"`
}

// health remembers what happened since the start.
type health struct {
	started time.Time

	mu      sync.Mutex // guards what follows
	errors  map[Code]ErrorClass
	sources map[string]SourceHealth
}

func newHealth() health {
	return health{started: now(), errors: map[Code]ErrorClass{}, sources: map[string]SourceHealth{}}
}

// now is the time as answers show it.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// failed counts an error by its class.
func (h *health) failed(err error) {
	code := codeOf(err)
	if code == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errors[code] = ErrorClass{code, h.errors[code].Count + 1, now()}
}

// asked notes what sources gave.
func (h *health) asked(stats []ipfsstore.SourceStat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range stats {
		at := now()
		was := h.sources[s.Name]
		was.Name, was.Banned = s.Name, s.Banned
		was.Bytes += s.Bytes
		was.Failures += s.Errors
		if s.Blocks > 0 {
			was.LastSuccess = &at
		}
		if s.Errors > 0 || s.Banned {
			was.LastFailure = &at
		}
		h.sources[s.Name] = was
	}
}

// list returns the named sources in order, and the errors, most frequent
// first.
func (h *health) list(names []string) ([]SourceHealth, []ErrorClass) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sources := make([]SourceHealth, 0, len(names))
	for _, name := range names {
		s := h.sources[name]
		s.Name = name
		sources = append(sources, s)
	}
	errs := slices.SortedFunc(maps.Values(h.errors), func(a, b ErrorClass) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(string(a.Code), string(b.Code))
	})
	if errs == nil {
		errs = []ErrorClass{}
	}
	return sources, errs
}

// Health reports how the engine is. It asks no device and no source.
func (e *Engine) Health(ctx context.Context) Health {
	s := e.Stats()
	h := Health{Status: "ok", StartedAt: e.health.started, Devices: e.verified.list(), Queued: s.Queued, Running: s.Running, Sessions: s.Sessions, Store: "ok"}
	h.Sources, h.Errors = e.health.list(e.o.Models.SourceNames())
	models, err := e.o.Models.List(ctx)
	if err != nil {
		e.log.ErrorContext(ctx, "the store can't be read", "error", err)
		h.Status, h.Store = "degraded", "it can't be read; the log says why"
	}
	h.Models = len(models)
	for _, d := range h.Devices {
		if !d.OK {
			h.Status = "degraded"
		}
	}
	return h
}

// Watch runs the canary of every device that has been used again, so often,
// until ctx is done.
func (e *Engine) Watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.checkAgain(ctx, e.verified.used())
		case <-ctx.Done():
			return
		}
	}
}

// checkAgain runs the canary on devices.
func (e *Engine) checkAgain(ctx context.Context, ids []string) {
	found, err := e.candidates(ctx)
	if err != nil {
		e.log.WarnContext(ctx, "devices can't be checked", "error", err)
		return
	}
	for _, c := range found {
		if !slices.Contains(ids, c.ID) {
			continue
		}
		before := e.verified.get(c.ID).demotes()
		v := e.verify(ctx, c, true, true)
		switch {
		case v.demotes() && ctx.Err() == nil:
			e.log.ErrorContext(ctx, "a device does not compute right and is not used until it does", "device", c.ID, "error", v.err)
		case before && v.err == nil:
			e.log.InfoContext(ctx, "a device computes right again", "device", c.ID)
		}
	}
}

// suspect has a device whose process died checked in the background.
func (e *Engine) suspect(c candidate) {
	if !e.verified.suspect(c.ID) {
		return // it is being checked
	}
	if !e.goes(func() {
		defer e.verified.cleared(c.ID)
		e.checkAgain(e.base, []string{c.ID})
	}) {
		e.verified.cleared(c.ID)
	}
}

// recheckAfter is how long a device that failed its canary is not asked again,
// if no other is left.
const recheckAfter = time.Minute

// trusted leaves out devices that failed their last canary. If none is left,
// those whose failure is some time ago may try again.
func (e *Engine) trusted(ctx context.Context, cs []candidate) ([]candidate, error) {
	var out []candidate
	var failed verdict
	for _, c := range cs {
		if v := e.verified.get(c.ID); !v.demotes() {
			out = append(out, c)
		} else if failed.err == nil {
			failed = v
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	for _, c := range cs {
		if time.Since(e.verified.get(c.ID).at) >= recheckAfter && !e.verify(ctx, c, true, true).demotes() {
			return []candidate{c}, nil
		}
	}
	err := Errorf(ErrDeviceUnavailable, "device %s failed its canary: %s", cs[0].ID, Explain(failed.err).Message)
	err.Retryable, err.Err = true, failed.err
	return nil, err.WithHint("detect_hardware {\"refresh\":true} runs the canary again; another device may do meanwhile")
}

// demotes reports whether a verdict keeps work off the device: not if nothing
// was found out about it.
func (v verdict) demotes() bool {
	if v.err == nil {
		return false
	}
	for _, unknown := range []error{ErrRuntimeMissing, ErrNativeMissing, ErrRestartNeeded, ErrCancelled, ErrKilled} {
		if errors.Is(v.err, unknown) {
			return false
		}
	}
	return true
}
