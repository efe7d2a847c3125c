package benchdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Limits on a worker.
const (
	maxResponse   = 8 << 20         // bytes
	workerGrace   = 5 * time.Second // beyond a query's own limit, for start and ingest
	ingestLimit   = time.Minute     // for an ingest alone
	maintainLimit = time.Hour       // for what a person asks for
	workerStderr  = 4 << 10         // bytes kept for the log
)

// ask starts a worker for one request. A worker that does not answer in time
// is killed; so is it when ctx is done.
func (db *DB) ask(ctx context.Context, r request) (response, error) {
	limit := maintainLimit
	switch r.Op {
	case opQuery:
		limit = r.timeout() + workerGrace
	case opIngest:
		limit = ingestLimit
	}
	wctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r.Schema = db.ed.schema
	in, err := json.Marshal(r)
	if err != nil {
		return response{}, err
	}
	cmd, err := db.command(wctx)
	if err != nil {
		return response{}, err
	}
	stderr := &tail{limit: workerStderr}
	cmd.Stderr = stderr
	out, err := run(cmd, in)
	if err == nil {
		return decode(out, db.ed.schema)
	}
	if ctx.Err() != nil {
		return response{}, ctx.Err()
	}
	if r.Op == opIngest && wctx.Err() != nil || crashed(cmd.ProcessState) {
		db.noteCrash()
	}
	switch {
	case wctx.Err() != nil || cmd.ProcessState.ExitCode() == exitTimeout || spent(cmd.ProcessState, r.cpu()):
		return response{}, ErrQueryTimeout
	case outOfMemory(stderr.data):
		return response{}, ErrQueryMemory
	}
	db.log.Warn("a database worker ended without an answer", "error", err, "stderr", string(stderr.data))
	return response{}, fmt.Errorf("%w: %w", errWorker, err)
}

// spent reports whether a process was killed for the processor time it took.
func spent(p *os.ProcessState, limit time.Duration) bool {
	const tick = 100 * time.Millisecond // what the system may count differently
	return p != nil && !p.Exited() && limit > 0 && p.UserTime()+p.SystemTime() >= limit-tick
}

// outOfMemory reports whether C++, Go or the C library said so as they died.
func outOfMemory(stderr []byte) bool {
	for _, sign := range []string{"bad_alloc", "pthread_create", "out of memory", "cannot allocate memory"} {
		if bytes.Contains(stderr, []byte(sign)) {
			return true
		}
	}
	return false
}

// command readies a worker in the database's folder: it gets nothing of this
// process's environment that it does not need, and no home to tell of.
func (db *DB) command(ctx context.Context) (*exec.Cmd, error) {
	if len(db.o.Command) == 0 {
		return nil, ErrNativeMissing
	}
	program, err := exec.LookPath(db.o.Command[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNativeMissing, err)
	}
	cmd := exec.CommandContext(ctx, program, db.o.Command[1:]...)
	cmd.Dir = db.dir
	cmd.Env = []string{"HOME=/nonexistent", "GOMAXPROCS=2"}
	for _, keep := range []string{"PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMP", "TEMP", "GORACE"} {
		if v, ok := os.LookupEnv(keep); ok {
			cmd.Env = append(cmd.Env, keep+"="+v)
		}
	}
	own(cmd)
	return cmd, nil
}

// run runs the worker and returns what it writes to its result pipe. Its input
// stays open until then: so it knows that it is waited for.
func run(cmd *exec.Cmd, in []byte) ([]byte, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	defer r.Close() // it is read to its end, or given up
	giveResult(cmd, w)
	err = cmd.Start()
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	_, werr := stdin.Write(in)
	out, err := io.ReadAll(io.LimitReader(r, maxResponse+1))
	if len(out) > maxResponse {
		err = fmt.Errorf("its answer is over %d bytes", maxResponse)
	}
	// Now it can only end, for want of someone to answer.
	err = errors.Join(err, r.Close(), cmd.Wait())
	if len(out) <= maxResponse && json.Valid(out) { // how it ended does not matter once it has answered
		return out, nil
	}
	if err = errors.Join(werr, err); err == nil {
		err = errors.New("it ended without an answer")
	}
	return nil, err
}

// decode reads a worker's answer.
func decode(out []byte, schema int) (response, error) {
	var res response
	if err := json.Unmarshal(out, &res); err != nil {
		return res, fmt.Errorf("%w: %w", errWorker, err)
	}
	if res.Schema != schema {
		return res, ErrRestartNeeded
	}
	f := res.Error
	if f == nil {
		return res, nil
	}
	switch f.Kind {
	case failQuery:
		return res, &QueryError{Message: f.Message, Hint: f.Hint, ValidValues: f.ValidValues}
	case failTimeout:
		return res, ErrQueryTimeout
	case failMemory:
		return res, ErrQueryMemory
	case failCursor:
		return res, ErrBadCursor
	case failSchema:
		return res, ErrRestartNeeded
	case failLocked:
		return res, fmt.Errorf("%w: %s", ErrLocked, f.Message)
	}
	return res, fmt.Errorf("%w: %s", errWorker, f.Message)
}

// A tail keeps the last bytes written to it.
type tail struct {
	limit int
	data  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - t.limit; over > 0 {
		t.data = t.data[over:]
	}
	return len(p), nil
}
