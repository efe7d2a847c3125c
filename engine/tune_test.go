package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

// planning is a provider that notes the threads of the sessions it opens.
type planning struct {
	enginetest.Fake
	threads []int
}

func (p *planning) NewSession(ctx context.Context, m *engine.Model, file string, plan engine.Plan) (engine.Session, error) {
	p.threads = append(p.threads, plan.Threads)
	return p.Fake.NewSession(ctx, m, file, plan)
}

// busy takes about as long for up to 8 rows as for one.
func busy(_ context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
	sum := 0.0
	for range (in[0].Shape[0] + 7) / 8 {
		for i := range 200_000 {
			sum += float64(i) * 1e-9
		}
	}
	if sum < 0 {
		return nil, errors.New("never")
	}
	return []*engine.Tensor{in[0]}, nil
}

func TestBenchmark_tune(t *testing.T) {
	p := &planning{Fake: enginetest.Fake{Ops: map[string]enginetest.Op{"Busy": busy}}}
	w := newWorld(t, p, engine.Options{})
	root := w.add(t, "busy", om.Model{Graph: om.Graph{
		Inputs: []om.Value{om.Symbols("x", om.Float, "rows")}, Outputs: []om.Value{om.Symbols("y", om.Float, "rows")},
		Nodes: []om.Node{{Op: "Busy", Inputs: []string{"x"}, Outputs: []string{"y"}}},
	}})
	a, err := w.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "busy", Tune: true, Iterations: 15}, quiet)
	must(t, err)
	if a.Plan == nil || a.Plan.BatchSize < 1 || a.Plan.Threads < 1 || a.Summary == "" {
		t.Fatalf("the plan is %+v, said %q", a.Plan, a.Summary)
	}
	tried := map[[2]int]bool{}
	for _, r := range a.Results {
		if r.Error != nil || r.Threads == 0 || tried[[2]int{r.Threads, r.BatchSize}] {
			t.Errorf("measured %+v", r)
		}
		tried[[2]int{r.Threads, r.BatchSize}] = true
	}
	if !tried[[2]int{1, 1}] || len(tried) < 2 || !tried[[2]int{a.Plan.Threads, a.Plan.BatchSize}] {
		t.Errorf("tried %v", tried)
	}
	if got := w.log.plans(); len(got) != 1 || got[0].ModelCID != root || got[0].BatchSize != a.Plan.BatchSize || got[0].RunID != a.RunID || len(got[0].Figures) == 0 {
		t.Errorf("kept %+v", got)
	}

	later := &planning{Fake: p.Fake}
	_, err = w.again(t, later).Infer(t.Context(), engine.InferRequest{
		Model: "busy", Tensors: []engine.TensorInput{{Name: "x", Shape: []int64{1}, Data: numbers("1")}},
	}, quiet)
	must(t, err)
	if len(later.threads) != 1 || later.threads[0] != a.Plan.Threads {
		t.Errorf("a later run has %v threads; the plan was %d", later.threads, a.Plan.Threads)
	}
}

func TestBenchmark_tuneRefuses(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	w.add(t, "sum", enginetest.Add())
	for _, r := range []engine.BenchmarkRequest{{BatchSizes: []int{2}}, {Workload: "offline"}, {Parameters: engine.BenchmarkParameters{Rounds: 2}}} {
		r.Model, r.Tune = "sum", true
		if _, err := w.Benchmark(t.Context(), r, quiet); !errors.Is(err, engine.ErrInvalidArgument) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	// A model of one fixed size has a plan, too.
	a, err := w.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "sum", Tune: true, Iterations: 5}, quiet)
	must(t, err)
	if a.Plan == nil || a.Plan.BatchSize < 1 {
		t.Errorf("the plan is %+v", a.Plan)
	}
}

func (l *log) plans() []benchdb.Plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Plans
}
