package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/workloads"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A counting provider counts how often a model is opened.
type counting struct {
	enginetest.Fake
	opened atomic.Int64
}

func (c *counting) NewSession(ctx context.Context, m *engine.Model, file string, p engine.Plan) (engine.Session, error) {
	c.opened.Add(1)
	return c.Fake.NewSession(ctx, m, file, p)
}

func withWorkloads(ws ...engine.Workload) func(*engine.Registry) {
	return func(r *engine.Registry) {
		for _, w := range ws {
			r.RegisterWorkload(w)
		}
	}
}

// Each sample of a cold start, and each round of another workload, has the
// model loaded anew.
func TestBenchmark_reloads(t *testing.T) {
	for name, c := range map[string]struct {
		r     engine.BenchmarkRequest
		opens int64
	}{
		"cold start": {engine.BenchmarkRequest{Workload: "cold_start", Iterations: 5}, 6}, // one to warm up
		"rounds":     {engine.BenchmarkRequest{Iterations: 5, Parameters: engine.BenchmarkParameters{Rounds: 4}}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			p := &counting{}
			w := newWorld(t, p, engine.Options{}, withWorkloads(workloads.ColdStart()))
			w.add(t, "sum", enginetest.Add())
			c.r.Model = "sum"
			b, err := w.Benchmark(t.Context(), c.r, quiet)
			must(t, err)
			if got := p.opened.Load(); got != c.opens || b.Results[0].LoadMS == nil {
				t.Errorf("opened %d times, want %d; load %v", got, c.opens, b.Results[0].LoadMS)
			}
			if rows := w.log.all.Results; rows[0].LoadMS == nil || rows[0].DurationMS == nil || rows[0].Noisy == nil || rows[0].ConfigKey == "" {
				t.Errorf("recorded %+v", rows[0])
			}
		})
	}
}

func TestBenchmark_import(t *testing.T) {
	var made, removed int
	scratch := func(context.Context) (engine.ModelStore, func() error, error) {
		made++
		s, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{})
		return s, func() error { removed++; return s.Close() }, err
	}
	w := newWorld(t, &enginetest.Fake{}, engine.Options{Scratch: scratch}, withWorkloads(workloads.Import(), workloads.Fetch()))
	w.add(t, "sum", enginetest.Add())
	b, err := w.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "sum", Workload: "import", Iterations: 3}, quiet)
	must(t, err)
	if r := b.Results[0]; r.Samples != 3 || r.Device != "" || r.Bytes == nil || *r.Bytes == 0 || made != 4 || removed != 4 {
		t.Errorf("%+v with %d stores made and %d removed", r, made, removed)
	}
	_, err = w.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "sum", Workload: "fetch", Iterations: 3}, quiet)
	if !errors.Is(err, engine.ErrModelNotFound) || made != removed {
		t.Errorf("without a source: %v; %d stores made, %d removed", err, made, removed)
	}
}

// A classifier that calls everything with an "a" in it A, surely, else B.
type classifier struct{}

func (classifier) Name() string { return "text-classification" }

func (classifier) Load(context.Context, *engine.Model) (engine.Pipeline, error) {
	return classifier{}, nil
}

func (classifier) Run(_ context.Context, _ engine.Sessions, r engine.Request) (engine.Answer, error) {
	var a engine.Answer
	sure, unsure := 0.9, 0.1
	for i, item := range r.Items {
		best, other := "B", "A"
		if strings.Contains(item.Text, "a") {
			best, other = "A", "B"
		}
		a.Outputs = append(a.Outputs, engine.Output{Item: i, Label: other, Score: &unsure}, engine.Output{Item: i, Label: best, Score: &sure})
		a.Vectors = append(a.Vectors, []float32{1, 0})
	}
	return a, nil
}

func (classifier) Close() error { return nil }

