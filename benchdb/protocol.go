package benchdb

import (
	"embed"
	"io/fs"
)

// SchemaVersion is that of the database: the number of the latest migration.
// A worker and the program that starts it must agree on it.
const SchemaVersion = 3

//go:embed migrations/*.sql
var migrations embed.FS

// An edition is what a version of this package knows.
type edition struct {
	schema     int
	format     int   // of a spool's lines
	migrations fs.FS // in a folder of that name
}

var current = edition{schema: SchemaVersion, format: formatVersion, migrations: migrations}

// What a worker can be asked for.
const (
	opIngest  = "ingest"
	opQuery   = "query"
	opStats   = "stats"
	opBackup  = "backup"
	opRepair  = "repair"
	opVacuum  = "vacuum"
	opExport  = "export"
	opImport  = "import"
	opMigrate = "migrate"
)

// maxRequest bounds a request, in bytes: an agent's SQL may grow sixfold in
// JSON.
const maxRequest = 1 << 20

// A request is what a worker reads on its standard input. It works in its
// working directory, so that no path is in what it says. Its input stays open
// for as long as someone waits for the response.
type request struct {
	Schema    int    `json:"schema"`
	Op        string `json:"op"`
	Query     Query  `json:"query"`
	IngestMS  int64  `json:"ingest_ms"`  // how long it goes on ingesting
	TimeoutMS int64  `json:"timeout_ms"` // of the query

	UnconfinedSQL bool      `json:"unconfined_sql"` // an agent's SQL needs no full sandbox
	Retention     Retention `json:"retention"`      // of an ingest and of statistics; zero keeps all
	Path          string    `json:"path"`           // of a backup, an export or an import
	Format        Format    `json:"format"`         // of an export
	To            int       `json:"to"`             // schema to migrate to
}

// A response is what a worker writes to descriptor 3: its standard output is
// not its own, for SQL can have DuckDB print there.
type response struct {
	Schema int      `json:"schema"`
	Table  Table    `json:"table"`
	Stats  *Stats   `json:"stats,omitempty"`
	Repair *Repair  `json:"repair,omitempty"`
	Error  *failure `json:"error"`
}

// A failure is an error on its way from the worker.
type failure struct {
	Kind        string   `json:"kind"` // one of the kinds below
	Message     string   `json:"message"`
	Hint        string   `json:"hint"`
	ValidValues []string `json:"valid_values"`
}

// The kinds of failure.
const (
	failQuery   = "query" // a QueryError
	failTimeout = "timeout"
	failMemory  = "memory"
	failCursor  = "cursor"
	failLocked  = "locked"
	failSchema  = "schema"
	failOther   = "other"
)
