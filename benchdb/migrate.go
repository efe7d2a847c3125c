package benchdb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	gdialect "github.com/pressly/goose/v3/database/dialect"
)

//go:embed migrations/*.sql
var migrations embed.FS

const versionTable = "_schema_version"

// errNewerSchema says that a later version of the program has changed the
// database. This one can still record, and query what it knows.
var errNewerSchema = errors.New("the database is of a later version of this program")

// migrator applies the migrations. goose has no dialect for DuckDB, so it is
// told the few statements it needs.
func migrator(db *sql.DB) (*goose.Provider, error) {
	store, err := database.NewStoreFromQuerier(versionTable, dialect{})
	if err != nil {
		return nil, err
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(database.DialectCustom, db, dir, goose.WithStore(store))
}

// migrate brings the database to SchemaVersion.
func migrate(ctx context.Context, db *sql.DB) error {
	m, err := migrator(db)
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	version, err := m.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	switch {
	case version > SchemaVersion:
		return errNewerSchema
	case version == SchemaVersion:
		return nil
	}
	if _, err := m.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
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
