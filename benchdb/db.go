package benchdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a DB. The zero value can record, but not query.
type Options struct {
	// Command is the program that is a worker, and its arguments. Query
	// fails with ErrNativeMissing where it can't be found.
	Command []string

	// QueryTimeout bounds one query. Zero means 10 seconds.
	QueryTimeout time.Duration

	// Retention says how long what is kept in full.
	Retention Retention

	// UnconfinedSQL has an agent's SQL answered where the worker's sandbox
	// is not full, too. It is an error otherwise.
	UnconfinedSQL bool

	Logger *slog.Logger // nil means silence
}

// Retention is how long what is kept in full, counted from when it was
// measured. Runs and the figures of results are kept for ever.
type Retention struct {
	Inferences time.Duration `json:"inferences"` // then by the hour; zero means 30 days, negative for ever
	Samples    time.Duration `json:"samples"`    // then as histograms; zero means 180 days, negative for ever
}

// orDefault returns r with the defaults for what is not set.
func (r Retention) orDefault() Retention {
	const day = 24 * time.Hour
	if r.Inferences == 0 {
		r.Inferences = 30 * day
	}
	if r.Samples == 0 {
		r.Samples = 180 * day
	}
	return r
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
	backupSuffix  = ".bak"
	attemptFile   = "ingest.attempt"
)

// maxSpool is the size at which a spool's file is followed by the next, in
// bytes, and ingested.
const maxSpool = 8 << 20

// idleIngest is how long after the last record the database is brought up to
// date, so that other programs find it so.
const idleIngest = 30 * time.Second

// startIngest is how long after Open what others have left is ingested: a
// process that is gone by then is not held up.
const startIngest = 2 * time.Second

// closeIngest is how long Close goes on ingesting.
const closeIngest = 3 * time.Second

// A failed ingest in the background is tried again after a time that doubles
// between these two.
const (
	minBackOff = time.Second
	maxBackOff = 5 * time.Minute
)

// queryIngest is how long a query goes on ingesting what is new.
const queryIngest = time.Second

// maxQueries is how many queries of one DB run at once; each has a process.
const maxQueries = 4

// A DB records and answers. It is safe for concurrent use, also by several
// processes on one folder.
type DB struct {
	dir string
	o   Options
	log *slog.Logger

	ed          edition
	spool       *spool
	counter     *counter
	recorded    atomic.Bool // something that was not asked to be ingested yet
	queryIngest time.Duration
	queries     chan struct{} // holds an element per query that runs
	idle        *time.Timer
	full        chan struct{} // wakes the ingester
	stop        context.CancelFunc
	ingester    sync.WaitGroup
}

