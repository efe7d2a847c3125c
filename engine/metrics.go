package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// An Observer is told what the engine has done. Its methods are called once the
// work is done, by the goroutine that did it, and may be called concurrently.
type Observer interface {
	Inferred(ctx context.Context, i Inferred)
	Fetched(ctx context.Context, f FetchedFrom)
}

// Inferred is an inference that is over.
type Inferred struct {
	Start   time.Time
	RunID   string
	Model   string // its CID, "" if it was not found
	Task    string
	Device  string         // "" if none was reached
	Cache   string         // the level that had the model, "" if none did
	Timings InferTimingsMS // what was not reached is 0
	Compute time.Duration  // of Timings.Run, what the runs took in the process that computed them; 0 if it did not tell
	Code    Code           // of the error, "" if there was none
}

// FetchedFrom is what sources gave for one fetch.
type FetchedFrom struct {
	Start   time.Time
	Took    time.Duration
	Sources []SourceUse
	Code    Code // of the error, "" if there was none
}

// Stats are an engine's state in numbers.
type Stats struct {
	Queued       int64 // runs that wait for processor cores
	Running      int64 // runs that compute
	Sessions     int   // that are open
	SessionBytes int64 // what they are thought to take
}

// Stats returns the state of this moment.
func (e *Engine) Stats() Stats {
	s := Stats{Queued: e.load.queued.Load(), Running: e.load.running.Load()}
	s.Sessions, s.SessionBytes = e.sessions.size()
	return s
}

// load counts runs.
type load struct{ admitted, queued, running atomic.Int64 }

// observe tells of an inference.
func (in *inferring) observe(ctx context.Context, err error) {
	if in.e.o.Observer == nil {
		return
	}
	i := Inferred{Start: in.start, RunID: in.run.id, Task: in.out.Task, Cache: in.out.Cache, Timings: in.t, Compute: time.Duration(in.compute.Load()), Code: codeOf(err)}
	if in.model != nil {
		i.Model = in.model.Root
	}
	if in.out.Device != nil {
		i.Device = in.out.Device.ID
	}
	in.e.o.Observer.Inferred(ctx, i)
}

// codeOf is an error as a word, "" for none.
func codeOf(err error) Code {
	if err == nil {
		return ""
	}
	return Explain(err).Code
}

// asked notes what sources gave for a fetch that is over.
func (e *Engine) asked(ctx context.Context, start time.Time, stats []ipfsstore.SourceStat, err error) {
	e.health.asked(stats)
	if e.o.Observer == nil {
		return
	}
	f := FetchedFrom{Start: start, Took: time.Since(start)}
	for _, s := range stats {
		f.Sources = append(f.Sources, SourceUse(s))
	}
	if err != nil {
		f.Code = codeOf(e.storeError(ctx, "", err))
	}
	e.o.Observer.Fetched(ctx, f)
}

type requestKey struct{}

// WithRequestID notes which request of a client work is for: it is in every
// line of the log about it.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID is what [WithRequestID] noted, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
