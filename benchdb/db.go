package benchdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options configure a DB. The zero value can record, but not query.
type Options struct {
	// Command is the program that is a worker, and its arguments. Query
	// fails with ErrNativeMissing where it can't be found.
	Command []string

	// QueryTimeout bounds one query. Zero means 10 seconds.
	QueryTimeout time.Duration

	Logger *slog.Logger // nil means silence
}

// The files of the database's folder.
const (
	databaseFile  = "metrics.duckdb"
	schemaFile    = "metrics.schema"
	lockFile      = "db.lock"
	spoolDir      = "spool"
	quarantineDir = "quarantine"
	spoolSuffix   = ".ndjson"
	lockSuffix    = ".lock"
	drainedSuffix = ".drained"
)

// maxSpool is the size at which a spool is begun anew, in bytes, and ingested.
const maxSpool = 8 << 20

// idleIngest is how long after the last record the database is brought up to
// date, so that other programs find it so.
const idleIngest = 30 * time.Second

// A DB records and answers. It is safe for concurrent use, also by several
// processes on one folder.
type DB struct {
	dir string
	o   Options
	log *slog.Logger

	spool *spool
	idle  *time.Timer
	work  sync.WaitGroup
	stop  context.CancelFunc
	ctx   context.Context //nolint:containedctx // of work in the background, ended by Close
}

// Open returns a DB over a folder, which is made if need be. It does not touch
// the database: that is done by the first query.
func Open(dir string, o Options) (*DB, error) {
	for _, d := range []string{dir, filepath.Join(dir, spoolDir)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("open the result log: %w", err)
		}
	}
	if o.QueryTimeout == 0 {
		o.QueryTimeout = 10 * time.Second
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	db := &DB{dir: dir, o: o, log: log, spool: newSpool(filepath.Join(dir, spoolDir))}
	db.ctx, db.stop = context.WithCancel(context.Background())
	db.idle = time.AfterFunc(idleIngest, db.ingestIdle)
	db.idle.Stop()
	return db, nil
}

// Record keeps a batch. It waits for no database: it is one write, and with
// Batch.Sync one fdatasync. What is recorded is never lost to a killed
// process.
func (db *DB) Record(ctx context.Context, b Batch) error {
	lines, err := encode(b)
	if err != nil || len(lines) == 0 {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	full, err := db.spool.append(lines, b.Sync)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if full {
		db.ingest()
	}
	db.idle.Reset(idleIngest)
	return nil
}

// ingest brings the database up to date in the background.
func (db *DB) ingest() {
	if len(db.o.Command) == 0 || db.ctx.Err() != nil {
		return
	}
	db.work.Go(func() {
		if _, err := db.ask(db.ctx, request{Op: opIngest}); err != nil && db.ctx.Err() == nil {
			db.log.Warn("bring the database up to date", "error", err)
		}
	})
}

func (db *DB) ingestIdle() { db.ingest() }

// Close writes out what was recorded. The spool is ingested by the next query,
// of whatever process.
func (db *DB) Close() error {
	db.idle.Stop()
	db.stop()
	db.work.Wait()
	return db.spool.close()
}

// Query answers a question, on all that was recorded before it was asked.
func (db *DB) Query(ctx context.Context, q Query) (Table, error) {
	if err := q.check(); err != nil {
		return Table{}, err
	}
	res, err := db.ask(ctx, request{Op: opQuery, Query: q, TimeoutMS: db.o.QueryTimeout.Milliseconds()})
	if err != nil {
		return Table{}, err
	}
	return res.Table, nil
}

// maxLimit and maxSQL bound a query.
const (
	maxLimit     = 1000
	defaultLimit = 20
	maxSQL       = 64 << 10 // bytes
)

func (q *Query) check() error {
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	switch {
	case q.Limit < 0 || q.Limit > maxLimit:
		return &QueryError{Message: fmt.Sprintf("limit %d is not between 1 and %d", q.Limit, maxLimit)}
	case len(q.SQL) > maxSQL:
		return &QueryError{Message: fmt.Sprintf("the SQL is over %d bytes", maxSQL)}
	}
	return nil
}

var errWorker = errors.New("the database worker failed")
