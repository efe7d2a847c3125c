//go:build cgo && unix

package benchdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A value of any type is valid JSON.
func TestTable_values(t *testing.T) {
	db := openDB(t, t.TempDir())
	for _, c := range []struct{ expr, kind, want string }{
		{"170141183460469231731687303715884105727::hugeint", "hugeint", "170141183460469231731687303715884105727"},
		{"sum(9007199254740993)", "hugeint", "9007199254740993"},
		{"1.50::decimal(10, 2)", "decimal(10,2)", "1.5"},
		{"'NaN'::double", "double", "null"},
		{"'-inf'::float", "float", "null"},
		{"['NaN'::double, 1, 'inf'::double]", "double[]", "[null,1.0,null]"},
		{"{'a': 'NaN'::double, 'NaN': ':NaN'}", "", `{"a":null,"NaN":":NaN"}`},
		{`'"NaN\": [Infinity'`, "varchar", `"\"NaN\\\": [Infinity"`},
		{`'[NaN, -Infinity, {"a\"NaN": NaN}]'::json`, "json", `[null,null,{"a\"NaN":null}]`},
		{"interval 3 days", "interval", `"3 days"`},
		{"map {'a': 1}", "", `{"a":1}`},
		{"map {1.5: null}", "", `{"1.5":null}`},
		{"'e53dce88-8769-4e23-8fb1-98647359c73d'::uuid", "uuid", `"e53dce88-8769-4e23-8fb1-98647359c73d"`},
		{`'{"x": [1]}'::json`, "json", `{"x":[1]}`},
		{`'\xff\x00'::blob`, "blob", `"\\xFF\\x00"`},
		{"'101'::bit", "bit", `"101"`},
		{"date '2026-01-01'", "date", `"2026-01-01"`},
		{"timestamptz '2026-01-01 00:00:00+02'", "timestamptz", `"2025-12-31T22:00:00.000000Z"`},
		{"timestamptz 'infinity'", "timestamptz", `"infinity"`},
		{"null::timestamptz", "timestamptz", "null"},
		{"timestamp '2026-01-01 00:00:00'", "timestamp", `"2026-01-01 00:00:00"`},
		{"union_value(num := 2)", "", `{"num":2}`},
		{"'b'::enum('a', 'b')", "", `"b"`},
		{"-0.0::double", "double", "-0.0"},
		{"1e300", "double", "1e300"},
		{"chr(0)", "varchar", `"\u0000"`},
		{"null", "", "null"},
	} {
		table := ask(t, db, Query{Report: ReportSQL, SQL: "select " + c.expr + " as v"})
		if got, want := text(table), `{"v":`+c.want+`}`; got != want {
			t.Errorf("%s\n got: %s\nwant: %s", c.expr, got, want)
		}
		if kind := table.Columns[0].Type; c.kind != "" && kind != c.kind {
			t.Errorf("%s is of type %s; want %s", c.expr, kind, c.kind)
		}
	}
}

// A column may be called anything, and two may be called the same.
func TestTable_columnNames(t *testing.T) {
	db := openDB(t, t.TempDir())
	for query, want := range map[string]string{
		`select 1 as "it's", 2 as """", 3 as "é"`: `{"it's":1,"\"":2,"é":3}`,
		`select 1 as row_, 2 as c0, 3 as t`:       `{"row_":1,"c0":2,"t":3}`,
		`select 1 as a, 2 as a, 3 as "A"`:         `{"a":1,"a_1":2,"A_2":3}`,
		`select 1, 'x'`:                           `{"1":1,"'x'":"x"}`,
	} {
		table := ask(t, db, Query{Report: ReportSQL, SQL: query})
		if got := text(table); got != want {
			t.Errorf("%s\n got: %s\nwant: %s", query, got, want)
		}
		var row map[string]any
		if err := json.Unmarshal(table.Rows[0], &row); err != nil || len(row) != len(table.Columns) {
			t.Errorf("%s has columns %v, error %v", query, table.Columns, err)
		}
	}
}

