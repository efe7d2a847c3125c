package benchdb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// ingest brings the database up to date with all spools. It stops at the
// request's limit, when at least one batch is in: so it is sure to get on, and
// others soon have the lock. It returns the number of rows that it left.
func (w *worker) ingest(ctx context.Context) (pending int64, err error) {
	if done, err := upToDate(); err != nil || done && w.migrated() && !w.expired() {
		return 0, err
	}
	limit := time.Duration(w.r.IngestMS) * time.Millisecond
	in := &ingester{w: w, until: time.Now().Add(limit)}
	wait, cancel := context.WithTimeout(ctx, limit+time.Second)
	defer cancel()
	unlock, err := lock(wait, true)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return pendingRows(), nil // another is at it
	}
	if err != nil {
		return 0, err
	}
	defer unlock()
	err = in.all(ctx)
	return pendingRows(), err
}

// migrated reports whether the database is there with this edition's schema.
// The note is written when a migration is done, and says nothing of one that
// was cut short.
func (w *worker) migrated() bool {
	if _, err := os.Stat(databaseFile); err != nil {
		return false
	}
	note, err := os.ReadFile(schemaFile)
	return err == nil && string(note) == strconv.Itoa(w.ed.schema)
}

func (w *worker) noteMigrated() error {
	if w.migrated() {
		return nil
	}
	return os.WriteFile(schemaFile, []byte(strconv.Itoa(w.ed.schema)), 0o600)
}

// lock takes the database's lock, shared or not, and returns how to let go.
func lock(ctx context.Context, exclusive bool) (func(), error) {
	l := flock.New(lockFile)
	const again = 5 * time.Millisecond
	try := l.TryRLockContext
	if exclusive {
		try = l.TryLockContext
	}
	if _, err := try(ctx, again); err != nil {
		return nil, err
	}
	return func() { l.Close() }, nil // the process ends soon, and its locks with it
}

// open opens the database; what DuckDB says of another holder becomes
// ErrLocked with its process id.
func (w *worker) open(parameters string) (*sql.DB, error) {
	return w.openFile(databaseFile + parameters)
}

func (w *worker) openFile(name string) (*sql.DB, error) {
	db, err := sql.Open(w.o.Driver, name)
	if err == nil {
		db.SetMaxOpenConns(1)
		err = db.Ping() //nolint:noctx // opening a file can't be cancelled; the process is killed
	}
	if err == nil {
		return db, nil
	}
	if _, holder, ok := strings.Cut(err.Error(), "Conflicting lock is held in "); ok {
		name, pid, _ := strings.Cut(holder, "(PID ")
		pid, _, _ = strings.Cut(pid, ")")
		return nil, fmt.Errorf("%w: %s (PID %s)", ErrLocked, filepath.Base(strings.TrimSpace(name)), pid)
	}
	return nil, fmt.Errorf("open the database: %w", err)
}

// An ingester ingests all spools under the exclusive lock.
type ingester struct {
	w     *worker
	until time.Time
	db    *sql.DB
	live  []string // the writers whose spools may hold more
	done  []finished
}

// finished is what is ingested of one writer and can be removed.
type finished struct {
	lock  *flock.Flock // held
	files []spoolFile
	over  bool // the writer is dead and nothing of it is left
}

// maxLog is how long DuckDB's log may get before it is written into the database,
// in bytes: each query reads it.
const maxLog = 1 << 20

// errEnough says that the time is up.
var errEnough = errors.New("the rest is for the next")

func (in *ingester) all(ctx context.Context) error {
	db, err := in.w.openMigrated(ctx)
	if err != nil {
		return err
	}
	defer db.Close() // what was committed is in the log of DuckDB
	in.db = db
	// It takes longer than all the rest, and is done when it must be.
	if _, err := db.ExecContext(ctx, "pragma disable_checkpoint_on_shutdown"); err != nil {
		return err
	}
	if err := in.w.noteMigrated(); err != nil {
		return err
	}
	all, err := writers()
	if err != nil {
		return err
	}
	for _, writer := range all {
		if err = in.writer(ctx, writer); err != nil {
			break
		}
	}
	rerr := in.remove(ctx)
	switch {
	case errors.Is(err, errEnough):
		return rerr
	case err != nil || rerr != nil:
		return errors.Join(err, rerr)
	}
	if err := in.settle(ctx); err != nil {
		return err
	}
	return in.retain(ctx)
}

// writer ingests one writer's spool and takes down what is done with: the files
// that have a successor and, if the writer is dead, all.
func (in *ingester) writer(ctx context.Context, writer string) error {
	lock := lockOf(writer)
	over, err := dead(lock.TryLock)
	f := finished{lock: lock, over: over}
	if err == nil {
		err = in.drainAll(ctx, writer, &f)
	}
	f.over = f.over && err == nil
	if !f.over {
		in.live = append(in.live, writer)
	}
	in.done = append(in.done, f)
	return err
}

func (in *ingester) drainAll(ctx context.Context, writer string, f *finished) error {
	files, err := spoolFilesOf(writer) // with the lock held, so that no more can come from the dead
	if err != nil {
		return err
	}
	over := f.over
	for i, s := range files {
		drained, err := in.drain(ctx, s)
		if err != nil {
			return err
		}
		f.over = f.over && drained
		if drained && (over || i < len(files)-1) {
			f.files = append(f.files, s)
		}
	}
	return nil
}

