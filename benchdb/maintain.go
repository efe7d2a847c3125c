package benchdb

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// Format is how tables are exported.
type Format string

// The formats.
const (
	Parquet Format = "parquet"
	NDJSON  Format = "ndjson"
)

// TableStats is what is in one table.
type TableStats struct {
	Name   string     `json:"name"`
	Rows   int64      `json:"rows"`
	Oldest *time.Time `json:"oldest"` // nil if there is no row
	Newest *time.Time `json:"newest"`
}

// Stats say what is kept, and how much room it takes.
type Stats struct {
	Schema        int          `json:"schema"`     // of the database; 0 if there is none
	MinReader     int          `json:"min_reader"` // the oldest schema whose program can query it
	Tables        []TableStats `json:"tables"`
	DatabaseBytes int64        `json:"database_bytes"` // with DuckDB's log
	SpoolBytes    int64        `json:"spool_bytes"`
	BackupBytes   int64        `json:"backup_bytes"`
	PendingRows   int64        `json:"pending_rows"` // recorded, but not in the database yet
	Quarantined   int64        `json:"quarantined"`  // lines that were no records
	Dropped       int64        `json:"dropped"`      // inferences that were only counted
	Retention     Retention    `json:"retention"`    // in nanoseconds
}

// Repair says what was done to a database that could not be opened.
type Repair struct {
	Moved    []string `json:"moved"`    // files that were set aside, in the database's folder
	Restored string   `json:"restored"` // the backup that took the database's place, if one did
}

// Stats ingests what is new and returns statistics.
func (db *DB) Stats(ctx context.Context) (Stats, error) {
	res, err := db.ask(ctx, request{Op: opStats, IngestMS: db.queryIngest.Milliseconds(), Retention: db.o.Retention})
	if err != nil {
		return Stats{}, err
	}
	if res.Stats == nil {
		return Stats{}, errWorker
	}
	return *res.Stats, nil
}

// Backup writes the database, with all that was recorded, to a new file. It is
// a DuckDB database of its own, and takes the place of metrics.duckdb to be
// restored while no process uses that.
func (db *DB) Backup(ctx context.Context, path string) error {
	_, err := db.atPath(ctx, request{Op: opBackup}, path)
	return err
}

// Repair makes the database usable again: a log of DuckDB that it can't read is
// set aside, and so is a database that it can't open even then, for the newest
// backup of a migration. What spools still hold is ingested anew. A healthy
// database stays as it is.
func (db *DB) Repair(ctx context.Context) (Repair, error) {
	res, err := db.ask(ctx, request{Op: opRepair})
	if err != nil {
		return Repair{}, err
	}
	if res.Repair == nil {
		return Repair{}, errWorker
	}
	return *res.Repair, nil
}

// Vacuum writes the database anew, without the room that deleted rows took.
func (db *DB) Vacuum(ctx context.Context) error {
	_, err := db.ask(ctx, request{Op: opVacuum, IngestMS: db.queryIngest.Milliseconds()})
	return err
}

// Export writes a file per table to a folder, which is made if need be.
func (db *DB) Export(ctx context.Context, dir string, f Format) error {
	if f != Parquet && f != NDJSON {
		return &QueryError{Message: fmt.Sprintf("unknown format %q", f), ValidValues: []string{string(NDJSON), string(Parquet)}}
	}
	_, err := db.atPath(ctx, request{Op: opExport, Format: f}, dir)
	return err
}

// Import reads what Export wrote, here or elsewhere, and returns the number of
// rows that were new. What is there already stays as it is.
func (db *DB) Import(ctx context.Context, dir string) (int64, error) {
	res, err := db.atPath(ctx, request{Op: opImport}, dir)
	return res.Table.Total, err
}

// Migrate brings the database to a schema, up or down; 0 means SchemaVersion.
// It is backed up first. The next query of this program brings it up again: a
// database is migrated down for an older program.
func (db *DB) Migrate(ctx context.Context, to int) error {
	if to == 0 {
		to = db.ed.schema
	}
	if to < 1 || to > db.ed.schema {
		return &QueryError{Message: fmt.Sprintf("schema %d is not between 1 and %d", to, db.ed.schema)}
	}
	_, err := db.ask(ctx, request{Op: opMigrate, To: to})
	return err
}

// atPath asks for something that is done with a file or folder.
func (db *DB) atPath(ctx context.Context, r request, path string) (response, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return response{}, err
	}
	r.Path, r.IngestMS = path, db.queryIngest.Milliseconds()
	return db.ask(ctx, r)
}