func TestQuery_limits(t *testing.T) {
	db := openDB(t, t.TempDir())
	for limit, want := range map[int]struct {
		rows      int
		truncated bool
	}{0: {20, true}, 1: {1, true}, 29: {29, true}, 30: {30, false}, 31: {30, false}, 1000: {30, false}} {
		table := ask(t, db, Query{Report: ReportSQL, SQL: "from range(30) t(i) order by i", Limit: limit})
		if len(table.Rows) != want.rows || table.Truncated != want.truncated || table.Total != -1 {
			t.Errorf("limit %d: %d rows, truncated %v", limit, len(table.Rows), table.Truncated)
		}
	}
	wide := "from range(1000) t(i) select repeat('x', 10000) as x"
	if table := ask(t, db, Query{Report: ReportSQL, SQL: wide, Limit: 1000}); !table.Truncated || len(table.Rows) != maxTable/10008 {
		t.Errorf("%d wide rows, truncated %v", len(table.Rows), table.Truncated)
	}
	var qe *QueryError
	for name, q := range map[string]Query{
		"limit below":    {Report: ReportRuns, Limit: -1},
		"limit beyond":   {Report: ReportRuns, Limit: maxLimit + 1},
		"unknown report": {Report: "secrets"},
		"no report":      {},
		"long field":     {Report: ReportRuns, Model: strings.Repeat("x", 1<<20)},
		"a huge row":     {Report: ReportSQL, SQL: "select repeat('x', 5000000) as x"},
	} {
		if table, err := db.Query(t.Context(), q); !errors.As(err, &qe) {
			t.Errorf("%s: %s, error %v; want a QueryError", name, text(table), err)
		}
	}
}

// What a query may name in its fields is data, never SQL.
func TestQuery_fieldsAreData(t *testing.T) {
	db := openDB(t, t.TempDir())
	record(t, db, Batch{Inferences: []Inference{inference("it's")}, Results: []Result{result("it's", 1)}})
	const evil = `' or 1 = 1; drop view models; --`
	for _, r := range []Report{ReportRuns, ReportRun, ReportPercentiles} {
		if table := ask(t, db, Query{Report: r, RunID: evil, Model: evil, Device: evil, Workload: evil}); len(table.Rows) != 0 {
			t.Errorf("%s: %s", r, text(table))
		}
	}
	if table := ask(t, db, Query{Report: ReportPercentiles, Model: "it's"}); len(table.Rows) != 1 {
		t.Errorf("%s", text(table))
	}
}

// runRow is a row of report runs.
type runRow struct {
	ID       string   `json:"run_id"`
	Kind     string   `json:"kind"`
	Status   Status   `json:"status"`
	Started  string   `json:"started_at"`
	Model    string   `json:"model"`
	Device   string   `json:"device"`
	Workload string   `json:"workload"`
	TotalMS  *float64 `json:"total_ms"`
	Error    *string  `json:"error"`
}

