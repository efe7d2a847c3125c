//go:build unix

package main_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
)

func openResults(t testing.TB, dir string, timeout time.Duration) *benchdb.DB {
	t.Helper()
	db, err := benchdb.Open(dir, benchdb.Options{Command: []string{program, "worker"}, QueryTimeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func recordInferences(t testing.TB, db *benchdb.DB, n int) {
	t.Helper()
	b := benchdb.Batch{}
	for range n {
		b.Inferences = append(b.Inferences, benchdb.Inference{ID: uuid.Must(uuid.NewV7()).String(), Timestamp: time.Now(), ModelName: "m", RunMS: 1})
	}
	if err := db.Record(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func wantCount(t testing.TB, db *benchdb.DB, want string) benchdb.Table {
	t.Helper()
	table, err := db.Query(t.Context(), benchdb.Query{Report: benchdb.ReportSQL, SQL: "select count(*) as n from inferences"})
	if err != nil || len(table.Rows) != 1 || string(table.Rows[0]) != want {
		t.Errorf("got %s and error %v; want %s", table.Rows, err, want)
	}
	return table
}

// An agent's SQL runs in a process that has given up everything, and says so.
func TestWorker_sandboxed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no sandbox but on Linux yet")
	}
	db := openResults(t, t.TempDir(), time.Minute)
	recordInferences(t, db, 3)
	if table := wantCount(t, db, `{"n":3}`); table.Sandbox != "full" && table.Sandbox != "partial" {
		t.Errorf("the sandbox is %q", table.Sandbox)
	}
}

// A home may have any name.
func TestWorker_oddFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b=x%20#&'\"é")
	db := openResults(t, dir, time.Minute)
	recordInferences(t, db, 1)
	wantCount(t, db, `{"n":1}`)
	if _, err := os.Stat(filepath.Join(dir, "metrics.duckdb")); err != nil {
		t.Error(err)
	}
}

// The process that records and asks opens no database file; its child does.
func TestWorker_databaseStaysOutside(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what a process has open")
	}
	dir := t.TempDir()
	db := openResults(t, dir, time.Minute)
	recordInferences(t, db, 1)
	wantCount(t, db, `{"n":1}`)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.Contains(name, "duckdb") {
			t.Errorf("%s is open", name)
		}
	}
}

// hogs never end or want more than there is. Each must be ended, with the
// error that says why, and the next query works.
var hogs = map[string]struct {
	sql  string
	want []error
}{
	"cross join":       {"select count(*) from range(30000) a, range(30000) b, range(30000) c", []error{benchdb.ErrQueryTimeout}},
	"recursion":        {"with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r", []error{benchdb.ErrQueryTimeout, benchdb.ErrQueryMemory}},
	"empty recursion":  {"with recursive r as (select 1 as n union all select 1 from r) select count(*) from r", []error{benchdb.ErrQueryTimeout, benchdb.ErrQueryMemory}},
	"regexp":           {"select count(*) from range(100000000) t(i), range(100) where regexp_matches(i::varchar || repeat('a', 1000), '(a|aa)+$')", []error{benchdb.ErrQueryTimeout}},
	"levenshtein":      {"select levenshtein(repeat('a', 300000), repeat('b', 300000))", []error{benchdb.ErrQueryTimeout}},
	"repeat":           {"select length(repeat(repeat('x', 30000), 30000))", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"many repeats":     {"select repeat('x', 10000000) as x from range(1000)", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"printf width":     {"select length(printf('%2000000000d', 1))", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"format width":     {"select length(format('{:2000000000d}', 1))", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"lpad":             {"select length(lpad('x', 2000000000, 'y'))", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"bitstring":        {"select bit_count(bitstring('1', 2000000000))", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"lambda":           {"select list_sum(list_transform(range(1000000000), lambda x: x + 1))", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"list":             {"select len(list(i)) from range(1000000000) t(i)", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"sort":             {"select i from range(1000000000) t(i) order by hash(i)", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"group":            {"select count(*) from (select i, count(*) from range(1000000000) t(i) group by i)", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"string_agg":       {"select length(string_agg(i::varchar, ',')) from range(1000000000) t(i)", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"60-way join":      {"select count(*) from inferences" + strings.Repeat(", inferences", 59), []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"exponential CTEs": {exponential(40), []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
	"spill":            {"select count(distinct i || repeat('x', 1000)) from range(100000000) t(i)", []error{benchdb.ErrQueryMemory, benchdb.ErrQueryTimeout}},
}

// exponential doubles its rows with each common table expression.
func exponential(n int) string {
	var b strings.Builder
	b.WriteString("with a0 as materialized (select 1 as x)")
	for i := range n {
		prev, next := "a"+strconv.Itoa(i), "a"+strconv.Itoa(i+1)
		b.WriteString(", " + next + " as materialized (select * from " + prev + " union all select * from " + prev + ")")
	}
	b.WriteString(" select count(*) from a" + strconv.Itoa(n))
	return b.String()
}

func TestWorker_hogs(t *testing.T) {
	dir := t.TempDir()
	db := openResults(t, dir, time.Second)
	recordInferences(t, db, 1000)
	wantCount(t, db, `{"n":1000}`)
	t.Run("all", func(t *testing.T) { // until the parallel ones are through
		for name, hog := range hogs {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // far beyond what is allowed
				defer cancel()
				table, err := db.Query(ctx, benchdb.Query{Report: benchdb.ReportSQL, SQL: hog.sql})
				for _, want := range hog.want {
					if errors.Is(err, want) {
						return
					}
				}
				t.Errorf("got %s and error %v; want one of %v", table.Rows, err, hog.want)
			})
		}
	})
	wantCount(t, db, `{"n":1000}`)
	if left, err := filepath.Glob(filepath.Join(dir, "*.tmp", "*")); err != nil || len(left) > 0 {
		t.Errorf("spilled: %v %v", left, err)
	}
}
