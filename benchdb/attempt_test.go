//go:build cgo && unix

package benchdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// poison is what kills a fragile worker.
const poison = "a-poisonous-model"

// fragile is DuckDB, but dies of a certain row.
type fragile struct{ duckdb.Driver }

func (f fragile) Open(name string) (driver.Conn, error) {
	c, err := f.Driver.Open(name)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*duckdb.Conn)
	if !ok {
		return nil, fmt.Errorf("a connection of type %T", c)
	}
	return fragileConn{conn}, nil
}

func (f fragile) OpenConnector(name string) (driver.Connector, error) {
	return fragileConnector{f, name}, nil
}

type fragileConnector struct {
	driver fragile
	name   string
}

func (c fragileConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.name) }
func (c fragileConnector) Driver() driver.Driver                        { return c.driver }

type fragileConn struct{ *duckdb.Conn }

func (c fragileConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	for _, a := range args {
		if s, ok := a.Value.(string); ok && strings.Contains(s, poison) {
			panic("poisoned")
		}
	}
	return c.Conn.ExecContext(ctx, query, args)
}

// beFragile is a worker that dies of a certain row.
func beFragile([]string) error {
	sql.Register("fragile", fragile{})
	return Work(context.Background(), os.Stdin, ResultFile(), WorkerOptions{
		Driver: "fragile", Confine: func(int64, time.Duration) (string, error) { return "none", nil },
	})
}

// A line that kills its worker is found, in halves, and set aside; all others
// come in.
func TestIngest_crashes(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	db.o.Command = self(t, "be-fragile")
	const lines = 100
	for i := range lines {
		name := "good"
		if i == 37 || i == 61 {
			name = poison
		}
		record(t, db, Batch{Inferences: []Inference{inference(name)}})
	}
	crashes := 0
	for ; crashes < 100; crashes++ {
		_, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: "select 1"})
		if err == nil {
			break
		}
		if !errors.Is(err, errWorker) {
			t.Fatal(err)
		}
	}
	t.Logf("%d workers died", crashes)
	if crashes < 2*harmfulAfter || crashes > 40 {
		t.Errorf("%d workers died of two lines", crashes)
	}
	wantSQL(t, db, "select count(*) as n from inferences", fmt.Sprintf(`{"n":%d}`, lines-2))
	wantQuarantine(t, dir, 2)
	if _, err := os.Stat(filepath.Join(dir, attemptFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after all is in: %v", err)
	}
}

// Who kills a worker from outside says nothing of the lines it worked on.
func TestIngest_killedFromOutside(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("m")}})
	db.o.Command = []string{"sh", "-c", "kill -9 $$"}
	line := attempt{Spool: filepath.Base(spools(t, dir)[0]), Bytes: 1 << 20}
	if err := line.write(filepath.Join(dir, attemptFile)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := db.Query(t.Context(), Query{Report: ReportRuns}); !errors.Is(err, errWorker) {
			t.Fatal(err)
		}
	}
	db.o.Command = self(t, "be-worker")
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":1}`)
	wantQuarantine(t, dir, 0)
}