func runRows(t testing.TB, table Table) []runRow {
	t.Helper()
	out := make([]runRow, len(table.Rows))
	for i, r := range table.Rows {
		if err := json.Unmarshal(r, &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestRuns_allKinds(t *testing.T) {
	db := openDB(t, t.TempDir())
	bench, failed := result("m", 1), inference("other")
	second := result("m", 2)
	second.RunID, second.Device, second.HardwareType, second.Workload = bench.RunID, "cuda:0", "cuda", "offline"
	failed.Error, failed.Timestamp = "deadline", noon.Add(time.Minute)
	fetch := Fetch{ID: newID(), Timestamp: noon.Add(2 * time.Minute), ModelName: "m", ModelCID: "bafym", TotalMS: 3.25}
	long := inference("m") // announced, for it took long
	announced := run1(long.ID, Running, noon.Add(3*time.Minute))
	announced.Kind, announced.StartedAt = "inference", announced.At
	over := announced
	over.Status, over.At, over.Answer = Completed, announced.At.Add(-time.Hour), json.RawMessage(`{"a":1}`) // the clock was set
	record(t, db, Batch{
		Runs:    []Run{run1(bench.RunID, Running, noon), run1(bench.RunID, Completed, noon.Add(1500*time.Microsecond)), announced, over},
		Results: []Result{bench, second}, Inferences: []Inference{failed, long}, Fetches: []Fetch{fetch},
	})
	table := ask(t, db, Query{Report: ReportRuns})
	got := runRows(t, table)
	if len(got) != 4 || table.Total != 4 || table.Truncated || table.NextCursor != "" {
		t.Fatalf("%d of %d runs: %s", len(got), table.Total, text(table))
	}
	if r := got[0]; r.ID != long.ID || r.Status != Completed || r.Kind != "inference" || r.Device != "cpu" {
		t.Errorf("announced inference: %+v", r)
	}
	if r := got[1]; r.ID != fetch.ID || r.Kind != "fetch" || r.Status != Completed || *r.TotalMS != 3.25 {
		t.Errorf("fetch: %+v", r)
	}
	if r := got[2]; r.ID != failed.ID || r.Status != Failed || *r.Error != "deadline" || r.Model != "other" {
		t.Errorf("failed inference: %+v", r)
	}
	if r := got[3]; r.ID != bench.RunID || r.Status != Completed || *r.TotalMS != 1.5 || r.Device != "cpu, cuda:0" || r.Workload != "latency, offline" || r.Started != "2026-03-04T10:00:00.123456Z" {
		t.Errorf("benchmark: %+v", r)
	}
	for want, q := range map[string]Query{
		bench.RunID:                 {Device: "cuda:0", Workload: "offline"},
		"":                          {Model: "m", Workload: "cold_start"},
		failed.ID:                   {Model: "bafyother"},
		long.ID + " " + fetch.ID:    {Since: noon.Add(2 * time.Minute)},
		long.ID + " " + bench.RunID: {Device: "cpu", Model: "m"},
		bench.RunID + " ":           {Device: "cuda", Since: noon.Add(-time.Second), RunID: "not a filter of runs"},
	} {
		q.Report = ReportRuns
		table := ask(t, db, q)
		var ids []string
		for _, r := range runRows(t, table) {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); got != strings.TrimSpace(want) || int(table.Total) != len(ids) {
			t.Errorf("%+v\n got: %s (%d)\nwant: %s", q, got, table.Total, want)
		}
	}
}

func TestRun_answer(t *testing.T) {
	db := openDB(t, t.TempDir())
	id, short := newID(), inference("m")
	start, end := run1(id, Running, noon), run1(id, Failed, time.Now())
	end.Answer, end.Error = json.RawMessage(`{"results":[1,2]}`), "deadline"
	record(t, db, Batch{Runs: []Run{start, end}, Inferences: []Inference{short}})
	var r Run
	table := ask(t, db, Query{Report: ReportRun, RunID: id})
	if err := json.Unmarshal(table.Rows[0], &r); err != nil {
		t.Fatal(err)
	}
	if r.ID != id || r.Status != Failed || string(r.Answer) != `{"results":[1,2]}` || r.Error != "deadline" || !r.StartedAt.Equal(noon.Truncate(time.Microsecond)) {
		t.Errorf("got %+v", r)
	}
	table = ask(t, db, Query{Report: ReportRun, RunID: short.ID})
	if err := json.Unmarshal(table.Rows[0], &r); err != nil {
		t.Fatal(err)
	}
	if r.ID != short.ID || r.Status != Completed || !strings.Contains(string(r.Answer), `"total_ms":21`) {
		t.Errorf("got %+v", r)
	}
	if table := ask(t, db, Query{Report: ReportRun, RunID: newID()}); len(table.Rows) != 0 {
		t.Errorf("an unknown run: %s", text(table))
	}
}

// Pages have no gaps and nothing twice, though new runs keep coming.
func TestRuns_pages(t *testing.T) {
	db := openDB(t, t.TempDir())
	var want []string
	for i := range 23 {
		r := inference("m")
		r.Timestamp = noon.Add(time.Duration(i/3) * time.Second) // three at a time
		record(t, db, Batch{Inferences: []Inference{r}})
		want = append(want, r.ID)
	}
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(b, a) }) // ids sort by time, as runs do here
	var got []string
	q := Query{Report: ReportRuns, Limit: 5}
	for page := 0; ; page++ {
		table := ask(t, db, q)
		for _, r := range runRows(t, table) {
			got = append(got, r.ID)
		}
		if table.Total != int64(len(want)+page) {
			t.Errorf("page %d: total %d", page, table.Total)
		}
		if table.NextCursor == "" {
			break
		}
		q.Cursor = table.NextCursor
		r := inference("new")
		r.Timestamp = noon.Add(time.Hour)
		record(t, db, Batch{Inferences: []Inference{r}})
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d runs %v\nwant %v", len(got), got, want)
	}
}

func TestRuns_badCursor(t *testing.T) {
	db := openDB(t, t.TempDir())
	for _, c := range []string{"x", "%", "MjAyNi0wMy0wNHw", "MjAyNi16ei0wMVQ", strings.Repeat("A", 1<<20)} {
		if _, err := db.Query(t.Context(), Query{Report: ReportRuns, Cursor: c}); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%.20s: got error %v; want ErrBadCursor", c, err)
		}
	}
}