// Open returns a DB over a folder, which is made if need be. It does not touch
// the database: that is done by the first query. DuckDB takes what follows a
// question mark in a path for parameters, so there must be none.
func Open(dir string, o Options) (*DB, error) {
	dir, err := filepath.Abs(dir)
	if err == nil && strings.Contains(dir, "?") {
		err = &fs.PathError{Op: "open", Path: dir, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, fmt.Errorf("open the result log: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, spoolDir), 0o700); err != nil {
		return nil, fmt.Errorf("open the result log: %w", err)
	}
	o.Retention = o.Retention.orDefault()
	if o.QueryTimeout == 0 {
		o.QueryTimeout = 10 * time.Second
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	db := &DB{
		dir: dir, o: o, log: log, ed: current, spool: newSpool(filepath.Join(dir, spoolDir), log), queryIngest: queryIngest,
		counter: &counter{dir: filepath.Join(dir, spoolDir), limit: maxSpools},
		queries: make(chan struct{}, maxQueries), full: make(chan struct{}, 1), idle: time.NewTimer(idleIngest),
	}
	if spoolBytes(db.spool.dir) > 0 {
		db.idle.Reset(startIngest)
	} else {
		db.idle.Stop()
	}
	ctx, stop := context.WithCancel(context.Background())
	db.stop = stop
	db.ingester.Go(func() { db.ingest(ctx) })
	return db, nil
}

// Record keeps a batch, all of it or nothing; after an error it may be either.
// It waits for no database: it is one write, and with Batch.Sync one fsync.
// What is recorded is not lost to a killed process; without Sync it may be lost
// to a power cut within a second. The caller's batch stays as it is. Numbers
// that are not finite count as not measured.
//
// While nobody can ingest and the spools have grown to 256 MiB, inferences are
// only counted, by the minute, and the error is ErrSpoolFull; the rest of the
// batch is recorded.
func (db *DB) Record(ctx context.Context, b Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	counted, due := db.counter.take(b.Inferences, time.Now())
	if counted {
		b.Inferences = nil
	}
	err := db.append(everything{Batch: b, Dropped: due})
	if err == nil && counted {
		err = ErrSpoolFull
	}
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// append writes a line to the spool.
func (db *DB) append(b everything) error {
	line, err := encode(b, db.ed.format)
	if err != nil || len(line) == 0 {
		return err
	}
	rotated, err := db.spool.append(line, b.Sync)
	if rotated {
		select {
		case db.full <- struct{}{}:
		default: // it is awake
		}
	}
	if err != nil {
		return err
	}
	db.recorded.Store(true)
	db.idle.Reset(idleIngest)
	return nil
}

// Query answers a question, on all that was recorded before it was asked: by
// any process, but for Table.PendingRows. Its errors are those of this
// package, those of ctx, or tell of a worker that failed.
func (db *DB) Query(ctx context.Context, q Query) (Table, error) {
	if err := q.check(); err != nil {
		return Table{}, err
	}
	select {
	case db.queries <- struct{}{}:
		defer func() { <-db.queries }()
	case <-ctx.Done():
		return Table{}, ctx.Err()
	}
	res, err := db.ask(ctx, request{
		Op: opQuery, Query: q, IngestMS: db.queryIngest.Milliseconds(), TimeoutMS: db.o.QueryTimeout.Milliseconds(), UnconfinedSQL: db.o.UnconfinedSQL,
	})
	if err != nil {
		return Table{}, err
	}
	return res.Table, nil
}

// Close writes out what was recorded, and ingests it if that is soon done; the
// rest is left to the next query, of whatever process. Record fails from now
// on.
func (db *DB) Close() error {
	db.stop()
	db.ingester.Wait()
	db.idle.Stop()
	err := db.append(everything{Dropped: db.counter.rest()})
	err = errors.Join(err, db.spool.close())
	if db.recorded.Swap(false) && len(db.o.Command) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), closeIngest)
		defer cancel()
		if err := db.ingestAll(ctx); err != nil {
			db.log.Info("leave records to the next query", "error", err)
		}
	}
	return err
}

// ingest brings the database up to date, in the background, whenever a spool
// is full, when nothing was recorded for a while, and some time after it
// failed.
func (db *DB) ingest(ctx context.Context) {
	wait := minBackOff
	retry := time.NewTimer(wait)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-db.full:
		case <-retry.C:
		case <-db.idle.C:
			if err := db.spool.rotate(); err != nil {
				db.log.Warn("finish a spool", "error", err)
			}
		}
		if len(db.o.Command) == 0 {
			continue
		}
		if err := db.ingestAll(ctx); err == nil {
			wait = minBackOff
		} else if ctx.Err() == nil {
			db.log.Warn("bring the database up to date", "error", err, "again_in", wait)
			retry.Reset(wait)
			wait = min(2*wait, maxBackOff)
		}
	}
}

// ingestAll has worker after worker ingest for a second, so that queries have
// their turn in between.
func (db *DB) ingestAll(ctx context.Context) error {
	db.recorded.Store(false)
	for before := int64(-1); ; {
		res, err := db.ask(ctx, request{Op: opIngest, IngestMS: queryIngest.Milliseconds(), Retention: db.o.Retention})
		left := res.Table.PendingRows
		if err != nil || left == 0 || left == before {
			return err
		}
		before = left
	}
}
