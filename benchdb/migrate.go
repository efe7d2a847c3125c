package benchdb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	gdialect "github.com/pressly/goose/v3/database/dialect"
)

const versionTable = "_schema_version"

// errNewerSchema says that a later version of the program has changed the
// database. This one can still record, and query what it knows.
var errNewerSchema = errors.New("the database is of a later version of this program")

// migrator applies the migrations. goose has no dialect for DuckDB, so it is
// told the few statements it needs.
func migrator(db *sql.DB, ed edition) (*goose.Provider, error) {
	store, err := database.NewStoreFromQuerier(versionTable, dialect{})
	if err != nil {
		return nil, err
	}
	dir, err := fs.Sub(ed.migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(database.DialectCustom, db, dir, goose.WithStore(store))
}

// openMigrated opens the database for writing and brings it to this edition's
// schema. What is there is backed up first.
func (w *worker) openMigrated(ctx context.Context) (*sql.DB, error) {
	return w.openAt(ctx, w.ed.schema)
}

// openAt opens the database for writing and brings it to a schema, up or down.
func (w *worker) openAt(ctx context.Context, schema int) (*sql.DB, error) {
	if err := w.ensure(); err != nil {
		return nil, err
	}
	db, err := w.open("")
	if err != nil {
		return nil, err
	}
	version, err := w.version(ctx, db)
	switch {
	case err != nil:
	case version > int64(w.ed.schema):
		err = errNewerSchema
	case version == int64(schema):
		return db, nil
	case version > 0:
		if db, err = w.backedUp(ctx, db, version); err != nil {
			return nil, err
		}
	}
	if err == nil {
		err = w.migrate(ctx, db, version, int64(schema))
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// headers is how long a DuckDB file is that has no data, in bytes: three headers.
const headers = 3 * 4096

// ensure makes a database where there is none with data, under another name
// first: DuckDB writes a new file in pieces, and can't open one of which it was
// killed before the last. The lock of this package is held.
func (w *worker) ensure() error {
	if size(databaseFile) > headers || size(databaseFile+".wal") > 0 {
		return nil
	}
	const fresh = databaseFile + ".new"
	for _, name := range []string{fresh, fresh + ".wal"} { // of a worker that was killed
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	db, err := w.openFile(fresh)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	if err := os.Rename(fresh, databaseFile); err != nil {
		return err
	}
	return syncDir(".")
}

// version is the schema that a database has, 0 if it is empty.
func (w *worker) version(ctx context.Context, db *sql.DB) (int64, error) {
	m, err := migrator(db, w.ed)
	if err != nil {
		return 0, fmt.Errorf("prepare migrations: %w", err)
	}
	version, err := m.GetDBVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return version, nil
}

func (w *worker) migrate(ctx context.Context, db *sql.DB, from, to int64) error {
	m, err := migrator(db, w.ed)
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	if from < to {
		_, err = m.UpTo(ctx, to)
	} else {
		_, err = m.DownTo(ctx, to)
	}
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// keepBackups is how many backups of migrations are kept.
const keepBackups = 2

// backedUp closes the database, so that nothing is left in its log, copies it
// and opens it again. The process has the file closed while it reads it, for to
// close it then would drop DuckDB's lock; the lock of this package is held.
func (w *worker) backedUp(ctx context.Context, db *sql.DB, version int64) (*sql.DB, error) {
	if err := closeDatabase(ctx, db); err != nil {
		return nil, fmt.Errorf("back up the database: %w", err)
	}
	name := fmt.Sprintf("%s.%d%s", databaseFile, version, backupSuffix)
	if err := copyFile(databaseFile, name); err != nil {
		return nil, fmt.Errorf("back up the database: %w", err)
	}
	if err := pruneBackups(); err != nil {
		return nil, fmt.Errorf("remove old backups: %w", err)
	}
	return w.open("")
}

// closeDatabase writes all of the log into the database, and closes it.
func closeDatabase(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "checkpoint")
	return errors.Join(err, db.Close())
}

// pruneBackups removes all but the newest backups of migrations.
func pruneBackups() error {
	names, err := filepath.Glob(databaseFile + ".*" + backupSuffix)
	if err != nil {
		return err
	}
	age := func(name string) int64 {
		st, err := os.Stat(name)
		if err != nil {
			return 0
		}
		return st.ModTime().UnixNano()
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(age(b), age(a)) })
	for i, name := range names {
		if i < keepBackups {
			continue
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file to a new name in one step: whoever finds that name
// finds the whole.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() // read-only
	out, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*.part")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return syncDir(filepath.Dir(to))
}

// readable reports whether this edition can read a database of a later schema.
func (w *worker) readable(ctx context.Context, conn *sql.Conn) error {
	note, err := os.ReadFile(schemaFile)
	if err != nil {
		return nil //nolint:nilerr // a database that was never migrated has nothing to read
	}
	if schema, err := strconv.Atoi(string(note)); err != nil || schema <= w.ed.schema {
		return nil //nolint:nilerr // whoever migrates it writes the note anew
	}
	var oldest int
	const q = "select value::integer from _meta where key = 'min_reader'"
	if err := conn.QueryRowContext(ctx, q).Scan(&oldest); err != nil {
		return fmt.Errorf("%w: %w", errNewerSchema, err)
	}
	if oldest > w.ed.schema {
		return errNewerSchema
	}
	return nil
}

// dialect is DuckDB's SQL for goose's own table.
type dialect struct{}

var _ gdialect.Querier = dialect{}

func (dialect) CreateTable(t string) string {
	return "create sequence if not exists " + t + "_seq; create table " + t + " (id bigint primary key default nextval('" + t +
		"_seq'), version_id bigint not null, is_applied boolean not null, tstamp timestamp not null default current_timestamp::timestamp)"
}

func (dialect) InsertVersion(t string) string {
	return "insert into " + t + " (version_id, is_applied) values ($1, $2)"
}

func (dialect) DeleteVersion(t string) string { return "delete from " + t + " where version_id = $1" }

func (dialect) GetMigrationByVersion(t string) string {
	return "select tstamp, is_applied from " + t + " where version_id = $1 order by tstamp desc limit 1"
}

func (dialect) ListMigrations(t string) string {
	return "select version_id, is_applied from " + t + " order by id desc"
}

func (dialect) GetLatestVersion(t string) string { return "select max(version_id) from " + t }
