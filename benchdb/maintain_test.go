//go:build cgo && unix

package benchdb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// counts are the rows of every table.
func counts(t testing.TB, db *DB) string {
	t.Helper()
	s, err := db.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, table := range s.Tables {
		fmt.Fprintf(&out, "%s=%d ", table.Name, table.Rows)
	}
	return out.String()
}

const allCounts = "dropped=0 environments=0 fetches=1 inferences=2 inferences_hourly=0 models=1 plans=2 platforms=1 receipts=1 results=2 runs=2 time_series=1 "

func TestStats(t *testing.T) {
	db := reported(t)
	record(t, db, Batch{Environments: []Environment{{ID: "e1", Timestamp: noon}}})
	s, err := db.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Schema != SchemaVersion || s.MinReader != 1 || s.DatabaseBytes == 0 || s.SpoolBytes == 0 || s.PendingRows != 0 || s.Retention != db.o.Retention {
		t.Errorf("got %+v", s)
	}
	if got, want := counts(t, db), strings.Replace(allCounts, "environments=0", "environments=1", 1); got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	for _, table := range s.Tables {
		if table.Rows > 0 && (table.Oldest == nil || table.Newest == nil) || table.Rows == 0 && table.Oldest != nil {
			t.Errorf("%+v", table)
		}
	}
}

func TestBackup(t *testing.T) {
	db := reported(t)
	path := filepath.Join(t.TempDir(), "it's a backup.duckdb")
	if err := db.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := rawDB(t, path).QueryRowContext(t.Context(), "select count(*) from benchmark_results").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d results in the backup, error %v", n, err)
	}
	var qe *QueryError
	if err := db.Backup(t.Context(), path); !errors.As(err, &qe) {
		t.Errorf("over a file: %v; want a QueryError", err)
	}
	if err := db.Backup(t.Context(), filepath.Join(path, "x")); err == nil {
		t.Error("a backup in what is no folder")
	}
}

func TestVacuum(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	for range 20 {
		b := Batch{}
		for range 500 {
			b.Inferences = append(b.Inferences, inference(newID()))
		}
		record(t, db, b)
	}
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":10000}`)
	change(t, dir, "delete from _inferences where random() < 0.99; checkpoint")
	left := askSQL(t, db, "select count(*) as n, min(id) as a, max(id) as z from inferences")
	before := size(filepath.Join(dir, databaseFile))
	if err := db.Vacuum(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := size(filepath.Join(dir, databaseFile)); after >= before {
		t.Errorf("%d bytes; before %d", after, before)
	}
	wantSQL(t, db, "select count(*) as n, min(id) as a, max(id) as z from inferences", left)
	again := inference("m")
	record(t, db, Batch{Inferences: []Inference{again, again}})
	wantSQL(t, db, "select count(*) as n from inferences where model_name = 'm'", `{"n":1}`) // its keys are still keys
	if err := db.Migrate(t.Context(), 1); err != nil {
		t.Errorf("migrations after it: %v", err)
	}
}

func TestExport_import(t *testing.T) {
	db := reported(t)
	before := askSQL(t, db, "from benchmark_results order by id")
	for _, f := range []Format{Parquet, NDJSON} {
		dir := filepath.Join(t.TempDir(), "it's "+string(f))
		if err := db.Export(t.Context(), dir, f); err != nil {
			t.Fatal(err)
		}
		if n, err := db.Import(t.Context(), dir); err != nil || n != 0 {
			t.Errorf("%s: %d rows were new where they come from, error %v", f, n, err)
		}
		other := openDB(t, t.TempDir())
		if n, err := other.Import(t.Context(), dir); err != nil || n != 13 {
			t.Errorf("%s: %d rows, error %v", f, n, err)
		}
		if n, err := other.Import(t.Context(), dir); err != nil || n != 0 {
			t.Errorf("%s, again: %d rows, error %v", f, n, err)
		}
		if got := counts(t, other); got != allCounts {
			t.Errorf("%s\n got: %s\nwant: %s", f, got, allCounts)
		}
		if after := askSQL(t, other, "from benchmark_results order by id"); after != before {
			t.Errorf("%s\n got: %s\nwant: %s", f, after, before)
		}
	}
	var qe *QueryError
	if _, err := db.Import(t.Context(), t.TempDir()); !errors.As(err, &qe) {
		t.Errorf("an empty folder: %v; want a QueryError", err)
	}
	if err := db.Export(t.Context(), t.TempDir(), "xml"); !errors.As(err, &qe) {
		t.Errorf("xml: %v; want a QueryError", err)
	}
}

func TestMigrate_onDemand(t *testing.T) {
	db := reported(t)
	if err := db.Migrate(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	var n int
	raw, err := sql.Open("duckdb", filepath.Join(db.dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	err = raw.QueryRowContext(t.Context(), "select count(*) from duckdb_columns() where table_name = '_results'").Scan(&n)
	if err := errors.Join(err, raw.Close()); err != nil || n != 19 {
		t.Errorf("%d columns, error %v; want those of schema 1", n, err)
	}
	wantSQL(t, db, "select count(*) as n from benchmark_results where mean_ms is not null", `{"n":1}`) // up again, with figures made anew
	if err := db.Migrate(t.Context(), 0); err != nil {
		t.Error(err)
	}
	var qe *QueryError
	if err := db.Migrate(t.Context(), SchemaVersion+1); !errors.As(err, &qe) {
		t.Errorf("beyond: %v; want a QueryError", err)
	}
}

// A log that DuckDB can't read: nothing goes but what only it had, and what
// the spools hold comes back.
func TestRepair_log(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("before")}})
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":1}`)
	if r, err := db.Repair(t.Context()); err != nil || len(r.Moved) != 0 {
		t.Errorf("a healthy database: %+v, error %v", r, err)
	}
	writer := startChild(t, "be-dirty", dir)
	if !writer.lines.Scan() {
		t.Fatal("the writer ended")
	}
	writer.kill()
	record(t, db, Batch{Inferences: []Inference{inference("after")}})
	wal := filepath.Join(dir, databaseFile+".wal")
	data, err := os.ReadFile(wal)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[len(data)/2:], bytes.Repeat([]byte{0xa5}, 16))
	if err := os.WriteFile(wal, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Query(t.Context(), Query{Report: ReportRuns}); err == nil {
		t.Fatal("a query with a broken log")
	}
	r, err := db.Repair(t.Context())
	if err != nil || len(r.Moved) != 1 || !strings.Contains(r.Moved[0], ".wal.") || r.Restored != "" {
		t.Fatalf("got %+v, error %v", r, err)
	}
	wantSQL(t, db, "select model_name as m from inferences order by 1", `{"m":"after"}
{"m":"before"}`)
}

// beDirty commits rows that stay in DuckDB's log, and waits to be killed.
func beDirty(args []string) error {
	db, err := sql.Open("duckdb", filepath.Join(args[0], databaseFile))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	const q = "set wal_autocheckpoint = '1TB'; insert into _models (cid, timestamp) select i::varchar, now() from range(10000) t(i)"
	if _, err := db.ExecContext(context.Background(), q); err != nil {
		return err
	}
	fmt.Println("written")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A database that can't be opened at all gives way to the last backup.
func TestRepair_database(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("m")}})
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":1}`)
	if err := db.Migrate(t.Context(), 1); err != nil { // which makes one
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(dir, databaseFile), strings.Repeat("garbage", 10000)); err != nil {
		t.Fatal(err)
	}
	r, err := db.Repair(t.Context())
	if err != nil || r.Restored == "" || len(r.Moved) != 1 {
		t.Fatalf("got %+v, error %v", r, err)
	}
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":1}`)
}

