package benchdb

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// queryIngest is how long a query waits to bring the database up to date.
const queryIngest = time.Second

// maxBatch is how much of a spool is ingested in one transaction, in bytes.
const maxBatch = 8 << 20

// keepAnswers is how long the answers of runs are kept.
const keepAnswers = "24 hours"

// ingest brings the database up to date with all spools, within a time limit.
// It returns the number of records that it left. Unless force is set, it does
// not open the database when there is nothing new.
func (w *worker) ingest(ctx context.Context, limit time.Duration, force bool) (pending int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	spools, err := w.spools()
	if err != nil {
		return 0, err
	}
	if !force && w.migrated() && upToDate(spools) {
		return 0, nil
	}
	unlock, err := w.lock(ctx, true)
	if err != nil {
		return countLines(spools), err
	}
	defer unlock()
	db, err := w.open("")
	if err != nil {
		return countLines(spools), err
	}
	defer db.Close() //nolint:errcheck // what was committed is in the log of DuckDB
	if err := migrate(ctx, db); err != nil {
		return countLines(spools), err
	}
	if err := w.noteMigrated(); err != nil {
		return countLines(spools), err
	}
	for i, s := range spools {
		if err := w.drain(ctx, db, s); err != nil {
			if ctx.Err() != nil {
				return countLines(spools[i:]), nil // the rest is for the next
			}
			return countLines(spools[i:]), err
		}
	}
	return 0, nil
}

// migrated reports whether the database is there with this version's schema.
// The note is written when a migration is done, and says nothing of one that
// was cut short.
func (w *worker) migrated() bool {
	if _, err := os.Stat(filepath.Join(w.r.Dir, databaseFile)); err != nil {
		return false
	}
	note, err := os.ReadFile(filepath.Join(w.r.Dir, schemaFile))
	return err == nil && string(note) == strconv.Itoa(SchemaVersion)
}

func (w *worker) noteMigrated() error {
	if w.migrated() {
		return nil
	}
	return os.WriteFile(filepath.Join(w.r.Dir, schemaFile), []byte(strconv.Itoa(SchemaVersion)), 0o600)
}

// upToDate reports whether nothing has been written since the last ingest, and
// every writer may yet write.
func upToDate(spools []spoolFile) bool {
	for _, s := range spools {
		st, err := os.Stat(s.path)
		if err != nil || st.Size() > s.drained() {
			return false
		}
		lock := flock.New(s.lockPath())
		dead, err := lock.TryRLock()
		if err := lock.Close(); err != nil {
			return false
		}
		if dead || err != nil {
			return false
		}
	}
	return true
}

// A spoolFile is a spool as the worker finds it.
type spoolFile struct {
	path   string
	name   string
	writer string
}

func (s spoolFile) lockPath() string {
	return filepath.Join(filepath.Dir(s.path), s.writer+lockSuffix)
}

// drained is how far the spool was ingested, as the note beside it says. The
// database knows better, but may be held by another program.
func (s spoolFile) drained() int64 {
	data, err := os.ReadFile(s.path + drainedSuffix)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// note writes down how far the spool was ingested.
func (s spoolFile) note(position int64) error {
	return os.WriteFile(s.path+drainedSuffix, strconv.AppendInt(nil, position, 10), 0o600)
}

// spools lists the spools, oldest first: their names begin with a UUIDv7.
func (w *worker) spools() ([]spoolFile, error) {
	dir := filepath.Join(w.r.Dir, spoolDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []spoolFile
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), spoolSuffix)
		cut := strings.LastIndexByte(name, '-')
		if !ok || cut < 0 {
			continue
		}
		out = append(out, spoolFile{path: filepath.Join(dir, e.Name()), name: e.Name(), writer: name[:cut]})
	}
	return out, nil
}

// lock takes the database's lock, shared or not, and returns how to let go.
func (w *worker) lock(ctx context.Context, exclusive bool) (func(), error) {
	l := flock.New(filepath.Join(w.r.Dir, lockFile))
	const again = 5 * time.Millisecond
	try := l.TryRLockContext
	if exclusive {
		try = l.TryLockContext
	}
	if _, err := try(ctx, again); err != nil {
		return nil, err
	}
	return func() { l.Close() }, nil //nolint:errcheck // the process ends soon, and its locks with it
}

// open opens the database; what DuckDB says of another holder becomes
// ErrLocked with its process id.
func (w *worker) open(parameters string) (*sql.DB, error) {
	db, err := sql.Open(w.o.Driver, filepath.Join(w.r.Dir, databaseFile)+parameters)
	if err == nil {
		db.SetMaxOpenConns(1)
		err = db.Ping() //nolint:noctx // opening a file can't be cancelled; the process is killed
	}
	if err != nil && strings.Contains(err.Error(), "Conflicting lock is held") {
		_, holder, _ := strings.Cut(err.Error(), "Conflicting lock is held in ")
		return nil, fmt.Errorf("%w: %s", ErrLocked, strings.TrimSpace(holder))
	}
	return db, err
}

