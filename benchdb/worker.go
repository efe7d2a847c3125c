package benchdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// WorkerOptions are what a worker's program hands it.
type WorkerOptions struct {
	// Driver is the name that a DuckDB driver is registered under in
	// database/sql.
	Driver string

	// Confine has the process give up files, the network, memory beyond a
	// limit in bytes and processor time beyond another, and reports how far
	// that went: full, partial or none. An agent's SQL is not asked unless it
	// is full, or Options.UnconfinedSQL is set.
	Confine func(memoryBytes int64, cpu time.Duration) (string, error)
}

// sandboxFull is the level at which an agent's SQL is asked.
const sandboxFull = "full"

// queryMemory is what a query may take, in bytes; what DuckDB needs beside
// that is allowed for by confineMemory.
const (
	queryMemory   = 512 << 20
	confineMemory = queryMemory + 400<<20
)

// timeout is the query's own limit.
func (r request) timeout() time.Duration { return time.Duration(r.TimeoutMS) * time.Millisecond }

// cpu is the processor time of a worker that answers a query, 0 for one that
// does not: two threads for the time limit, and what the start and the ingest
// take. A query that DuckDB can't interrupt ends by it though its caller is
// gone.
func (r request) cpu() time.Duration {
	if r.Op != opQuery {
		return 0
	}
	return (2*(r.timeout()+time.Duration(r.IngestMS)*time.Millisecond) + 2*time.Second).Round(time.Second)
}

// Work answers the one request on in, and writes the response to out. It is
// what a worker process does, in the database's folder: when in ends before
// the response is written, nobody waits for it any more, and it ends the
// process.
func Work(ctx context.Context, in io.Reader, out io.Writer, o WorkerOptions) error {
	return work(ctx, in, out, &worker{o: o, ed: current})
}

func work(ctx context.Context, in io.Reader, out io.Writer, w *worker) error {
	var r request
	if err := json.NewDecoder(io.LimitReader(in, maxRequest)).Decode(&r); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	go endWith(in)
	var res response
	if r.Schema == w.ed.schema {
		w.r = r
		got, err := w.do(ctx)
		res, res.Error = got, failureOf(err)
	}
	res.Schema = w.ed.schema
	return json.NewEncoder(out).Encode(res)
}

// endWith ends the process with its input. There is no gentler way out of C,
// and no need for one: a killed worker leaves nothing behind.
func endWith(in io.Reader) {
	io.Copy(io.Discard, in) //nolint:errcheck // either way nobody is there
	os.Exit(1)
}

// worker is one request as it is worked on.
type worker struct {
	o  WorkerOptions
	ed edition
	r  request

	skipTree bool // asks an agent's SQL without a look at it; a test of what else holds it
}

func (w *worker) do(ctx context.Context) (response, error) {
	switch w.r.Op {
	case opIngest:
		pending, err := w.ingest(ctx)
		return response{Table: Table{PendingRows: pending}}, err
	case opQuery:
		t, err := w.answer(ctx)
		return response{Table: t}, err
	}
	return w.maintain(ctx)
}

// answer ingests for a moment, then queries.
func (w *worker) answer(ctx context.Context) (Table, error) {
	pending, err := w.ingest(ctx)
	if err != nil && !errors.Is(err, ErrLocked) && !errors.Is(err, errNewerSchema) {
		return Table{}, err
	}
	t, qerr := w.query(ctx, pending > 0)
	var mistake *QueryError
	if qerr != nil && err != nil && !errors.As(qerr, &mistake) {
		return t, err // the reason why
	}
	return t, qerr
}

// failureOf says what an error is to the program that asked.
func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Kind: failOther, Message: err.Error()}
	var qe *QueryError
	switch {
	case errors.As(err, &qe):
		*f = failure{Kind: failQuery, Message: qe.Message, Hint: qe.Hint, ValidValues: qe.ValidValues}
	case errors.Is(err, context.DeadlineExceeded):
		f.Kind = failTimeout
	case errors.Is(err, ErrBadCursor):
		f.Kind = failCursor
	case errors.Is(err, errNewerSchema):
		f.Kind = failSchema
	case errors.Is(err, ErrLocked):
		f.Kind, f.Message = failLocked, strings.TrimPrefix(f.Message, ErrLocked.Error()+": ")
	case isMemory(err):
		f.Kind = failMemory
	}
	return f
}

// isMemory reports whether DuckDB says that it ran out of memory.
func isMemory(err error) bool {
	return strings.Contains(err.Error(), "Out of Memory Error") || strings.Contains(err.Error(), "bad_alloc")
}
