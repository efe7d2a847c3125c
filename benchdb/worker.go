package benchdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	// that went: full, partial or none.
	Confine func(memoryBytes int64, cpu time.Duration) (string, error)
}

// queryMemory is what a query may take, in bytes; what DuckDB needs beside
// that is allowed for by confineMemory.
const (
	queryMemory   = 512 << 20
	confineMemory = queryMemory + 400<<20
)

// Work answers the one request on in, and writes the response to out. It is
// what a worker process does.
func Work(ctx context.Context, in io.Reader, out io.Writer, o WorkerOptions) error {
	var r request
	if err := json.NewDecoder(io.LimitReader(in, 1<<20)).Decode(&r); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	res := response{Schema: SchemaVersion}
	if r.Schema == SchemaVersion {
		w := &worker{o: o, r: r}
		t, err := w.do(ctx)
		res.Table, res.Error = t, failureOf(err)
	}
	return json.NewEncoder(out).Encode(res)
}

// worker is one request as it is worked on.
type worker struct {
	o WorkerOptions
	r request
}

func (w *worker) do(ctx context.Context) (Table, error) {
	switch w.r.Op {
	case opIngest:
		_, err := w.ingest(ctx, ingestLimit, true)
		return Table{}, err
	case opQuery:
		pending, err := w.ingest(ctx, queryIngest, false)
		if err != nil && !errors.Is(err, ErrLocked) && !errors.Is(err, errNewerSchema) {
			return Table{}, err
		}
		t, qerr := w.query(ctx)
		t.PendingRows = pending
		if qerr != nil && errors.Is(err, ErrLocked) {
			return t, err // it names who holds the database
		}
		return t, qerr
	}
	return Table{}, fmt.Errorf("unknown operation %q", w.r.Op)
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
		f.Kind = failLocked
	case isMemory(err):
		f.Kind = failMemory
	}
	return f
}

// isMemory reports whether DuckDB says that it ran out of memory.
func isMemory(err error) bool {
	return strings.Contains(err.Error(), "Out of Memory Error") || strings.Contains(err.Error(), "bad_alloc")
}