// remove removes what is ingested, once that is in the database itself: a log
// of DuckDB that can't be read any more is made up for by the spools.
func (in *ingester) remove(ctx context.Context) (err error) {
	removing := slices.ContainsFunc(in.done, func(f finished) bool { return len(f.files) > 0 })
	if removing || size(databaseFile+".wal") > maxLog {
		_, err = in.db.ExecContext(ctx, "checkpoint")
	}
	for _, f := range in.done {
		for _, s := range f.files {
			if err == nil {
				err = s.remove()
			}
		}
		if f.over && err == nil {
			// While it is held, so that a writer that has only just made it
			// sees that it is gone. A system that can't remove it then keeps
			// an empty file.
			_ = os.Remove(f.lock.Path())
		}
		err = errors.Join(err, f.lock.Close())
	}
	return err
}

// drain ingests one file, and reports whether nothing is left in it for now.
func (in *ingester) drain(ctx context.Context, s spoolFile) (bool, error) {
	for {
		n, rest, err := in.batch(ctx, s)
		if err != nil {
			return false, err
		}
		if n == 0 {
			return !rest, nil
		}
		if time.Now().After(in.until) {
			return false, errEnough
		}
	}
}

// batch ingests what lies at the file's stored position in one transaction with
// the new position: a row is ingested exactly once whatever happens to this
// process. It returns the number of bytes, and whether what follows is of a
// later version.
func (in *ingester) batch(ctx context.Context, s spoolFile) (n int, rest bool, err error) {
	var position int64
	err = in.db.QueryRowContext(ctx, "select position from _spool_offsets where spool = ?", s.name).Scan(&position)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, false, err
	}
	if err := s.note(position); err != nil {
		return 0, false, err
	}
	data, err := s.read(position)
	if err != nil {
		return 0, false, err
	}
	data, rest = ofVersion(in.w.ed.format, data)
	if len(data) == 0 {
		return 0, rest, nil
	}
	data, harmful, err := begin(s, position, data)
	switch {
	case err != nil:
		return 0, false, err
	case harmful:
		err = in.setAside(ctx, s, position, data)
	default:
		err = in.insert(ctx, s, position, data)
		if refused(err) { // a line spoils its batch: find it by inserting each alone
			err = in.oneByOne(ctx, s, position, data)
		}
	}
	if err != nil {
		return 0, false, err
	}
	return len(data), false, end(position+int64(len(data)), harmful)
}

// oneByOne ingests a batch line by line, and sets aside those that the database
// refuses.
func (in *ingester) oneByOne(ctx context.Context, s spoolFile, position int64, data []byte) error {
	for l := range bytes.Lines(data) {
		err := in.insert(ctx, s, position, l)
		if refused(err) {
			err = in.setAside(ctx, s, position, l)
		}
		if err != nil {
			return err
		}
		position += int64(len(l))
	}
	return nil
}

// setAside puts a line in quarantine.
func (in *ingester) setAside(ctx context.Context, s spoolFile, position int64, l []byte) error {
	if err := quarantine(s, l); err != nil {
		return err
	}
	return in.insert(ctx, s, position+int64(len(l)), nil)
}

// settle notes what follows from what is gone: runs of dead writers that never
// ended are lost, and positions in files that were removed mean nothing. It
// also forgets answers that are too old.
func (in *ingester) settle(ctx context.Context) error {
	files, err := spoolFiles()
	if err != nil {
		return err
	}
	left := []string{}
	for _, s := range files {
		left = append(left, s.name)
	}
	const gone = `not in (select unnest(string_split(?, '/')))` // of a list, whose names have no slash
	return in.transaction(ctx, func(tx *sql.Tx) error {
		const lost = `insert into _runs by name
			select run_id, greatest(now(), max(updated_at) + interval 1 microsecond) as updated_at, max(elapsed_ms) as elapsed_ms, arg_max(kind, updated_at) as kind, 'lost' as status,
			       min(started_at) as started_at, arg_max(model_name, updated_at) as model_name, arg_max(model_cid, updated_at) as model_cid,
			       arg_max(done, updated_at) as done, arg_max(total, updated_at) as total, arg_max(unit, updated_at) as unit, '' as message, '' as error,
			       arg_max(writer, updated_at) as writer
			from _runs
			where run_id in (select run_id from _runs group by run_id having bool_and(status in ('queued', 'running')))
			group by run_id having arg_max(writer, updated_at) ` + gone
		if _, err := tx.ExecContext(ctx, lost, strings.Join(in.live, "/")); err != nil {
			return fmt.Errorf("note lost runs: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "delete from _spool_offsets where spool "+gone, strings.Join(left, "/")); err != nil {
			return fmt.Errorf("forget old positions: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "update _runs set answer = null where answer is not null and updated_at < now() - "+keepAnswers); err != nil {
			return fmt.Errorf("forget old answers: %w", err)
		}
		return nil
	})
}

func (in *ingester) transaction(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := in.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
