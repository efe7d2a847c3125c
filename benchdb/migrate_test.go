//go:build cgo && unix

package benchdb

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
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

// inFolder has the test in a new folder, as a worker is.
func inFolder(t *testing.T) *worker {
	t.Helper()
	t.Chdir(t.TempDir())
	return &worker{o: WorkerOptions{Driver: "duckdb"}, ed: current}
}

func migrated(t *testing.T, w *worker, schema int) string {
	t.Helper()
	db, err := w.openAt(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, db)
	if version, err := w.version(t.Context(), db); err != nil || version != int64(schema) {
		t.Errorf("version %d, error %v; want %d", version, err, schema)
	}
	if err := closeDatabase(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMigrate_upAndDown(t *testing.T) {
	w := inFolder(t)
	var at [SchemaVersion + 1]string
	for v := 1; v <= SchemaVersion; v++ {
		at[v] = migrated(t, w, v)
	}
	for _, v := range Views {
		if !strings.Contains(at[SchemaVersion], v) {
			t.Errorf("there is no view %s", v)
		}
	}
	for v := SchemaVersion - 1; v >= 1; v-- {
		if got := migrated(t, w, v); got != at[v] {
			t.Errorf("down to %d\n got: %s\nwant: %s", v, got, at[v])
		}
	}
	db, err := w.openAt(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if left := objects(t, db); left != versionTable {
		t.Errorf("after all is undone there are still %s", left)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if again := migrated(t, w, SchemaVersion); again != at[SchemaVersion] {
		t.Errorf("got %s; want %s", again, at[SchemaVersion])
	}
}

// A database of every version, with rows in it, goes up, down and up again, and
// loses nothing that both versions know.
func TestMigrate_fixtures(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/v*.sql")
	if err != nil || len(fixtures) != SchemaVersion {
		t.Fatalf("%d fixtures, error %v; want one per version", len(fixtures), err)
	}
	for i, fixture := range fixtures {
		rows, err := os.ReadFile(fixture)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fixture, func(t *testing.T) {
			w := inFolder(t)
			migrated(t, w, i+1)
			db := rawDB(t, databaseFile)
			if _, err := db.ExecContext(t.Context(), string(rows)); err != nil {
				t.Fatal(err)
			}
			want := contents(t, db, i+1)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			for _, schema := range []int{SchemaVersion, i + 1, SchemaVersion} {
				migrated(t, w, schema)
				db := rawDB(t, databaseFile)
				if got := contents(t, db, i+1); got != want {
					t.Errorf("at %d\n got: %s\nwant: %s", schema, got, want)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if baks, err := filepath.Glob("*" + backupSuffix); err != nil || len(baks) > keepBackups || i+1 < SchemaVersion && len(baks) == 0 {
				t.Errorf("backups %v, error %v", baks, err)
			}
		})
	}
}

// contents are the rows of the views that version 1 has, as it has them.
func contents(t *testing.T, db *sql.DB, _ int) string {
	t.Helper()
	var all strings.Builder
	for _, q := range []string{
		"select id, timestamp, model_name, inference_time, throughput, memory_usage, metadata, run_id, batch_size, samples, round(p90_ms, 6), error, environment from benchmark_results",
		"select result_id, n, latency_ms from samples", "select id, total_ms, error, environment from inferences", "select id, bytes, error from fetches",
		"select id, info from environments", "select environment, platform, reason from hardware_platforms", "select cid, name, license from models",
		"select run_id, status, timestamp, done, error from events where run_id is not null",
	} {
		var rows int
		var text sql.NullString
		if err := db.QueryRowContext(t.Context(), "select count(*), string_agg(r::varchar, ' ' order by r::varchar) from ("+q+") r").Scan(&rows, &text); err != nil {
			t.Fatal(err)
		}
		if rows == 0 {
			t.Errorf("no rows: %s", q)
		}
		all.WriteString(text.String + "\n")
	}
	return all.String()
}

func TestViews_columns(t *testing.T) {
	db := openDB(t, t.TempDir())
	want := map[string]string{
		"benchmark_results": "id timestamp model_name hardware_type inference_time throughput memory_usage accuracy_score metadata " +
			"run_id model_cid task workload device precision batch_size warmup samples p90_ms error environment " +
			"software_id config_key threads duration_ms load_ms first_ms queue_ms preprocess_ms run_ms postprocess_ms joules bytes noisy load_before load_after " +
			"machine_id mean_ms min_ms max_ms p50_ci95_low p50_ci95_high p95_ms p99_ms histogram",
		"environments":       "id first_seen info kind",
		"events":             "run_id timestamp kind status started_at model_name model_cid done total unit message error elapsed_ms",
		"fetches":            "id timestamp model_name model_cid bytes level total_ms error environment software_id source",
		"hardware_platforms": "environment platform present available device reason checked_at",
		"inferences": "id timestamp model_name model_cid task hardware_type device precision items cache " +
			"queue_ms fetch_ms load_ms preprocess_ms run_ms postprocess_ms total_ms error environment software_id joules",
		"inferences_hourly": "hour model_name model_cid task hardware_type device precision error environment software_id n items total_ms run_ms min_ms max_ms p50_ms p99_ms joules",
		"models":            "cid name task bytes license first_seen last_seen",
		"plans":             "model_cid device machine_id threads batch_size precision measured_at run_id figures",
		"receipts":          "id run_id timestamp role peer model_cid input_sha256 output_sha256 signature total_ms error",
		"samples":           "result_id run_id model_name device batch_size n latency_ms offset_ms",
		"time_series":       "run_id result_id n offset_ms name value unit",
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
	change(t, dir, "update _meta set value = '99' where key = 'min_reader'")
	if _, err := db.Query(t.Context(), Query{Report: ReportRuns}); !errors.Is(err, ErrRestartNeeded) {
		t.Errorf("a database that can't be read any more: %v; want ErrRestartNeeded", err)
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
	if _, err := decode([]byte(`{"schema":99}`), SchemaVersion); !errors.Is(err, ErrRestartNeeded) {
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