func TestPercentiles(t *testing.T) {
	db := openDB(t, t.TempDir())
	var many []float64
	for i := range 500 {
		many = append(many, float64((i*7919)%1000))
	}
	a1, a2, b, failed, empty := result("a", many...), result("a", many...), result("b", 1, 2), result("b", 100), result("c")
	a2.Throughput, b.Device, b.HardwareType, failed.Error, empty.Throughput = 20, "cuda:0", "cuda", "out_of_memory", 0
	record(t, db, Batch{Results: []Result{a1, a2, b, failed, empty}})
	table := ask(t, db, Query{Report: ReportPercentiles})
	var got []percentileRow
	if err := json.Unmarshal([]byte("["+strings.ReplaceAll(text(table), "\n", ",")+"]"), &got); err != nil {
		t.Fatal(err)
	}
	sum := Summarize(append(many, many...)).Rounded()
	if len(got) != 3 || got[0].Runs != 2 || got[0].Samples != 1000 || *got[0].Throughput != 15 || *got[0].P50 != sum.P50 || *got[0].P99 != *sum.P99 || *got[0].Low != sum.P50CI95[0] {
		t.Fatalf("got %s; want %+v", text(table), sum)
	}
	if r := got[1]; r.Model != "b" || r.Runs != 1 || r.Samples != 2 || *r.Mean != 1.5 || r.P90 != nil || r.Low != nil {
		t.Errorf("two samples: %+v", r)
	}
	if r := got[2]; r.Samples != 0 || r.Mean != nil || r.P50 != nil || r.Throughput != nil {
		t.Errorf("no samples: %+v", r)
	}
	var row map[string]any
	if err := json.Unmarshal(table.Rows[0], &row); err != nil || len(row) != len(table.Columns) || table.Columns[9] != (Column{"p50_ms", "double", "ms"}) {
		t.Errorf("columns %v, error %v", table.Columns, err)
	}
	if table := ask(t, db, Query{Report: ReportPercentiles, Limit: 1}); len(table.Rows) != 1 || !table.Truncated {
		t.Errorf("limit 1: %s", text(table))
	}
	for want, q := range map[int]Query{0: {Workload: "offline"}, 1: {Device: "cuda:0"}, 2: {Device: "cpu", Since: noon, Workload: "latency"}} {
		q.Report = ReportPercentiles
		if table := ask(t, db, q); len(table.Rows) != want {
			t.Errorf("%+v: %s", q, text(table))
		}
	}
}

// Of many samples the newest are summarised.
func TestPercentiles_many(t *testing.T) {
	db := openDB(t, t.TempDir())
	r := seeded(t)
	for range 30 {
		var xs []float64
		for range 10_000 {
			xs = append(xs, r.ExpFloat64())
		}
		record(t, db, Batch{Results: []Result{result("m", xs...)}})
	}
	var got percentileRow
	if err := json.Unmarshal(ask(t, db, Query{Report: ReportPercentiles}).Rows[0], &got); err != nil {
		t.Fatal(err)
	}
	if got.Runs != 1 || got.Samples != 10_000 || *got.P50 < 0.66 || *got.P50 > 0.73 || *got.P99 < 4 {
		t.Errorf("got %+v", got)
	}
}

func TestQuery_timeout(t *testing.T) {
	db := openDB(t, t.TempDir())
	db.o.QueryTimeout = 300 * time.Millisecond
	if _, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: "select count(*) from range(100000) a, range(100000) b, range(100000) c"}); !errors.Is(err, ErrQueryTimeout) {
		t.Errorf("got error %v; want ErrQueryTimeout", err)
	}
	db.o.QueryTimeout = time.Minute
	wantSQL(t, db, "select 1 as n", `{"n":1}`)
}

func TestQuery_noWorker(t *testing.T) {
	for name, command := range map[string][]string{"none": nil, "missing": {"no-such-program"}, "missing path": {"/no/such/program"}} {
		db, err := Open(t.TempDir(), Options{Command: command})
		if err != nil {
			t.Fatal(err)
		}
		record(t, db, Batch{Inferences: []Inference{inference("m")}})
		if _, err := db.Query(t.Context(), Query{Report: ReportRuns}); !errors.Is(err, ErrNativeMissing) {
			t.Errorf("%s: got error %v; want ErrNativeMissing", name, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, command := range map[string][]string{"ends": {"true"}, "babbles": {"sh", "-c", "yes >&3"}, "lies": {"sh", "-c", "echo '[]' >&3"}} {
		db, err := Open(t.TempDir(), Options{Command: command})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Query(t.Context(), Query{Report: ReportRuns}); !errors.Is(err, errWorker) {
			t.Errorf("a worker that %s: got error %v", name, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Queries of one DB share a few workers; one that waits can be given up.
func TestQuery_atOnce(t *testing.T) {
	db := openDB(t, t.TempDir())
	record(t, db, Batch{Inferences: []Inference{inference("m")}})
	errs := make(chan error)
	for i := range 3 * maxQueries {
		go func() {
			table, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: fmt.Sprintf("select %d as i, count(*) as n from inferences", i)})
			if want := fmt.Sprintf(`{"i":%d,"n":1}`, i); err == nil && text(table) != want {
				err = fmt.Errorf("got %s; want %s", text(table), want)
			}
			errs <- err
		}()
	}
	for range 3 * maxQueries {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
