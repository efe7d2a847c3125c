package engine

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
)

// The modes of a call that works.
const (
	ModeSync  = "sync"  // answer when done, or "running" after Options.SyncLimit
	ModeAsync = "async" // answer at once
)

// announceAfter is how long work lasts before other processes are told of it:
// most calls end sooner and cost no more than the one row they record.
const announceAfter = time.Second

// A run is one piece of work: it may outlive the call that started it.
type run struct {
	id     string
	kind   string
	cancel context.CancelCauseFunc
	record func(benchdb.Run) // writes to the result log

	mu        sync.Mutex // guards what follows
	state     benchdb.Run
	report    func(Progress) // of the caller, nil once it has gone
	announced time.Time      // when it was last written, zero if never
}

var errCancelledByCall = errors.New("cancelled by a call")

// progress tells the caller, and once a second the result log, how far it is.
func (r *run) progress(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Done, r.state.Total, r.state.Unit, r.state.Message = p.Done, p.Total, p.Unit, p.Message
	if r.report != nil {
		r.report(p)
	}
	now := time.Now()
	if now.Sub(r.state.StartedAt) >= announceAfter && now.Sub(r.announced) >= announceAfter {
		r.announce(now)
	}
}

// about notes which model the run is of.
func (r *run) about(m *ModelRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.ModelName, r.state.ModelCID = m.Name, m.CID
}

// announce writes the run's state; r.mu is held.
func (r *run) announce(now time.Time) {
	r.announced, r.state.At = now, now
	r.record(r.state)
}

// detach lets the run go on without its caller.
func (r *run) detach() Common {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report = nil
	r.announce(time.Now())
	return Common{
		RunID: r.id, Status: benchdb.Running,
		Progress: &Progress{Done: r.state.Done, Total: r.state.Total, Unit: r.state.Unit, Message: r.state.Message},
		Summary:  "still working; the run goes on",
		NextSteps: []string{
			"query_results {\"run_id\":\"" + r.id + "\"} for the answer",
			"call this tool with {\"cancel\":\"" + r.id + "\"} to stop it",
		},
	}
}

// An answer is what work returns: a struct that embeds Common.
type answer[A any] interface {
	*A
	common() *Common
}

// A job is work to be done as a run.
type job[A any] struct {
	kind   string
	mode   string
	keep   bool // record the answer even if it was quick
	report func(Progress)
	do     func(ctx context.Context, r *run) (A, error)
}

// perform does a job: it answers when the work is done, or that it is still
// running. If ctx ends first, the work is cancelled and waited for.
func perform[A any, P answer[A]](ctx context.Context, e *Engine, j job[A]) (A, error) {
	r, runCtx := e.begin(ctx, j.kind, j.report)
	unlink := context.AfterFunc(ctx, func() { r.cancel(context.Cause(ctx)) })
	type outcome struct {
		a   A
		err error
	}
	done := make(chan outcome, 1)
	started := e.goes(func() {
		a, err := j.do(runCtx, r)
		err = causeOf(runCtx, err)
		P(&a).common().RunID = r.id
		err = e.finish(r, P(&a).common(), &a, err, j.keep)
		done <- outcome{a, err}
	})
	if !started {
		unlink()
		var a A
		return a, e.finish(r, P(&a).common(), &a, errClosing, false)
	}
	detach, stop := e.detachAfter(j.mode)
	defer stop()
	select {
	case o := <-done:
		unlink()
		return o.a, o.err
	case <-detach:
	}
	if !unlink() { // the caller went at the same moment
		o := <-done
		return o.a, o.err
	}
	var a A
	*P(&a).common() = r.detach()
	return a, nil
}

// errClosing is for calls that come while the engine closes.
var errClosing = Errorf(ErrCancelled, "the server is shutting down")

// goes does f on a goroutine that Close waits for. It reports false, and does
// nothing, once the engine closes.
func (e *Engine) goes(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.work.Go(func() {
		growStack()
		f()
	})
	return true
}

// growStack makes the stack of a new goroutine as large as most work needs. To
// grow it step by step would copy it each time.
//
//go:noinline
func growStack() {
	var room [12 << 10]byte
	runtime.KeepAlive(&room)
}

