//go:build cgo && unix

package benchdb

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// fill makes the spools larger than the limit, with what no version knows yet:
// no worker makes them smaller.
func fill(t *testing.T, db *DB) (path string) {
	t.Helper()
	db.counter.limit = 10_000
	path = filepath.Join(db.spool.dir, newID()+"-000001"+spoolSuffix)
	line := append(bytes.Repeat([]byte("x"), 11_000), '\n')
	if err := os.WriteFile(path, append([]byte(`{"v":99,"rows":1,`), line...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// While the spools are full inferences are counted, runs kept, and both can be
// seen.
func TestRecord_spoolsFull(t *testing.T) {
	db := openDB(t, t.TempDir())
	path := fill(t, db)
	failed := inference("b")
	failed.Error = "deadline"
	run := run1(newID(), Completed, noon)
	for range 3 {
		if err := db.Record(t.Context(), Batch{Inferences: []Inference{inference("a"), failed}, Runs: []Run{run}}); !errors.Is(err, ErrSpoolFull) {
			t.Errorf("got error %v; want ErrSpoolFull", err)
		}
	}
	record(t, db, Batch{Results: []Result{result("m", 1)}})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	db.counter.mu.Lock()
	db.counter.measured = time.Time{} // a second later
	db.counter.mu.Unlock()
	record(t, db, Batch{Inferences: []Inference{inference("c")}})
	wantSQL(t, db, "select (select count(*) from inferences) as inferences, (select count(*) from benchmark_results) as results", `{"inferences":1,"results":1}`)
	wantSQL(t, db, "select status, model_name, done, error from events order by all", `{"status":"completed","model_name":"m","done":1,"error":null}
{"status":"dropped","model_name":"a","done":3,"error":null}
{"status":"dropped","model_name":"b","done":3,"error":"deadline"}`)
	if s, err := db.Stats(t.Context()); err != nil || s.Dropped != 6 {
		t.Errorf("%d were dropped, error %v; want 6", s.Dropped, err)
	}
	if rows := objectsOf(t, ask(t, db, Query{Report: ReportErrors})); len(rows) != 2 || rows[0]["n"] != 3.0 {
		t.Errorf("errors %v", rows)
	}
}

// What was counted is written by the minute, and at the end.
func TestCounter_minutes(t *testing.T) {
	dir := t.TempDir()
	c := &counter{dir: dir, limit: -1}
	start := noon.Truncate(time.Minute)
	for i := range 4 {
		counted, due := c.take([]Inference{inference("m")}, start.Add(time.Duration(i)*20*time.Second))
		if want := i == 3; !counted || (len(due) == 1) != want || want && (due[0].N != 3 || !due[0].Timestamp.Equal(start)) {
			t.Errorf("%d: counted %v, due %+v", i, counted, due)
		}
	}
	if due := c.rest(); len(due) != 1 || due[0].N != 1 {
		t.Errorf("at the end %+v", due)
	}
	if due := c.rest(); len(due) != 0 {
		t.Errorf("twice: %+v", due)
	}
}

// Close writes out what was counted.
func TestClose_countsDropped(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	path := fill(t, db)
	if err := db.Record(t.Context(), Batch{Inferences: []Inference{inference("a")}}); !errors.Is(err, ErrSpoolFull) {
		t.Errorf("got error %v; want ErrSpoolFull", err)
	}
	if err := errors.Join(db.Close(), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	wantSQL(t, openDB(t, dir), "select status, done from events", `{"status":"dropped","done":1}`)
}
