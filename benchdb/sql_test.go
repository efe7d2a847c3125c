//go:build cgo && unix

package benchdb

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sqlDB is a database with something in it.
func sqlDB(t *testing.T) (*DB, string) {
	t.Helper()
	dir := t.TempDir()
	db := openDB(t, dir)
	secret := run1(newID(), Completed, noon)
	secret.Answer = []byte(`{"text":"answer-of-another"}`)
	record(t, db, Batch{
		Results: []Result{result("a", 1, 2, 3), result("b", 4, 5)}, Inferences: []Inference{inference("a")}, Runs: []Run{secret},
	})
	wantSQL(t, db, "select count(*) as n from benchmark_results", `{"n":2}`)
	return db, dir
}

// fingerprint is of everything in a folder.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		fmt.Fprintf(&out, "%s %x\n", path, sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// attacks must each be refused with an error that their author can understand.
// OUT is a folder to write to, DB the database's file.
var attacks = map[string]string{
	"read_csv":                        `select * from read_csv('/etc/passwd', columns = {'l': 'VARCHAR'}, sep = '\0')`,
	"read_csv, qualified":             `select * from main.read_csv('/etc/passwd')`,
	"read_csv_auto":                   `from read_csv_auto('/etc/passwd')`,
	"read_text":                       `select content from read_text('/etc/passwd')`,
	"read_text as scalar":             `select read_text('/etc/passwd')`,
	"read_blob":                       `select content from read_blob('/etc/passwd')`,
	"read_json":                       `select * from read_json('/etc/passwd')`,
	"read_json_objects":               `select * from read_json_objects('/etc/passwd')`,
	"read_ndjson":                     `select * from read_ndjson('/etc/passwd')`,
	"read_parquet":                    `select * from read_parquet('/etc/passwd')`,
	"parquet_scan":                    `select * from parquet_scan('/etc/passwd')`,
	"parquet_metadata":                `select * from parquet_metadata('/etc/passwd')`,
	"parquet_schema":                  `select * from parquet_schema('/etc/passwd')`,
	"parquet_kv_metadata":             `select * from parquet_kv_metadata('/etc/passwd')`,
	"sniff_csv":                       `select * from sniff_csv('/etc/passwd')`,
	"glob":                            `select * from glob('/etc/*')`,
	"read_duckdb":                     `select * from read_duckdb('DB')`,
	"file as table":                   `select * from '/etc/passwd'`,
	"file as table, from first":       `from '/etc/passwd.csv'`,
	"file as table, quoted":           `select * from "file.csv"`,
	"file in a subquery":              `select (select count(*) from 'x.parquet')`,
	"file in exists":                  `select 1 where exists (from 'x.json')`,
	"file in a pivot":                 `pivot 'x.csv' on a in (1) using sum(b)`,
	"file described":                  `describe '/etc/passwd.csv'`,
	"file summarized":                 `summarize '/etc/passwd.csv'`,
	"file in a union":                 `select 1 union all (select * from 'x.csv')`,
	"file over http":                  `select * from 'https://127.0.0.1:1/x.parquet'`,
	"file behind the name of a CTE":   `with "/etc/passwd.csv" as (select 1 as a) select * from (select * from main."/etc/passwd.csv")`,
	"file out of a CTE's scope":       `select (with "x.csv" as (select 1 as a) select a from "x.csv"), b.* from "x.csv" b`,
	"file in its own CTE":             `with "x.csv" as (select * from "x.csv") select * from "x.csv"`,
	"file in a CTE before":            `with a as (select * from "x.csv"), "x.csv" as (select 1) select * from a`,
	"file in the start of recursion":  `with recursive "x.csv" as (select * from "x.csv" union all select * from "x.csv") select * from "x.csv"`,
	"internal table":                  `select answer from _runs`,
	"internal table, qualified":       `select answer from main._runs`,
	"internal table, catalog":         `select answer from metrics.main._runs`,
	"internal view":                   `from _run_states`,
	"internal table as dotted CTE":    `with "main._runs" as (select 1) select * from main._runs`,
	"internal table out of scope":     `select * from (with _runs as (select 1 as x) select * from _runs) a, _runs b`,
	"internal table in its own CTE":   `with _runs as (select * from _runs) select * from _runs`,
	"internal table in a later CTE":   `with a as (select * from _runs), _runs as (select 1) select * from a`,
	"internal table in recursion":     `with recursive _runs as (select * from _runs union select * from _runs) select * from _runs`,
	"name in other letters":           "with \"duc\u212adb_settings\" as (select 1) select * from duckdb_settings",
	"view of settings":                `select * from duckdb_settings`,
	"view of databases":               `select path from duckdb_databases`,
	"view of the schema":              `select sql from sqlite_master`,
	"information_schema":              `select * from information_schema.tables`,
	"pg_catalog":                      `select * from pg_catalog.pg_tables`,
	"duckdb_settings":                 `select value from duckdb_settings() where name like '%dir%'`,
	"duckdb_databases":                `select path from duckdb_databases()`,
	"duckdb_secrets":                  `select * from duckdb_secrets()`,
	"duckdb_logs":                     `select * from duckdb_logs()`,
	"duckdb_extensions":               `select install_path from duckdb_extensions()`,
	"duckdb_external_file_cache":      `select * from duckdb_external_file_cache()`,
	"duckdb_temporary_files":          `from duckdb_temporary_files()`,
	"pragma_database_list":            `select * from pragma_database_list`,
	"pragma_database_size":            `select * from pragma_database_size()`,
	"pragma_storage_info":             `select * from pragma_storage_info('_runs')`,
	"pragma_table_info":               `select * from pragma_table_info('_runs')`,
	"sql_auto_complete":               `select * from sql_auto_complete('select * from ''/etc/')`,
	"query":                           `select * from query('select * from _runs')`,
	"query_table":                     `select * from query_table('/etc/passwd')`,
	"json_execute_serialized_sql":     `select * from json_execute_serialized_sql(json_serialize_sql('select * from _runs'))`,
	"json_serialize_plan":             `select json_serialize_plan('select current_setting(''secret_directory'')', optimize := true)`,
	"which_secret":                    `from which_secret('s3://x', 's3')`,
	"seq_scan":                        `select * from seq_scan('_runs')`,
	"summary":                         `select * from summary((select * from _runs))`,
	"histogram of a table":            `from histogram_values('_runs', status)`,
	"current_setting":                 `select current_setting('secret_directory')`,
	"current_setting, qualified":      `select system.main.current_setting('secret_directory')`,
	"current_setting in a lambda":     `select list_transform(['secret_directory'], lambda x: current_setting('secret_directory'))`,
	"current_setting in order by":     `from benchmark_results order by current_setting('secret_directory')`,
	"CURRENT_SETTING":                 `select CURRENT_SETTING('secret_directory')`,
	"getvariable":                     `select getvariable('x')`,
	"getenv":                          `select getenv('HOME')`,
	"nextval":                         `select nextval('_schema_version_seq')`,
	"currval":                         `select currval('_schema_version_seq')`,
	"write_log":                       `select write_log('x')`,
	"sleep_ms":                        `select sleep_ms(100000)`,
	"pg_sleep":                        `select pg_sleep(1000)`,
	"setseed":                         `select setseed(0.5)`,
	"enable_logging to a file":        `select * from enable_logging('QueryLog', storage = 'file', storage_path = 'OUT/log')`,
	"enable_logging to stdout":        `select * from enable_logging(storage = 'stdout')`,
	"disable_logging":                 `from disable_logging()`,
	"truncate_duckdb_logs":            `from truncate_duckdb_logs()`,
	"enable_profiling":                `from enable_profiling()`,
	"enable_peg_parser":               `from enable_peg_parser()`,
	"checkpoint function":             `select * from checkpoint()`,
	"force_checkpoint function":       `select * from force_checkpoint()`,
	"test_all_types":                  `from test_all_types()`,
	"arrow_scan":                      `from arrow_scan(1, 2, 3)`,
	"show databases":                  `show databases`,
	"show all tables":                 `show all tables`,
	"COPY TO":                         `copy (select 1) to 'OUT/x.csv'`,
	"COPY TO parquet":                 `copy benchmark_results to 'OUT/x.parquet' (format parquet)`,
	"COPY FROM":                       `copy _models from '/etc/passwd'`,
	"EXPLAIN ANALYZE COPY":            `explain analyze copy (select 1) to 'OUT/x.csv'`,
	"EXPORT":                          `export database 'OUT/x'`,
	"IMPORT":                          `import database 'OUT/x'`,
	"ATTACH":                          `attach 'OUT/x.duckdb'`,
	"ATTACH memory":                   `attach ':memory:' as m`,
	"DETACH":                          `detach metrics`,
	"INSTALL":                         `install httpfs`,
	"LOAD":                            `load 'OUT/x.so'`,
	"SET":                             `set enable_external_access = true`,
	"SET a log":                       `set log_query_path = 'OUT/log'`,
	"SET VARIABLE":                    `set variable x = 1`,
	"RESET":                           `reset memory_limit`,
	"PRAGMA":                          `pragma enable_profiling`,
	"PRAGMA of a table":               `pragma table_info('_runs')`,
	"CALL":                            `call duckdb_settings()`,
	"CREATE TABLE":                    `create table x (a int)`,
	"CREATE TEMP VIEW":                `create temp view benchmark_results as select 1`,
	"CREATE MACRO":                    `create macro f(x) as x`,
	"CREATE SECRET":                   `create persistent secret s (type s3)`,
	"INSERT":                          `insert into _models (cid) values ('x')`,
	"INSERT RETURNING":                `insert into _models (cid) values ('x') returning *`,
	"INSERT in a CTE":                 `with x as (insert into _models (cid) values ('x') returning *) select * from x`,
	"UPDATE":                          `update _results set error = 'x'`,
	"DELETE":                          `delete from _results`,
	"DROP":                            `drop view benchmark_results`,
	"TRUNCATE":                        `truncate _results`,
	"ALTER":                           `alter table _results add column x int`,
	"MERGE":                           `merge into _models using _models as m on false when not matched then insert values ('x')`,
	"VACUUM":                          `vacuum analyze`,
	"CHECKPOINT":                      `force checkpoint`,
	"BEGIN":                           `begin`,
	"COMMIT":                          `commit`,
	"USE":                             `use memory`,
	"PREPARE":                         `prepare p as select 1`,
	"EXECUTE":                         `execute p`,
	"EXPLAIN":                         `explain select 1`,
	"two statements":                  `select 1; drop view benchmark_results`,
	"two statements, the other first": `drop view benchmark_results; select 1`,
	"two SELECTs":                     `select 1; select 2`,
	"two statements with comments":    "select 1 -- ;\n; /* */ drop view benchmark_results",
	"PIVOT that needs two":            `pivot benchmark_results on model_name using count(*)`,
	"break out of brackets":           `select 1) row_(c0)); drop view benchmark_results; --`,
	"break out by a union":            `select 1) union all (select answer from _runs`,
	"break out by a comment":          `select 1 /*`,
	"break out by a quote":            `select '`,
	"break out by a dollar quote":     `select $$`,
	"NUL":                             "select 1\x00 from _runs",
	"NUL at the end":                  "select 1\x00",
	"nothing":                         ``,
	"a comment":                       `-- select 1`,
	"a semicolon":                     `;`,
	"an argument":                     `select $1`,
	"not SQL":                         `how fast was it?`,
	"too long":                        `select '` + strings.Repeat("x", maxSQL) + `'`,
	"deep lists":                      `select ` + strings.Repeat("[", 900) + strings.Repeat("]", 900),
	"deep list_value":                 `select ` + strings.Repeat("list_value(", 900) + "1" + strings.Repeat(")", 900),
	"deep brackets":                   `select ` + strings.Repeat("(", 30_000) + "1" + strings.Repeat(")", 30_000),
	"deep subqueries":                 strings.Repeat("select (", 3000) + "select 1" + strings.Repeat(")", 3000),
	"deep froms":                      strings.Repeat("from (", 3000) + "select 1" + strings.Repeat(")", 3000),
	"deep nots":                       "select " + strings.Repeat("not ", 15_000) + "true",
	"deep types":                      "select null::int" + strings.Repeat("[]", 20_000),
	"a conversion":                    `select 'x'::int`,
	"an own error":                    `select error('boo')`,
}

