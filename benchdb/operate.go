package benchdb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maintain does what a person asked for, alone with the database.
func (w *worker) maintain(ctx context.Context) (res response, err error) {
	operations := map[string]func(context.Context) (response, error){
		opStats: w.stats, opBackup: w.backup, opRepair: w.repair, opVacuum: w.vacuum, opExport: w.export, opImport: w.importAll, opMigrate: w.migrateTo,
	}
	operate := operations[w.r.Op]
	if operate == nil {
		return res, fmt.Errorf("unknown operation %q", w.r.Op)
	}
	if w.r.Op != opRepair && w.r.Op != opMigrate {
		if res.Table.PendingRows, err = w.ingest(ctx); err != nil {
			return res, err
		}
	}
	unlock, err := lock(ctx, true)
	if err != nil {
		return res, err
	}
	defer unlock()
	pending := res.Table.PendingRows
	res, err = operate(ctx)
	if res.Stats != nil {
		res.Stats.PendingRows = pending
	}
	return res, err
}

// with does something with the database, and closes it so that all of it is in
// its file.
func (w *worker) with(ctx context.Context, do func(*sql.DB) error) error {
	db, err := w.openMigrated(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(db), closeDatabase(ctx, db))
}

// tables are all that hold records, less their "_", and the column that says
// when a row is of.
var tables = map[string]string{
	"results": "timestamp", "inferences": "timestamp", "inferences_hourly": "hour", "fetches": "timestamp", "environments": "timestamp",
	"platforms": "timestamp", "models": "timestamp", "runs": "updated_at", "time_series": "timestamp", "plans": "timestamp",
	"receipts": "timestamp", "dropped": "timestamp",
}

// tableNames lists them in order.
func tableNames() []string {
	names := make([]string, 0, len(tables))
	for t := range tables {
		names = append(names, t)
	}
	slices.Sort(names)
	return names
}

func (w *worker) stats(ctx context.Context) (response, error) {
	s := &Stats{Retention: w.r.Retention, DatabaseBytes: size(databaseFile) + size(databaseFile+".wal"), SpoolBytes: spoolBytes(spoolDir)}
	err := w.with(ctx, func(db *sql.DB) error {
		for _, t := range tableNames() {
			row := TableStats{Name: t}
			q := fmt.Sprintf("select count(*), min(%[2]s), max(%[2]s) from _%[1]s", t, tables[t])
			if err := db.QueryRowContext(ctx, q).Scan(&row.Rows, &row.Oldest, &row.Newest); err != nil {
				return err
			}
			s.Tables = append(s.Tables, row)
		}
		const meta = `select (select value::integer from _meta where key = 'schema'), (select value::integer from _meta where key = 'min_reader'),
			(select coalesce(sum(n), 0)::bigint from _dropped)`
		return db.QueryRowContext(ctx, meta).Scan(&s.Schema, &s.MinReader, &s.Dropped)
	})
	backups, globErr := filepath.Glob(databaseFile + ".*" + backupSuffix)
	for _, b := range backups {
		s.BackupBytes += size(b)
	}
	s.Quarantined = quarantined()
	return response{Stats: s}, errors.Join(err, globErr)
}

// size is that of a file, 0 if there is none.
func size(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// quarantined counts the lines that were set aside. What can't be read counts
// nothing.
func quarantined() (n int64) {
	files, err := filepath.Glob(filepath.Join(quarantineDir, "*"+spoolSuffix))
	if err != nil {
		return 0
	}
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil {
			n += int64(bytes.Count(data, []byte{'\n'}))
		}
	}
	return n
}

// backup copies the database. Nothing is in its log once it was closed.
func (w *worker) backup(ctx context.Context) (response, error) {
	if _, err := os.Lstat(w.r.Path); err == nil {
		return response{}, &QueryError{Message: "the file is there already", Hint: "name a new one"}
	}
	if err := w.with(ctx, func(*sql.DB) error { return nil }); err != nil {
		return response{}, err
	}
	return response{}, copyFile(databaseFile, w.r.Path)
}

func (w *worker) migrateTo(ctx context.Context) (response, error) {
	db, err := w.openAt(ctx, w.r.To)
	if err != nil {
		return response{}, err
	}
	if err := closeDatabase(ctx, db); err != nil {
		return response{}, err
	}
	return response{}, os.WriteFile(schemaFile, []byte(strconv.Itoa(w.r.To)), 0o600)
}

// repair opens the database with less and less of it.
func (w *worker) repair(ctx context.Context) (response, error) {
	r := &Repair{Moved: []string{}}
	try := func() error {
		db, err := w.open("")
		if err != nil {
			return err
		}
		return closeDatabase(ctx, db)
	}
	err := try()
	for _, file := range []string{databaseFile + ".wal", databaseFile} {
		if err == nil || errors.Is(err, ErrLocked) {
			break
		}
		if merr := r.setAside(file); merr != nil {
			return response{}, errors.Join(err, merr)
		}
		if file == databaseFile {
			if rerr := r.restore(); rerr != nil {
				return response{}, errors.Join(err, rerr)
			}
		}
		err = try()
	}
	if err == nil && len(r.Moved) > 0 {
		err = forgetNotes()
	}
	return response{Repair: r}, err
}

// setAside moves a file into quarantine, if it is there.
func (r *Repair) setAside(file string) error {
	if err := os.MkdirAll(quarantineDir, 0o700); err != nil {
		return err
	}
	to := filepath.Join(quarantineDir, fmt.Sprintf("%s.%d", file, time.Now().UnixMilli()))
	err := os.Rename(file, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		r.Moved = append(r.Moved, filepath.ToSlash(to))
	}
	return err
}

// restore puts the newest backup in the database's place, if there is one.
func (r *Repair) restore() error {
	names, err := filepath.Glob(databaseFile + ".*" + backupSuffix)
	if err != nil || len(names) == 0 {
		return err
	}
	newest := slices.MaxFunc(names, func(a, b string) int { return modified(a).Compare(modified(b)) })
	r.Restored = newest
	return copyFile(newest, databaseFile)
}

func modified(name string) time.Time {
	st, err := os.Stat(name)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}

// forgetNotes removes what is noted beside the database of what is in it: that
// may be less now.
func forgetNotes() error {
	notes, err := filepath.Glob(filepath.Join(spoolDir, "*"+drainedSuffix))
	for _, n := range append(notes, schemaFile, retainedFile) {
		if rerr := os.Remove(n); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// vacuum copies the database into a new one that takes its place.
func (w *worker) vacuum(ctx context.Context) (response, error) {
	const file = databaseFile + ".new"
	if err := errors.Join(removeIfThere(file), removeIfThere(file+".wal")); err != nil {
		return response{}, err
	}
	err := w.with(ctx, func(db *sql.DB) error {
		var name string
		if err := db.QueryRowContext(ctx, "select current_database()").Scan(&name); err != nil {
			return err
		}
		for _, q := range []string{"attach '" + file + "' as new_", `copy from database "` + name + `" to new_`, "checkpoint new_", "detach new_"} {
			if _, err := db.ExecContext(ctx, q); err != nil {
				return fmt.Errorf("vacuum: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return response{}, errors.Join(err, removeIfThere(file))
	}
	return response{}, errors.Join(os.Rename(file, databaseFile), syncDir("."))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// quoted is a string in SQL.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