func TestBenchmark_accuracy(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{}, withWorkloads(workloads.Accuracy()), func(r *engine.Registry) { r.RegisterTask(classifier{}) })
	w.add(t, "sum", enginetest.Add())
	run := func(lines ...string) (engine.Benchmark, error) {
		path := filepath.Join(w.dir, "data.jsonl")
		must(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
		return w.Benchmark(t.Context(), engine.BenchmarkRequest{
			Model: "sum", Task: "text-classification", Workload: "accuracy", BatchSizes: []int{2}, Parameters: engine.BenchmarkParameters{Dataset: path},
		}, quiet)
	}
	b, err := run(`{"input":"cat","label":"A"}`, `{"input":"dog","label":"B"}`, `{"input":"rat","label":"A"}`, `{"input":"bat","label":"B"}`, `{"input":"bee","label":"B"}`)
	must(t, err)
	r := b.Results[0]
	// 4 of 5; F1 of A is 4/5, of B 4/5.
	if a := r.Accuracy; a == nil || a.Items != 5 || *a.Top1 != 0.8 || *a.F1 < 0.799 || *a.F1 > 0.801 || *r.AccuracyScore != 0.8 || r.Samples != 3 {
		data, _ := json.Marshal(r)
		t.Errorf("%s", data)
	}
	if row := w.log.all.Results[0]; row.AccuracyScore == nil || *row.AccuracyScore != 0.8 || strings.Contains(string(row.Metadata), "data.jsonl") {
		t.Errorf("recorded %+v", row)
	}
	b, err = run(`{"input":"x","embedding":[1,0]}`, `{"input":"y","embedding":[0,1]}`)
	must(t, err)
	if a := b.Results[0].Accuracy; a.Cosine == nil || *a.Cosine != 0.5 {
		t.Errorf("%+v", a)
	}
	for name, lines := range map[string][]string{
		"mixed": {`{"input":"x","label":"A"}`, `{"input":"y","embedding":[0,1]}`}, "neither": {`{"input":"x"}`}, "not JSON": {`x`}, "empty": {},
		"other size": {`{"input":"x","embedding":[1]}`},
	} {
		if _, err := run(lines...); !errors.Is(err, engine.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The comparison with a baseline is the result log's; here it has none.
func TestBenchmark_baseline(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	w.add(t, "sum", enginetest.Add())
	b, err := w.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "sum", Iterations: 3, Baseline: "0193b1e0-0000-7000-8000-000000000000"}, quiet)
	must(t, err)
	if b.Comparison == nil || b.Comparison.Verdict != benchdb.NotComparable || !strings.Contains(b.Summary, "not_comparable") {
		t.Errorf("%+v, %s", b.Comparison, b.Summary)
	}
}

// On a full disk everything is answered, and it is said that nothing was kept.
func TestRecord_fullDisk(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	w.add(t, "sum", enginetest.Add())
	w.log.full = syscall.ENOSPC
	a, err := w.Infer(t.Context(), engine.InferRequest{Model: "sum", Tensors: sums("1 2 3", "1 1 1")}, quiet)
	must(t, err)
	if a.Recorded || len(a.Tensors) == 0 || len(a.Warnings) == 0 {
		t.Errorf("%+v", a)
	}
	b, err := w.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "sum", Iterations: 3}, quiet)
	must(t, err)
	if b.Results[0].Samples != 3 || len(b.Warnings) < 2 {
		t.Errorf("%+v", b)
	}
	w.log.full = nil // what it was measured on is told once there is room
	_, err = w.Infer(t.Context(), engine.InferRequest{Model: "sum", Tensors: sums("1 2 3", "1 1 1")}, quiet)
	must(t, err)
	if len(w.log.all.Environments) != 2 {
		t.Errorf("environments are %+v", w.log.all.Environments)
	}
}

// What measurements were taken on is recorded once, with them.
func TestRecord_environments(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{Version: "1.2.3"})
	w.add(t, "sum", enginetest.Add())
	for range 3 {
		_, err := w.Infer(t.Context(), engine.InferRequest{Model: "sum", Tensors: sums("1 2 3", "1 1 1")}, quiet)
		must(t, err)
	}
	known := map[string]string{}
	for _, e := range w.log.all.Environments {
		known[e.ID] = e.Kind
	}
	if len(known) != len(w.log.all.Environments) || len(known) != 2 {
		t.Errorf("%d environments of %d ids", len(w.log.all.Environments), len(known))
	}
	for _, i := range w.log.inferences() {
		if known[i.Environment] != "machine" || known[i.SoftwareID] != "software" {
			t.Errorf("an inference on %q and %q, of %v", i.Environment, i.SoftwareID, known)
		}
	}
}
