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

// objectsOf are the rows of a table as maps.
func objectsOf(t testing.TB, table Table) []map[string]any {
	t.Helper()
	out := make([]map[string]any, len(table.Rows))
	for i, r := range table.Rows {
		if err := json.Unmarshal(r, &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// reported is a database in which every report finds something.
func reported(t *testing.T) *DB {
	t.Helper()
	db := openDB(t, t.TempDir())
	good, bad := result("a", 1, 2, 3), result("b")
	good.Measures = Measures{DurationMS: new(2000.0), Joules: new(4.0), Noisy: new(false), LoadBefore: new(0.0)}
	good.SoftwareID, good.Threads = "s1", 2
	bad.Error, bad.Device, bad.HardwareType = "out_of_memory", "cuda:0", "cuda"
	ok, failed := inference("a"), inference("b")
	failed.Error = "deadline"
	failed.Joules = new(0.5)
	record(t, db, Batch{
		Results: []Result{good, bad}, Inferences: []Inference{ok, failed},
		Fetches:   []Fetch{{ID: newID(), Timestamp: noon, ModelName: "a", ModelCID: "bafya", Bytes: 7, Level: "L4", TotalMS: 9, Source: "gateway"}},
		Platforms: []Platform{{ID: newID(), Timestamp: noon, Environment: "e1", Platform: "rocm", Reason: "no driver"}},
		Models:    []Model{{CID: "bafya", Timestamp: noon, Name: "a", Bytes: 5}},
		Runs:      []Run{run1(good.RunID, Running, noon), run1(good.RunID, Completed, noon)},
		TimeSeries: []TimeSeries{{
			ID: newID(), Timestamp: noon, RunID: good.RunID, ResultID: good.ID, Name: "memory_bytes", Unit: "bytes", Offsets: []float64{0, 100}, Values: []float64{5, 6},
		}},
		Plans: []Plan{
			{Timestamp: noon, ModelCID: "bafya", Device: "cpu", MachineID: "e1", Threads: 1, BatchSize: 1, Precision: "fp32", RunID: good.RunID},
			{Timestamp: noon.Add(time.Hour), ModelCID: "bafya", Device: "cpu", MachineID: "e1", Threads: 2, BatchSize: 8, Figures: json.RawMessage(`{"p50_ms":2}`)},
		},
		Receipts: []Receipt{{ID: newID(), Timestamp: noon, RunID: ok.ID, Role: "asked", Peer: "12D3", ModelCID: "bafya", InputSHA256: "aa", OutputSHA256: "bb", Signature: "cc"}},
	})
	return db
}

func TestReports_everyOne(t *testing.T) {
	db := reported(t)
	for report, want := range map[Report]struct {
		rows    int
		columns map[string]any // of the first row
	}{
		ReportHistory:    {2, map[string]any{"model": "b", "error": "out_of_memory", "p50_ms": nil, "joules": nil, "throughput_per_s": 10.0}},
		ReportInferences: {2, map[string]any{"model": "b", "error": "deadline", "total_ms": 21.0, "joules": 0.5}},
		ReportFetches:    {1, map[string]any{"model": "a", "bytes": 7.0, "source": "gateway", "error": nil}},
		ReportErrors:     {2, map[string]any{"kind": "inference", "error": "deadline", "workload": nil}},
		ReportDevices:    {3, map[string]any{"device": "cpu", "results": 1.0, "inferences": 2.0, "errors": 1.0, "present": nil}},
		ReportModels:     {2, map[string]any{"model_name": "a", "bytes": 5.0, "results": 1.0, "inferences": 1.0}},
		ReportCost:       {4, map[string]any{"model": "a", "device": "", "seconds": 0.009, "bytes": 7.0, "joules": nil}},
		ReportSchema:     {20, map[string]any{"view": "benchmark_results", "column": "id", "type": "varchar"}},
	} {
		table := ask(t, db, Query{Report: report})
		rows := objectsOf(t, table)
		if len(rows) != want.rows {
			t.Errorf("%s: %d rows; want %d\n%s", report, len(rows), want.rows, text(table))
			continue
		}
		for name, value := range want.columns {
			if got, ok := rows[0][name]; !ok || got != value {
				t.Errorf("%s: %s is %v; want %v\n%s", report, name, got, value, table.Rows[0])
			}
		}
		for _, c := range table.Columns {
			if strings.HasSuffix(c.Name, "_ms") && c.Unit != "ms" || slices.Contains([]string{"bytes", "joules", "seconds"}, c.Name) && c.Unit == "" {
				t.Errorf("%s: column %+v lacks a unit", report, c)
			}
		}
	}
	cost := objectsOf(t, ask(t, db, Query{Report: ReportCost, Model: "bafya", Device: "cpu"}))
	if len(cost) != 1 || cost[0]["seconds"] != 2.021 || cost[0]["joules"] != 4.0 || cost[0]["bytes"] != nil || cost[0]["calls"] != 2.0 {
		t.Errorf("cost %v", cost)
	}
}

func TestReports_filters(t *testing.T) {
	db := reported(t)
	for _, c := range []struct {
		q    Query
		want int
	}{
		{Query{Report: ReportHistory, Device: "cuda"}, 1},
		{Query{Report: ReportHistory, Workload: "offline"}, 0},
		{Query{Report: ReportInferences, Model: "bafyb"}, 1},
		{Query{Report: ReportInferences, Since: noon.Add(time.Second)}, 0},
		{Query{Report: ReportFetches, Model: "b"}, 0},
		{Query{Report: ReportErrors, Device: "cuda:0"}, 1},
		{Query{Report: ReportDevices, Device: "rocm"}, 1},
		{Query{Report: ReportModels, Model: "b"}, 1},
		{Query{Report: ReportCost, Device: "cuda"}, 1},
	} {
		if table := ask(t, db, c.q); len(table.Rows) != c.want {
			t.Errorf("%+v: %d rows; want %d\n%s", c.q, len(table.Rows), c.want, text(table))
		}
	}
}

// Every report that has pages gives the same rows in small ones, in the same
// order.
func TestReports_pages(t *testing.T) {
	db := reported(t)
	for i := range 7 {
		r, inf := result(fmt.Sprint("m", i%3), 1), inference(fmt.Sprint("m", i%3))
		r.Device, inf.Error = fmt.Sprint("cpu", i), "deadline"
		record(t, db, Batch{Results: []Result{r}, Inferences: []Inference{inf}, Fetches: []Fetch{{ID: newID(), Timestamp: noon, Error: "x"}}})
	}
	for _, report := range reportNames() {
		if report == string(ReportRun) || report == string(ReportCompare) {
			continue
		}
		want := text(ask(t, db, Query{Report: Report(report), Limit: maxLimit}))
		var got []string
		for q := (Query{Report: Report(report), Limit: 3}); ; {
			table := ask(t, db, q)
			got = append(got, text(table))
			if q.Cursor = table.NextCursor; q.Cursor == "" {
				break
			}
		}
		if all := strings.Join(got, "\n"); all != want {
			t.Errorf("%s\n got: %s\nwant: %s", report, all, want)
		}
	}
}

func TestReports_views(t *testing.T) {
	db := reported(t)
	wantSQL(t, db, "select n, offset_ms, name, value, unit from time_series order by n",
		`{"n":1,"offset_ms":0.0,"name":"memory_bytes","value":5.0,"unit":"bytes"}
{"n":2,"offset_ms":100.0,"name":"memory_bytes","value":6.0,"unit":"bytes"}`)
	wantSQL(t, db, "select threads, batch_size, figures from plans", `{"threads":2,"batch_size":8,"figures":{"p50_ms":2}}`)
	wantSQL(t, db, "select role, peer, input_sha256, total_ms from receipts", `{"role":"asked","peer":"12D3","input_sha256":"aa","total_ms":null}`)
	wantSQL(t, db, "select joules, noisy, load_before, load_after, software_id from benchmark_results order by model_name",
		`{"joules":4.0,"noisy":false,"load_before":0.0,"load_after":null,"software_id":"s1"}
{"joules":null,"noisy":null,"load_before":null,"load_after":null,"software_id":null}`)
}

func TestCompare_report(t *testing.T) {
	db := openDB(t, t.TempDir())
	runs := map[string][]string{}
	add := func(software string, factor float64, change func(*Result)) {
		for i := range 6 {
			x := factor * (1 + float64(i)/100)
			r := result("m", x, x, x)
			r.SoftwareID = software
			change(&r)
			record(t, db, Batch{Results: []Result{r}})
			runs[software] = append(runs[software], r.RunID)
		}
	}
	add("old", 10, func(*Result) {})
	add("new", 20, func(*Result) {})
	add("new", 3, func(r *Result) { r.Environment, r.Device = "e2", "cuda:0" })
	table := ask(t, db, Query{Report: ReportCompare})
	rows := objectsOf(t, table)
	if len(rows) != 1 || rows[0]["verdict"] != "slower" || rows[0]["baseline_software_id"] != "old" || rows[0]["candidate_runs"] != 6.0 || len(rows[0]) != len(table.Columns) {
		t.Errorf("software: %s", text(table))
	}
	table = ask(t, db, Query{Report: ReportCompare, RunID: runs["new"][0], Baseline: runs["old"][0]})
	if c := table.Comparison; c == nil || c.Verdict != Slower || c.BaselineRuns != 6 || *c.Change < 0.9 || *c.Change > 1.1 {
		t.Errorf("runs: %s", text(table))
	}
	table = ask(t, db, Query{Report: ReportCompare, RunID: runs["old"][1], Baseline: runs["old"][0]})
	if c := table.Comparison; c == nil || c.Verdict != Insufficient || c.CandidateRuns != 1 {
		t.Errorf("two runs of one software: %s", text(table))
	}
	var qe *QueryError
	for name, q := range map[string]Query{"one run": {RunID: runs["old"][0]}, "an unknown run": {RunID: runs["old"][0], Baseline: newID()}} {
		q.Report = ReportCompare
		if _, err := db.Query(t.Context(), q); !errors.As(err, &qe) {
			t.Errorf("%s: error %v; want a QueryError", name, err)
		}
	}
}

// The clock is set back an hour while a run goes on and before the next:
// durations and order stay.
func TestRuns_clockSetBack(t *testing.T) {
	db := openDB(t, t.TempDir())
	id, next := newID(), newID()
	c := clock{}
	read := func(passed time.Duration) time.Time { // what Record makes of a reading
		wall := noon.Add(passed)
		if passed >= 2*time.Second {
			wall = wall.Add(-time.Hour)
		}
		return c.at(wall, passed)
	}
	at := func(passed time.Duration, status Status) Run {
		r := run1(id, status, read(passed))
		r.StartedAt, r.ElapsedMS, r.Done = noon, new(float64(passed.Milliseconds())), int64(passed.Seconds())
		return r
	}
	start, one, two := at(0, Running), at(time.Second, Running), at(2*time.Second, Running)
	wrong := at(1500*time.Millisecond, Running)
	wrong.At, wrong.Done = noon.Add(time.Hour), 77 // of a process that did not know
	record(t, db, Batch{Runs: []Run{start, one, two, wrong}})
	var r Run
	if err := json.Unmarshal(ask(t, db, Query{Report: ReportRun, RunID: id}).Rows[0], &r); err != nil || r.Done != 2 {
		t.Errorf("progress %d, error %v; want the last", r.Done, err)
	}
	done := at(3*time.Second, Completed)
	second := run1(next, Running, read(4*time.Second))
	second.StartedAt = second.At
	i := inference("m")
	i.Timestamp = read(5 * time.Second)
	record(t, db, Batch{Runs: []Run{done, second}, Inferences: []Inference{i}})
	got := runRows(t, ask(t, db, Query{Report: ReportRuns}))
	if len(got) != 3 || got[0].ID != i.ID || got[1].ID != next || got[2].ID != id || got[2].TotalMS == nil || *got[2].TotalMS != 3000 {
		t.Errorf("got %+v", got)
	}
}

func TestClock(t *testing.T) {
	c := clock{}
	last := time.Time{}
	for i, wall := range []time.Duration{0, 1, 2, 3 + 100, 4 + 100, 5 - 3600, 6 - 3600, 7 + 3600} {
		now := c.at(noon.Add(wall*time.Second), time.Duration(i)*time.Second)
		if !now.After(last) || i > 0 && now.Sub(last) < time.Second {
			t.Errorf("%d: %v after %v", i, now, last)
		}
		last = now
	}
	if want := noon.Add((7 + 3600) * time.Second); !last.Equal(want) {
		t.Errorf("set forward: %v; want %v", last, want)
	}
	now := time.Now()
	normalize(&now)
	if d := time.Since(now); d < 0 || d > time.Minute {
		t.Errorf("now was %v ago", d)
	}
}

// Record takes the duration from the monotonic clock that time.Now reads.
func TestRecord_elapsed(t *testing.T) {
	db := openDB(t, t.TempDir())
	start := time.Now()
	r := run1(newID(), Completed, start.Add(1500*time.Microsecond))
	r.StartedAt = start
	wall := r
	wall.ID, wall.StartedAt = newID(), start.Round(0)
	record(t, db, Batch{Runs: []Run{r, wall}})
	wantSQL(t, db, "select elapsed_ms from events order by elapsed_ms nulls last", `{"elapsed_ms":1.5}
{"elapsed_ms":null}`)
}