// detachAfter says when a call stops waiting for its work; a nil channel is
// never.
func (e *Engine) detachAfter(mode string) (<-chan time.Time, func()) {
	limit := e.o.SyncLimit
	switch {
	case e.o.Wait:
		return nil, func() {}
	case mode == ModeAsync:
		limit = 0
	case limit == 0:
		return nil, func() {}
	}
	t := time.NewTimer(limit)
	return t.C, func() { t.Stop() }
}

func (e *Engine) begin(ctx context.Context, kind string, report func(Progress)) (*run, context.Context) {
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	id := newID()
	now := time.Now()
	r := &run{
		id: id, kind: kind, report: report,
		state: benchdb.Run{ID: id, Kind: kind, Status: benchdb.Running, StartedAt: now, At: now},
		record: func(b benchdb.Run) {
			e.record(runCtx, benchdb.Batch{Runs: []benchdb.Run{b}})
		},
	}
	unlink := context.AfterFunc(e.base, func() { cancel(context.Canceled) })
	r.cancel = func(cause error) { unlink(); cancel(cause) }
	e.mu.Lock()
	e.runs[id] = r
	e.mu.Unlock()
	return r, runCtx
}

// finish ends a run: it notes how it went and, if anyone may ask, its answer.
func (e *Engine) finish(r *run, c *Common, a any, err error, keep bool) error {
	e.mu.Lock()
	delete(e.runs, r.id)
	e.mu.Unlock()
	err = contextError(err)
	e.health.failed(err)
	c.Status = benchdb.Completed
	switch {
	case errors.Is(err, ErrCancelled):
		c.Status = benchdb.Cancelled
	case err != nil:
		c.Status = benchdb.Failed
	}
	r.cancel(context.Canceled) // frees the context
	r.mu.Lock()
	defer r.mu.Unlock()
	if !keep && r.announced.IsZero() {
		return err
	}
	if err != nil {
		c.Error = Explain(err)
		r.state.Error = string(c.Error.Code)
	}
	data, merr := json.Marshal(a)
	if merr != nil {
		e.log.Error("encode the answer of a run", "run_id", r.id, "error", merr)
		data = nil
	}
	r.state.Status, r.state.Answer, r.report = c.Status, data, nil
	r.announce(time.Now())
	return err
}

// causeOf says why work stopped: what ran under ctx only knows that it was
// cancelled, not that it was for a deadline.
func causeOf(ctx context.Context, err error) error {
	if err = contextError(err); errors.Is(err, ErrCancelled) && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return contextError(context.DeadlineExceeded)
	}
	return err
}

// contextError turns the errors of contexts into the engine's own.
func contextError(err error) error {
	var e *Error
	switch {
	case err == nil || errors.As(err, &e):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: ErrDeadline, Message: "it took longer than allowed", Hint: "allow more time, or use mode async", Retryable: true, Err: err}
	case errors.Is(err, context.Canceled), errors.Is(err, errCancelledByCall):
		return &Error{Code: ErrCancelled, Message: "cancelled", Retryable: true, Err: err}
	}
	return err
}

// cancelRun cancels a run of this process.
func (e *Engine) cancelRun(id string) (Common, error) {
	e.mu.Lock()
	r := e.runs[id]
	e.mu.Unlock()
	if r == nil {
		return Common{}, Errorf(ErrRunNotFound, "no run %q is going on in this server", id).
			WithHint("query_results {\"run_id\":%q} says how it ended, or whether another process runs it", id)
	}
	r.cancel(errCancelledByCall)
	return Common{RunID: id, Status: benchdb.Cancelled, Summary: "cancelled"}, nil
}

// record writes to the result log; a failure is logged, and said in answers
// that promise a record.
func (e *Engine) record(ctx context.Context, b benchdb.Batch) bool {
	if err := e.o.Results.Record(context.WithoutCancel(ctx), b); err != nil {
		e.log.Error("record a measurement", "error", err)
		for _, v := range b.Environments {
			e.told.Delete(v.ID) // the next record tells it
		}
		return false
	}
	return true
}

// newID returns a UUIDv7, which sorts by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