// drain ingests one spool, and removes it if its writer is dead.
func (w *worker) drain(ctx context.Context, db *sql.DB, s spoolFile) error {
	for {
		n, err := w.drainBatch(ctx, db, s)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	return w.bury(ctx, db, s)
}

// drainBatch ingests what lies at the spool's stored position, up to the last
// whole line, in one transaction with the new position: a record is ingested
// exactly once whatever happens to this process.
func (w *worker) drainBatch(ctx context.Context, db *sql.DB, s spoolFile) (n int, err error) {
	var position int64
	err = db.QueryRowContext(ctx, "select position from _spool_offsets where spool = ?", s.name).Scan(&position)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	data, err := readBatch(s.path, position)
	if err != nil || len(data) == 0 {
		return 0, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	rows, bad := parse(data)
	if err := w.insert(ctx, tx, s, rows); err != nil {
		if err := errors.Join(ctx.Err(), tx.Rollback()); err != nil {
			return 0, err
		}
		// One line spoils its batch: find it by inserting each alone.
		return w.drainLines(ctx, db, s, position, data)
	}
	if err := w.quarantine(s, bad); err != nil {
		return 0, err
	}
	return len(data), w.commit(ctx, tx, s, position+int64(len(data)))
}

func (w *worker) commit(ctx context.Context, tx *sql.Tx, s spoolFile, position int64) error {
	if _, err := tx.ExecContext(ctx, "insert or replace into _spool_offsets values (?, ?)", s.name, position); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return s.note(position)
}

// drainLines ingests a batch line by line, and sets aside those that the
// database refuses.
func (w *worker) drainLines(ctx context.Context, db *sql.DB, s spoolFile, position int64, data []byte) (int, error) {
	for l := range bytes.Lines(data) {
		position += int64(len(l))
		if err := w.drainLine(ctx, db, s, position, l); err != nil {
			return 0, err
		}
	}
	return len(data), nil
}

func (w *worker) drainLine(ctx context.Context, db *sql.DB, s spoolFile, position int64, l []byte) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	rows, bad := parse(l)
	if err := w.insert(ctx, tx, s, rows); err == nil {
		if err := w.quarantine(s, bad); err != nil {
			return err
		}
		return w.commit(ctx, tx, s, position)
	} else if ctx.Err() != nil {
		return err
	}
	if err := tx.Rollback(); err != nil {
		return err
	}
	if err := w.quarantine(s, l); err != nil {
		return err
	}
	skip, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer skip.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	return w.commit(ctx, skip, s, position)
}

// readBatch reads whole lines of a spool from a position on.
func readBatch(path string, position int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read-only
	data, err := io.ReadAll(io.NewSectionReader(f, position, maxBatch))
	if err != nil {
		return nil, err
	}
	if end := bytes.LastIndexByte(data, '\n'); end >= 0 {
		return data[:end+1], nil
	}
	if len(data) < maxBatch {
		return nil, nil // a line that is still being written
	}
	line, err := bufio.NewReader(io.NewSectionReader(f, position, 1<<40)).ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return line, err
}

// parse sorts lines by table. Lines that are no records are returned as they
// are.
func parse(data []byte) (rows map[string][]json.RawMessage, bad []byte) {
	rows = map[string][]json.RawMessage{}
	for raw := range bytes.Lines(data) {
		var l line
		if err := json.Unmarshal(raw, &l); err != nil || l.Version != formatVersion || shapes[l.Kind] == "" {
			bad = append(bad, raw...)
			continue
		}
		rows[l.Kind] = append(rows[l.Kind], l.Row)
	}
	return rows, bad
}

// shapes are the columns that a record of each table has, as from_json takes
// them.
var shapes = map[string]string{
	"_results": `{"id":"UUID","run_id":"VARCHAR","timestamp":"TIMESTAMPTZ","model_name":"VARCHAR","model_cid":"VARCHAR","task":"VARCHAR",
		"workload":"VARCHAR","hardware_type":"VARCHAR","device":"VARCHAR","precision":"VARCHAR","batch_size":"INTEGER","warmup":"INTEGER",
		"latencies":["DOUBLE"],"throughput":"DOUBLE","memory_bytes":"BIGINT","accuracy_score":"DOUBLE","error":"VARCHAR",
		"environment":"VARCHAR","metadata":"JSON"}`,
	"_inferences": `{"id":"UUID","timestamp":"TIMESTAMPTZ","model_name":"VARCHAR","model_cid":"VARCHAR","task":"VARCHAR","hardware_type":"VARCHAR",
		"device":"VARCHAR","precision":"VARCHAR","items":"INTEGER","cache":"VARCHAR","queue_ms":"DOUBLE","fetch_ms":"DOUBLE","load_ms":"DOUBLE",
		"preprocess_ms":"DOUBLE","run_ms":"DOUBLE","postprocess_ms":"DOUBLE","total_ms":"DOUBLE","error":"VARCHAR","environment":"VARCHAR"}`,
	"_fetches": `{"id":"UUID","timestamp":"TIMESTAMPTZ","model_name":"VARCHAR","model_cid":"VARCHAR","bytes":"BIGINT","level":"VARCHAR",
		"total_ms":"DOUBLE","error":"VARCHAR","environment":"VARCHAR"}`,
	"_environments": `{"id":"VARCHAR","timestamp":"TIMESTAMPTZ","info":"JSON"}`,
	"_platforms": `{"id":"UUID","timestamp":"TIMESTAMPTZ","environment":"VARCHAR","platform":"VARCHAR","present":"BOOLEAN","available":"BOOLEAN",
		"device":"VARCHAR","reason":"VARCHAR"}`,
	"_models": `{"cid":"VARCHAR","timestamp":"TIMESTAMPTZ","name":"VARCHAR","task":"VARCHAR","bytes":"BIGINT","license":"VARCHAR"}`,
	"_runs": `{"run_id":"VARCHAR","updated_at":"TIMESTAMPTZ","kind":"VARCHAR","status":"VARCHAR","started_at":"TIMESTAMPTZ","model_name":"VARCHAR",
		"model_cid":"VARCHAR","done":"BIGINT","total":"BIGINT","unit":"VARCHAR","message":"VARCHAR","answer":"JSON","error":"VARCHAR","spool":"VARCHAR"}`,
}

// insert inserts records of one spool. One that is there already stays.
func (w *worker) insert(ctx context.Context, tx *sql.Tx, s spoolFile, rows map[string][]json.RawMessage) error {
	for _, table := range slices.Sorted(maps.Keys(rows)) {
		data, err := json.Marshal(rows[table])
		if err != nil {
			return err
		}
		q := "insert into " + table + " by name select unnest(from_json(?::json, ?), recursive := true) on conflict do nothing"
		if _, err := tx.ExecContext(ctx, q, string(data), "["+shapes[table]+"]"); err != nil {
			return err
		}
	}
	if len(rows["_runs"]) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "update _runs set spool = ? where spool is null", s.writer); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "update _runs set answer = null where answer is not null and updated_at < now() - interval '"+keepAnswers+"'")
	return err
}

