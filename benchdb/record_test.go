//go:build cgo && unix

package benchdb

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRecord_everyKind(t *testing.T) {
	db := openDB(t, t.TempDir())
	r, i := result("m", 3, 1, 2), inference("m")
	f := Fetch{ID: newID(), Timestamp: noon, ModelName: "m", ModelCID: "bafym", Bytes: 7, Level: "L4", TotalMS: 9, Environment: "e1"}
	p := Platform{ID: newID(), Timestamp: noon, Environment: "e1", Platform: "cuda", Present: true, Device: "X", Reason: "no driver"}
	record(t, db, Batch{
		Results: []Result{r}, Inferences: []Inference{i}, Fetches: []Fetch{f}, Platforms: []Platform{p},
		Environments: []Environment{{ID: "e1", Timestamp: noon, Info: json.RawMessage(`{"os":"linux"}`)}},
		Models:       []Model{{CID: "bafym", Timestamp: noon, Name: "m", Task: "t", Bytes: 5, License: "MIT"}},
		Runs:         []Run{run1(r.RunID, Running, noon)},
	})
	const at = `"2026-03-04T10:00:00.123456Z"` // UTC, to the microsecond
	wantSQL(t, db, "select * replace (round(p90_ms, 3) as p90_ms) from benchmark_results", `{"id":"`+r.ID+`","timestamp":`+at+`,"model_name":"m","hardware_type":"cpu",`+
		`"inference_time":2.0,"throughput":10.0,"memory_usage":null,"accuracy_score":null,"metadata":{"threads":2},"run_id":"`+r.RunID+`",`+
		`"model_cid":"bafym","task":"feature-extraction","workload":"latency","device":"cpu","precision":"fp32","batch_size":1,"warmup":2,`+
		`"samples":3,"p90_ms":2.8,"error":null,"environment":"e1","software_id":null,"config_key":null,"threads":null,"duration_ms":null,"load_ms":null,`+
		`"first_ms":null,"queue_ms":null,"preprocess_ms":null,"run_ms":null,"postprocess_ms":null,"joules":null,"bytes":null,"noisy":null,`+
		`"load_before":null,"load_after":null,"machine_id":"e1","mean_ms":2.0,"min_ms":1.0,"max_ms":3.0,"p50_ci95_low":null,"p50_ci95_high":null,`+
		`"p95_ms":null,"p99_ms":null,"histogram":null}`)
	wantSQL(t, db, "select * from samples order by n", `{"result_id":"`+r.ID+`","run_id":"`+r.RunID+`","model_name":"m","device":"cpu","batch_size":1,"n":1,"latency_ms":3.0,"offset_ms":null}
{"result_id":"`+r.ID+`","run_id":"`+r.RunID+`","model_name":"m","device":"cpu","batch_size":1,"n":2,"latency_ms":1.0,"offset_ms":null}
{"result_id":"`+r.ID+`","run_id":"`+r.RunID+`","model_name":"m","device":"cpu","batch_size":1,"n":3,"latency_ms":2.0,"offset_ms":null}`)
	wantSQL(t, db, "select * from inferences", `{"id":"`+i.ID+`","timestamp":`+at+`,"model_name":"m","model_cid":"bafym","task":"feature-extraction",`+
		`"hardware_type":"cpu","device":"cpu","precision":"int8","items":3,"cache":"L1","queue_ms":1.0,"fetch_ms":2.0,"load_ms":3.0,"preprocess_ms":4.0,`+
		`"run_ms":5.0,"postprocess_ms":6.0,"total_ms":21.0,"error":null,"environment":"e1","software_id":null,"joules":null}`)
	wantSQL(t, db, "select * from fetches", `{"id":"`+f.ID+`","timestamp":`+at+`,"model_name":"m","model_cid":"bafym","bytes":7,"level":"L4","total_ms":9.0,"error":null,"environment":"e1","software_id":null,"source":null}`)
	wantSQL(t, db, "select * from environments", `{"id":"e1","first_seen":`+at+`,"info":{"os":"linux"},"kind":"machine"}`)
	wantSQL(t, db, "select * from hardware_platforms", `{"environment":"e1","platform":"cuda","present":true,"available":false,"device":"X","reason":"no driver","checked_at":`+at+`}`)
	wantSQL(t, db, "select * from models", `{"cid":"bafym","name":"m","task":"t","bytes":5,"license":"MIT","first_seen":`+at+`,"last_seen":`+at+`}`)
	wantSQL(t, db, "select * from events", `{"run_id":"`+r.RunID+`","timestamp":`+at+`,"kind":"benchmark","status":"running","started_at":`+at+`,"model_name":"m",`+
		`"model_cid":"bafym","done":1,"total":2,"unit":"runs","message":"","error":null,"elapsed_ms":null}`)
}

