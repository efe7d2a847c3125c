package benchdb

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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

// maxSpool is the size at which a spool's file is followed by the next, in
// bytes, and ingested.
const maxSpool = 8 << 20

// idleIngest is how long after the last record the database is brought up to
// date, so that other programs find it so.
const idleIngest = 30 * time.Second

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

	spool       *spool
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
	if o.QueryTimeout == 0 {
		o.QueryTimeout = 10 * time.Second
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	db := &DB{
		dir: dir, o: o, log: log, spool: newSpool(filepath.Join(dir, spoolDir), log), queryIngest: queryIngest,
		queries: make(chan struct{}, maxQueries), full: make(chan struct{}, 1), idle: time.NewTimer(idleIngest),
	}
	db.idle.Stop()
	ctx, stop := context.WithCancel(context.Background())
	db.stop = stop
	db.ingester.Go(func() { db.ingest(ctx) })
	return db, nil
}

// Record keeps a batch, all of it or nothing; after an error it may be either.
// It waits for no database: it is one write, and with Batch.Sync one fsync.
// What is recorded is not lost to a killed process. The caller's batch stays as
// it is. Numbers that are not finite count as not measured.
func (db *DB) Record(ctx context.Context, b Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line, err := encode(b)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if len(line) == 0 {
		return nil
	}
	rotated, err := db.spool.append(line, b.Sync)
	if rotated {
		select {
		case db.full <- struct{}{}:
		default: // it is awake
		}
	}
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
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
	res, err := db.ask(ctx, request{Op: opQuery, Query: q, IngestMS: db.queryIngest.Milliseconds(), TimeoutMS: db.o.QueryTimeout.Milliseconds()})
	if err != nil {
		return Table{}, err
	}
	return res.Table, nil
}

// Close writes out what was recorded. The spool is ingested by the next query,
// of whatever process. Record fails from now on.
func (db *DB) Close() error {
	db.stop()
	db.ingester.Wait()
	db.idle.Stop()
	return db.spool.close()
}

// ingest brings the database up to date, in the background, whenever a spool
// is full and when nothing was recorded for a while.
func (db *DB) ingest(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-db.full:
		case <-db.idle.C:
			if err := db.spool.rotate(); err != nil {
				db.log.Warn("finish a spool", "error", err)
			}
		}
		if len(db.o.Command) == 0 {
			continue
		}
		if err := db.ingestAll(ctx); err != nil && ctx.Err() == nil {
			db.log.Warn("bring the database up to date", "error", err)
		}
	}
}

// ingestAll has worker after worker ingest for a second, so that queries have
// their turn in between.
func (db *DB) ingestAll(ctx context.Context) error {
	for before := int64(-1); ; {
		res, err := db.ask(ctx, request{Op: opIngest, IngestMS: queryIngest.Milliseconds()})
		left := res.Table.PendingRows
		if err != nil || left == 0 || left == before {
			return err
		}
		before = left
	}
}