func TestSQL_attacks(t *testing.T) {
	db, dir := sqlDB(t)
	out := t.TempDir()
	before := fingerprint(t, dir)
	for name, query := range attacks {
		t.Run(name, func(t *testing.T) {
			query = strings.NewReplacer("OUT", out, "DB", filepath.Join(dir, databaseFile)).Replace(query)
			table, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: query})
			var qe *QueryError
			if !errors.As(err, &qe) {
				t.Fatalf("got %s and error %v; want a QueryError", text(table), err)
			}
			for _, leak := range []string{"root:", dir, "answer-of-another"} {
				if strings.Contains(qe.Message+qe.Hint, leak) && !strings.Contains(query, leak) {
					t.Errorf("%q tells %q", qe.Message+qe.Hint, leak)
				}
			}
		})
	}
	if after := fingerprint(t, dir); after != before {
		t.Errorf("the database was changed:\n%s\nbefore:\n%s", after, before)
	}
	if files, err := os.ReadDir(out); err != nil || len(files) > 0 {
		t.Errorf("written: %v %v", files, err)
	}
	wantSQL(t, db, "select count(*) as n from benchmark_results", `{"n":2}`)
}

// These are no attacks, though some look like it.
var goodQueries = []struct{ query, want string }{
	{`select 1 as a`, `{"a":1}`},
	{"select 1 as a;;\n ", `{"a":1}`},
	{"select 1 as a -- so", `{"a":1}`},
	{`select ';' as a, '--' as b, '/*' as c, $$)$$ as d`, `{"a":";","b":"--","c":"/*","d":")"}`},
	{`from benchmark_results select model_name order by all`, "{\"model_name\":\"a\"}\n{\"model_name\":\"b\"}"},
	{`select count(*) as n from MAIN.Benchmark_Results`, `{"n":2}`},
	{`values (1), (2)`, "{\"col0\":1}\n{\"col0\":2}"},
	{`select b.model_name, count(i.id) as n from benchmark_results b left join inferences i using (model_name) group by all order by 1`, "{\"model_name\":\"a\",\"n\":1}\n{\"model_name\":\"b\",\"n\":0}"},
	{`select model_name, sum(inference_time) over (order by model_name) as s from benchmark_results qualify row_number() over (order by model_name) = 2`, `{"model_name":"b","s":6.5}`},
	{`pivot benchmark_results on model_name in ('a', 'b') using avg(inference_time) group by device`, `{"device":"cpu","a":2.0,"b":4.5}`},
	{`unpivot (select 1 as a, 2 as b) on a, b order by all`, "{\"name\":\"a\",\"value\":1}\n{\"name\":\"b\",\"value\":2}"},
	{`select count(*) as n from benchmark_results b asof join inferences i on b.model_name = i.model_name and b.timestamp >= i.timestamp`, `{"n":1}`},
	{`select quantile_cont(latency_ms, [0.5, 0.99]) as q, mad(latency_ms) as m from samples where model_name = 'a'`, `{"q":[2.0,2.98],"m":1.0}`},
	{`with _runs as (select 1 as x), "/etc/passwd" as (select x + 1 as x from _runs) select x from "/etc/passwd"`, `{"x":2}`},
	{`with benchmark_results as (select count(*) as n from benchmark_results) select n from benchmark_results`, `{"n":2}`},
	{`with A as materialized (select 1 as x) select * from a`, `{"x":1}`},
	{`with recursive r as (select 1 as n union all select n + 1 from r where n < 3) select max(n) as m from r`, `{"m":3}`},
	{`with a as (select 1 as x) select (select max(x) from a) as m, exists (from a) as e`, `{"m":1,"e":true}`},
	{`with a as (select 1 as x) (select * from a union all select 2) order by x desc limit 1`, `{"x":2}`},
	{`select x.l from benchmark_results b, lateral (select len(b.model_name) as l) x where model_name = 'a'`, `{"l":1}`},
	{`select unnest([1, 2]) as a`, "{\"a\":1}\n{\"a\":2}"},
	{`select generate_series as g from generate_series(1, 2)`, "{\"g\":1}\n{\"g\":2}"},
	{`select key, value from json_each('{"a":1}')`, `{"key":"a","value":1}`},
	{`select metadata->>'threads' as t from benchmark_results limit 1`, `{"t":"2"}`},
	{`select list_transform([1, 2], lambda x: x + 1) as l`, `{"l":[2,3]}`},
	{`select time_bucket(interval 1 day, timestamp) as d, count(*) as n from benchmark_results group by 1`, `{"d":"2026-03-04T00:00:00.000000Z","n":2}`},
	{`select timestamp::varchar as t from inferences`, `{"t":"2026-03-04 10:00:00.123456+00"}`},
	{`select column_name from (describe benchmark_results) limit 1`, `{"column_name":"id"}`},
	{`summarize select 1 as a`, ""},
	{`describe benchmark_results`, ""},
	{`show tables`, ""},
	{`select 1 where false`, ""},
	{`select * from benchmark_results tablesample 100%`, ""},
	{`select random() < 1 as r`, `{"r":true}`},
	{`select histogram(batch_size) as h, approx_quantile(batch_size, 0.5) as q from benchmark_results`, `{"h":{"1":2},"q":1}`},
}

