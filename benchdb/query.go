package benchdb

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"
)

// query answers the request's question on the read-only database, in a
// process that can reach nothing else by then. If the ingest before it left
// rows, it counts those that are still not in the database.
func (w *worker) query(ctx context.Context, left bool) (Table, error) {
	ctx, cancel := context.WithTimeout(ctx, w.r.timeout())
	defer cancel()
	unlock, err := lock(ctx, false)
	if err != nil {
		return Table{}, err
	}
	defer unlock()
	var pending int64
	if left {
		pending = pendingRows() // as of now: another may have ingested them since
	}
	db, err := w.open("?access_mode=READ_ONLY")
	if err != nil {
		return Table{}, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return Table{}, err
	}
	if err := w.readable(ctx, conn); err != nil {
		return Table{}, err
	}
	level, err := w.confine(ctx, conn)
	if err != nil {
		return Table{}, err
	}
	if w.r.Query.Report == ReportSQL && level != sandboxFull && !w.r.UnconfinedSQL {
		return Table{Sandbox: level}, &QueryError{
			Message: "sql is off: the sandbox of this machine is " + level + ", not full", Hint: "ask one of the reports", ValidValues: reportNames(),
		}
	}
	defer time.AfterFunc(time.Until(deadline(ctx))+interruptGrace, giveUp).Stop()
	t, err := w.report(ctx, conn)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // whatever DuckDB says of being interrupted
	}
	t.Sandbox, t.PendingRows = level, pending
	return t, err
}

// interruptGrace is how long DuckDB has to end a query that is interrupted.
const interruptGrace = time.Second

// exitTimeout is the exit code of a worker whose query could not be ended.
const exitTimeout = 3

// giveUp ends the process where DuckDB does not notice that it is interrupted.
func giveUp() { os.Exit(exitTimeout) }

func deadline(ctx context.Context) time.Time {
	d, ok := ctx.Deadline()
	if !ok {
		return time.Now().Add(maintainLimit)
	}
	return d
}

// settings lock DuckDB down. Their order matters: each of the last three would
// keep those before it from being set.
var settings = []string{
	"set autoinstall_known_extensions = false", "set autoload_known_extensions = false", "set allow_community_extensions = false",
	"set allow_persistent_secrets = false", fmt.Sprintf("set memory_limit = '%dMB'", queryMemory>>20), "set threads = 2",
	"set max_temp_directory_size = '0KB'", "set temp_directory = ''", "set max_expression_depth = 250", "set timezone = 'UTC'",
	"set enable_external_access = false", "set disabled_filesystems = 'LocalFileSystem'", "set lock_configuration = true",
}

// confine takes everything from DuckDB and the process that a query does not
// need. The database is open by now: DuckDB aborts if it can't open it.
func (w *worker) confine(ctx context.Context, conn *sql.Conn) (string, error) {
	for _, s := range settings {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return "", fmt.Errorf("%s: %w", s, err)
		}
	}
	level, err := w.o.Confine(confineMemory, w.r.cpu())
	if err != nil {
		return "", fmt.Errorf("confine the query: %w", err)
	}
	return level, nil
}
