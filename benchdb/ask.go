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
	"time"
)

// Limits on a worker.
const (
	maxResponse  = 8 << 20         // bytes
	workerGrace  = 5 * time.Second // beyond a query's own limit, for start and ingest
	ingestLimit  = 2 * time.Minute // for an ingest alone
	workerStderr = 4 << 10         // bytes kept for the log
)

// ask starts a worker for one request. A worker that does not answer in time
// is killed; so is it when ctx is done.
func (db *DB) ask(ctx context.Context, r request) (response, error) {
	limit := ingestLimit
	if r.Op == opQuery {
		limit = time.Duration(r.TimeoutMS)*time.Millisecond + workerGrace
	}
	wctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r.Schema, r.Dir = SchemaVersion, db.dir
	in, err := json.Marshal(r)
	if err != nil {
		return response{}, err
	}
	cmd, err := db.command(wctx)
	if err != nil {
		return response{}, err
	}
	cmd.Stdin = bytes.NewReader(in)
	stderr := &tail{limit: workerStderr}
	cmd.Stderr = stderr
	out, err := run(cmd)
	if len(stderr.data) > 0 {
		db.log.Debug("worker", "stderr", string(stderr.data))
	}
	if err == nil {
		return decode(out)
	}
	switch {
	case ctx.Err() != nil:
		return response{}, ctx.Err()
	case wctx.Err() != nil:
		return response{}, ErrQueryTimeout
	case bytes.Contains(stderr.data, []byte("bad_alloc")) || bytes.Contains(stderr.data, []byte("pthread_create")):
		return response{}, ErrQueryMemory
	}
	return response{}, fmt.Errorf("%w: %w", errWorker, err)
}

// command readies a worker: it gets nothing of this process's environment that
// it does not need.
func (db *DB) command(ctx context.Context) (*exec.Cmd, error) {
	if len(db.o.Command) == 0 {
		return nil, ErrNativeMissing
	}
	program, err := exec.LookPath(db.o.Command[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNativeMissing, err)
	}
	cmd := exec.CommandContext(ctx, program, db.o.Command[1:]...)
	cmd.Dir = os.TempDir()
	cmd.Env = []string{"HOME=" + os.TempDir(), "GOMAXPROCS=2"}
	for _, keep := range []string{"PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMP", "TEMP", "GORACE"} {
		if v, ok := os.LookupEnv(keep); ok {
			cmd.Env = append(cmd.Env, keep+"="+v)
		}
	}
	own(cmd)
	return cmd, nil
}

// run runs the worker and returns what it writes to its result pipe.
func run(cmd *exec.Cmd) ([]byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // read to its end, or given up
	giveResult(cmd, w)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, maxResponse+1))
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	if len(out) > maxResponse {
		return nil, fmt.Errorf("its answer is over %d bytes", maxResponse)
	}
	if len(out) > 0 && json.Valid(out) { // how it ended does not matter once it has answered
		return out, nil
	}
	if err == nil {
		err = errors.New("it ended without an answer")
	}
	return nil, err
}

// decode reads a worker's answer.
func decode(out []byte) (response, error) {
	var res response
	if err := json.Unmarshal(out, &res); err != nil {
		return res, fmt.Errorf("%w: %w", errWorker, err)
	}
	if res.Schema != SchemaVersion {
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