// quarantine sets lines aside that are no records.
func (w *worker) quarantine(s spoolFile, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	dir := filepath.Join(w.r.Dir, quarantineDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, s.name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	return errors.Join(err, f.Sync(), f.Close())
}

// bury removes a drained spool whose writer is dead. Its runs that never ended
// are lost.
func (w *worker) bury(ctx context.Context, db *sql.DB, s spoolFile) error {
	lock := flock.New(s.lockPath())
	dead, err := lock.TryLock()
	if err != nil || !dead {
		return err
	}
	defer lock.Close() //nolint:errcheck // held to keep others out while its files go
	if n, err := w.drainBatch(ctx, db, s); err != nil || n > 0 {
		return err // it wrote once more before it died; the next ingest buries it
	}
	const lost = `insert into _runs by name
		select run_id, now() as updated_at, arg_max(kind, updated_at) as kind, 'lost' as status, min(started_at) as started_at,
		       arg_max(model_name, updated_at) as model_name, arg_max(model_cid, updated_at) as model_cid, max(done) as done, max(total) as total,
		       arg_max(unit, updated_at) as unit, '' as message, '' as error, spool
		from _runs where spool = ? group by run_id, spool
		having bool_and(status in ('queued', 'running'))`
	if _, err := db.ExecContext(ctx, lost, s.writer); err != nil {
		return err
	}
	if err := errors.Join(os.Remove(s.path), os.RemoveAll(s.path+drainedSuffix)); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "delete from _spool_offsets where spool = ?", s.name); err != nil {
		return err
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(s.path), s.writer+"-*"+spoolSuffix)); err == nil && len(left) == 0 {
		return os.Remove(lock.Path())
	}
	return nil
}

// countLines counts the records of spools that are not ingested; what can't be
// read counts nothing.
func countLines(spools []spoolFile) int64 {
	var n int64
	for _, s := range spools {
		data, err := os.ReadFile(s.path)
		if from := s.drained(); err == nil && from < int64(len(data)) {
			n += int64(bytes.Count(data[from:], []byte{'\n'}))
		}
	}
	return n
}