// Zero was measured, nil was not.
func TestRecord_zeroIsNotNull(t *testing.T) {
	db := openDB(t, t.TempDir())
	zero, none := result("zero", 0), result("none")
	zero.AccuracyScore, zero.MemoryBytes = new(float64), new(int64)
	none.Throughput, none.Error = 0, "out_of_memory"
	record(t, db, Batch{Results: []Result{zero, none}})
	wantSQL(t, db, "select model_name, inference_time, throughput, memory_usage, accuracy_score, samples, error from benchmark_results order by 1",
		`{"model_name":"none","inference_time":null,"throughput":null,"memory_usage":null,"accuracy_score":null,"samples":0,"error":"out_of_memory"}
{"model_name":"zero","inference_time":0.0,"throughput":10.0,"memory_usage":0,"accuracy_score":0.0,"samples":1,"error":null}`)
}

func TestRecord_notFinite(t *testing.T) {
	db := openDB(t, t.TempDir())
	r, i := result("m", math.NaN(), 4, math.Inf(1)), inference("m")
	nan := math.NaN()
	r.Throughput, r.AccuracyScore, i.RunMS, i.TotalMS = math.Inf(-1), &nan, nan, math.Inf(1)
	latencies := slices.Clone(r.Latencies)
	b := Batch{Results: []Result{r}, Inferences: []Inference{i}, Fetches: []Fetch{{ID: newID(), TotalMS: nan}}}
	record(t, db, b)
	wantSQL(t, db, "select inference_time, throughput, accuracy_score, samples from benchmark_results", `{"inference_time":4.0,"throughput":null,"accuracy_score":null,"samples":1}`)
	wantSQL(t, db, "select run_ms, total_ms from inferences", `{"run_ms":0.0,"total_ms":0.0}`)
	if !b.Results[0].Timestamp.Equal(noon) || b.Results[0].Timestamp.Location() == time.UTC || len(b.Results[0].Latencies) != len(latencies) {
		t.Errorf("Record changed its caller's batch: %+v", b.Results[0])
	}
}

// What the database would refuse is refused where someone is told.
func TestRecord_refuses(t *testing.T) {
	db := openDB(t, t.TempDir())
	bad := result("m")
	bad.Metadata = json.RawMessage(`{`)
	late := result("m")
	late.Timestamp = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, b := range map[string]Batch{
		"id of a result":     {Results: []Result{{ID: "1"}}},
		"id of an inference": {Inferences: []Inference{inference("m"), {}}},
		"id of a fetch":      {Fetches: []Fetch{{ID: "x"}}},
		"id of a platform":   {Platforms: []Platform{{ID: ""}}},
		"metadata":           {Results: []Result{bad}},
		"time":               {Results: []Result{late}},
		"size":               {Results: []Result{result(strings.Repeat("m", maxLine))}},
	} {
		if err := db.Record(t.Context(), b); err == nil {
			t.Errorf("%s: recorded", name)
		}
	}
	record(t, db, Batch{})
	wantSQL(t, db, "select count(*) as n from benchmark_results", `{"n":0}`)
}

// A text may hold anything.
func TestRecord_anyText(t *testing.T) {
	db := openDB(t, t.TempDir())
	for _, name := range []string{"a\x00b", "a\nb", "'\"\\", "\xff\xfe", "𝕏 é", "\u2028<&>", `{"v":2,"rows":9,`} {
		r := result(name, 1)
		record(t, db, Batch{Results: []Result{r}})
		want, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ N json.RawMessage }
		if err := json.Unmarshal([]byte(askSQL(t, db, "select model_name as n from benchmark_results where id = '"+r.ID+"'")), &got); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		var a, b string
		if json.Unmarshal(want, &a) != nil || json.Unmarshal(got.N, &b) != nil || a != b {
			t.Errorf("%q came back as %s", name, got.N)
		}
	}
}

// The same record twice is one row: the first.
func TestRecord_sameID(t *testing.T) {
	db := openDB(t, t.TempDir())
	a, b := result("a", 1), result("b", 2)
	b.ID = a.ID
	record(t, db, Batch{Results: []Result{a, a}})
	wantSQL(t, db, "select model_name from benchmark_results", `{"model_name":"a"}`)
	record(t, db, Batch{Results: []Result{b}})
	wantSQL(t, db, "select model_name from benchmark_results", `{"model_name":"a"}`)
}