// What is old becomes hours and histograms, the figures stay, and it is looked
// for once a day.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	db.o.Retention = Retention{}.orDefault()
	now := time.Now()
	var b Batch
	for i := range 10 {
		old, young := inference("m"), inference("m")
		old.Timestamp, old.TotalMS = noon.Add(time.Duration(i)*time.Minute), float64(i)
		young.Timestamp = now
		b.Inferences = append(b.Inferences, old, young)
	}
	old, young := result("m", 1, 2, 2.001, 100), result("m", 5)
	old.Timestamp, young.Timestamp = noon, now
	b.Results = []Result{old, young}
	b.TimeSeries = []TimeSeries{{ID: newID(), Timestamp: noon, RunID: old.RunID, Name: "x", Offsets: []float64{1}, Values: []float64{1}}}
	record(t, db, b)
	if err := db.ingestAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":10}`)
	wantSQL(t, db, "select hour, model_name, n, items, total_ms, min_ms, max_ms, p50_ms from inferences_hourly",
		`{"hour":"2026-03-04T10:00:00.000000Z","model_name":"m","n":10,"items":30,"total_ms":45.0,"min_ms":0.0,"max_ms":9.0,"p50_ms":4.5}`)
	wantSQL(t, db, "select samples, round(inference_time, 6) as t, max_ms, map_values(histogram) as h from benchmark_results order by id",
		`{"samples":4,"t":2.0005,"max_ms":100.0,"h":[1,2,1]}
{"samples":1,"t":5.0,"max_ms":5.0,"h":null}`)
	wantSQL(t, db, "select count(*) as n from samples", `{"n":1}`)
	wantSQL(t, db, "select count(*) as n from time_series", `{"n":0}`)
	cost := objectsOf(t, ask(t, db, Query{Report: ReportCost}))
	if len(cost) != 1 || cost[0]["calls"] != 22.0 {
		t.Errorf("cost %v", cost)
	}
	late := inference("late")
	record(t, db, Batch{Inferences: []Inference{late}})
	if err := db.ingestAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":11}`) // not again today
	if err := writeFile(filepath.Join(dir, retainedFile), now.Add(-25*time.Hour).Format(time.RFC3339)); err != nil {
		t.Fatal(err)
	}
	if err := db.ingestAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSQL(t, db, "select sum(n)::int as n from inferences_hourly", `{"n":11}`)
	if p := objectsOf(t, ask(t, db, Query{Report: ReportPercentiles, Since: noon.Add(-time.Hour)})); p[0]["samples"] != 1.0 {
		t.Errorf("percentiles %v", p)
	}
}

// Nothing of this machine or its user is kept, and nothing that was asked.
func TestNeverRecorded(t *testing.T) {
	const marker = "planted-marker-7f3a"
	for _, name := range []string{"USER", "LOGNAME", "HOME", "HOSTNAME", "PWD"} {
		t.Setenv(name, marker)
	}
	dir := filepath.Join(t.TempDir(), marker)
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("m")}, Results: []Result{result("m", 1)}, Runs: []Run{run1(newID(), Running, noon)}})
	for _, q := range []Query{
		{Report: ReportSQL, SQL: "select '" + marker + "'"}, {Report: ReportRuns, Model: marker}, {Report: ReportRun, RunID: marker}, {Report: ReportHistory, Device: marker},
	} {
		ask(t, db, q)
	}
	if err := db.Export(t.Context(), filepath.Join(t.TempDir(), marker), Parquet); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		if bytes.Contains(data, []byte(marker)) {
			t.Errorf("%s holds the marker", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
