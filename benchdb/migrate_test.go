//go:build cgo && unix

package benchdb

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// objects lists the tables and views of a database.
func objects(t *testing.T, db *sql.DB) string {
	t.Helper()
	var names string
	const q = "select coalesce(string_agg(table_name, ' ' order by table_name), '') from information_schema.tables"
	if err := db.QueryRowContext(t.Context(), q).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMigrate_upAndDown(t *testing.T) {
	db := rawDB(t, filepath.Join(t.TempDir(), databaseFile))
	m, err := migrator(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	full := objects(t, db)
	for _, v := range Views {
		if !strings.Contains(full, v) {
			t.Errorf("there is no view %s", v)
		}
	}
	if version, err := m.GetDBVersion(t.Context()); err != nil || version != SchemaVersion {
		t.Errorf("version %d, error %v; want %d", version, err, SchemaVersion)
	}
	if _, err := m.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if left := objects(t, db); left != versionTable {
		t.Errorf("after all is undone there are still %s", left)
	}
	if err := migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if again := objects(t, db); again != full {
		t.Errorf("got %s; want %s", again, full)
	}
}

func TestViews_columns(t *testing.T) {
	db := openDB(t, t.TempDir())
	want := map[string]string{
		"benchmark_results": "id timestamp model_name hardware_type inference_time throughput memory_usage accuracy_score metadata " +
			"run_id model_cid task workload device precision batch_size warmup samples p90_ms error environment",
		"environments":       "id first_seen info",
		"events":             "run_id timestamp kind status started_at model_name model_cid done total unit message error",
		"fetches":            "id timestamp model_name model_cid bytes level total_ms error environment",
		"hardware_platforms": "environment platform present available device reason checked_at",
		"inferences": "id timestamp model_name model_cid task hardware_type device precision items cache " +
			"queue_ms fetch_ms load_ms preprocess_ms run_ms postprocess_ms total_ms error environment",
		"models":  "cid name task bytes license first_seen last_seen",
		"samples": "result_id run_id model_name device batch_size n latency_ms",
	}
	for _, v := range Views {
		var names []string
		for _, c := range ask(t, db, Query{Report: ReportSQL, SQL: "from " + v}).Columns {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, " "); got != want[v] {
			t.Errorf("%s\n got: %s\nwant: %s", v, got, want[v])
		}
	}
}

// A later version of the program has changed the database: this one lets it be.
func TestMigrate_laterVersion(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("before")}})
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":1}`)
	change(t, dir, fmt.Sprintf("insert into %s (version_id, is_applied) values (%d, true)", versionTable, SchemaVersion+1))
	if err := writeFile(filepath.Join(dir, schemaFile), fmt.Sprint(SchemaVersion+1)); err != nil {
		t.Fatal(err)
	}
	record(t, db, Batch{Inferences: []Inference{inference("after")}})
	before := fingerprint(t, filepath.Join(dir, spoolDir))
	table := ask(t, db, Query{Report: ReportSQL, SQL: "select count(*) as n from inferences"})
	if text(table) != `{"n":1}` || table.PendingRows != 1 {
		t.Errorf("%s with %d rows pending; want 1 and 1", text(table), table.PendingRows)
	}
	if after := fingerprint(t, filepath.Join(dir, spoolDir)); after != before {
		t.Errorf("the spool was touched:\n%s\nbefore:\n%s", after, before)
	}
	change(t, dir, "drop view _run_states")
	if _, err := db.Query(t.Context(), Query{Report: ReportRuns}); !errors.Is(err, ErrRestartNeeded) {
		t.Errorf("a report that can't be had any more: %v; want ErrRestartNeeded", err)
	}
}

// change changes a database past the worker.
func change(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("duckdb", filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// A worker of another schema says so.
func TestWorker_otherSchema(t *testing.T) {
	if _, err := decode([]byte(`{"schema":99}`)); !errors.Is(err, ErrRestartNeeded) {
		t.Errorf("got error %v; want ErrRestartNeeded", err)
	}
	db := openDB(t, t.TempDir())
	cmd, err := db.command(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := run(cmd, []byte(`{"schema":99,"op":"query"}`))
	if err != nil || !strings.Contains(string(out), fmt.Sprintf(`"schema":%d`, SchemaVersion)) {
		t.Errorf("got %s, error %v", out, err)
	}
}