func TestSQL_goodQueries(t *testing.T) {
	db, _ := sqlDB(t)
	for _, c := range goodQueries {
		table, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: c.query})
		if got := text(table); err != nil || c.want != "" && got != c.want {
			t.Errorf("%s\n got: %s, error %v\nwant: %s", c.query, got, err, c.want)
		}
	}
}

// Whoever made a mistake is told what is there.
func TestSQL_hints(t *testing.T) {
	db, _ := sqlDB(t)
	for query, want := range map[string]QueryError{
		`select * from benchmark_result`:          {Message: `there is no view "benchmark_result"`, Hint: `did you mean "benchmark_results"?`},
		`select * from weather`:                   {Message: `there is no view "weather"`, Hint: "use the views that are there"},
		`select modelname from benchmark_results`: {Message: `Referenced column "modelname" not found`, Hint: `"model_name"`},
		`select b.nam from benchmark_results b`:   {Message: `does not have a column named "nam"`, Hint: `DESCRIBE`},
		`select meidan(1)`:                        {Message: `Scalar Function with name meidan does not exist`, Hint: `"median"`},
		`selec 1`:                                 {Message: `syntax error at or near "selec"`, Hint: "SELECT"},
	} {
		_, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: query})
		var qe *QueryError
		if !errors.As(err, &qe) || !strings.Contains(qe.Message, want.Message) || !strings.Contains(qe.Hint, want.Hint) || strings.Contains(qe.Message, "\n") {
			t.Errorf("%s: %+v", query, err)
		}
		if strings.Contains(qe.Message, "no view") && len(qe.ValidValues) != len(Views) {
			t.Errorf("%s: valid values %q", query, qe.ValidValues)
		}
	}
}

// A later DuckDB may bring functions that change something or wait. Each that
// is not the same whenever it is called must be known here.
func TestSQL_knowsVolatileFunctions(t *testing.T) {
	harmless := map[string]bool{
		"current_connection_id": true, "current_query": true, "current_query_id": true, "current_transaction_id": true, "error": true,
		"gen_random_uuid": true, "random": true, "stats": true, "uuid": true, "uuidv4": true, "uuidv7": true,
	}
	for _, f := range deniedFunctions {
		harmless[f] = true
	}
	rows, err := rawDB(t, "").QueryContext(t.Context(), "select distinct function_name from duckdb_functions() where has_side_effects or stability = 'VOLATILE'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if !harmless[name] {
			t.Errorf("%s: is it harmless?", name)
		}
	}
	if err := rows.Err(); err != nil || n < 10 {
		t.Errorf("%d volatile functions, error %v", n, err)
	}
}
