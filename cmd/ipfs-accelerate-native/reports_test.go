//go:build unix

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/workloads"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// measured is an engine with a real store and a real database, over a provider
// whose model takes as long as wait says, or fails.
func measured(t *testing.T) (*engine.Engine, *atomic.Int64) {
	t.Helper()
	wait := &atomic.Int64{}
	fake := &enginetest.Fake{Ops: map[string]enginetest.Op{"Wait": func(ctx context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
		d := time.Duration(wait.Load())
		if d < 0 {
			return nil, engine.Errorf(engine.ErrDeviceUnavailable, "the device has gone")
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return in, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}}
	return measuredBy(t, fake), wait
}

// measuredBy is an engine with a real store and a real database over p.
func measuredBy(t *testing.T, p engine.ExecutionProvider) *engine.Engine {
	t.Helper()
	store, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{})
	must(t, err)
	dir := t.TempDir()
	model := enginetest.Identity(om.Float, 1)
	model.Graph.Nodes[0].Op = "Wait"
	must(t, os.WriteFile(filepath.Join(dir, "model.onnx"), model.Marshal(), 0o600))
	_, err = store.Add(t.Context(), dir, ipfsstore.AddOptions{Name: "slow"})
	must(t, err)
	plugins := &engine.Registry{}
	plugins.RegisterProvider(p)
	plugins.RegisterWorkload(workloads.Latency())
	e := engine.New(engine.Options{Plugins: plugins, Models: store, Results: openResults(t, t.TempDir(), time.Minute), Dir: t.TempDir()})
	t.Cleanup(func() { must(t, errors.Join(e.Close(), store.Close())) })
	return e
}

func rounds(t *testing.T, e *engine.Engine, baseline string) engine.Benchmark {
	t.Helper()
	warmup := 1
	b, err := e.Benchmark(t.Context(), engine.BenchmarkRequest{
		Model: "slow", Iterations: 5, Warmup: &warmup, Baseline: baseline, Parameters: engine.BenchmarkParameters{Rounds: 10},
	}, func(engine.Progress) {})
	must(t, err)
	return b
}

// A delay that was put in is found, and every figure leads to its rows.
func TestReports_delay(t *testing.T) {
	e, wait := measured(t)
	wait.Store(int64(4 * time.Millisecond))
	before := rounds(t, e, "")
	wait.Store(int64(8 * time.Millisecond))
	after := rounds(t, e, before.RunID)
	c := after.Comparison
	if c == nil || c.Verdict != benchdb.Slower || c.BaselineRuns != 10 || c.CandidateRuns != 10 {
		t.Fatalf("the comparison is %+v", c)
	}
	rows, err := e.Results(t.Context(), engine.ResultsRequest{SQL: "select count(*) as n, count(distinct id) as ids from benchmark_results where run_id = '" + after.RunID + "'"}, nil)
	must(t, err)
	if len(rows.Rows) != 1 || string(rows.Rows[0]) != `{"n":10,"ids":10}` {
		t.Errorf("rows of the run: %s", rows.Rows)
	}
	compared, err := e.Results(t.Context(), engine.ResultsRequest{RunID: after.RunID, Baseline: before.RunID}, nil)
	must(t, err)
	if compared.Comparison == nil || compared.Comparison.Verdict != benchdb.Slower {
		t.Errorf("report compare says %+v", compared.Comparison)
	}
}

// A device that fails is in the reports under its code, and what could not be
// measured of it is null.
func TestReports_failingDevice(t *testing.T) {
	e, wait := measured(t)
	wait.Store(-1)
	_, err := e.Infer(t.Context(), engine.InferRequest{Model: "slow", Tensors: []engine.TensorInput{{Name: "x", Shape: []int64{1}, Data: engine.Numbers{"1"}}}}, func(engine.Progress) {})
	wantCode(t, err, engine.ErrDeviceUnavailable)
	_, err = e.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "slow", Iterations: 3}, func(engine.Progress) {})
	wantCode(t, err, engine.ErrDeviceUnavailable)
	failed, err := e.Results(t.Context(), engine.ResultsRequest{Report: "errors"}, nil)
	must(t, err)
	kinds := map[string]bool{}
	for _, row := range failed.Rows {
		var r struct{ Kind, Error string }
		must(t, json.Unmarshal(row, &r))
		if r.Error == string(engine.ErrDeviceUnavailable) {
			kinds[r.Kind] = true
		}
	}
	if len(kinds) < 2 {
		t.Errorf("report errors is %s", failed.Rows)
	}
	history, err := e.Results(t.Context(), engine.ResultsRequest{Report: "history", Fields: []string{"p50_ms", "throughput_per_s", "memory_bytes", "error"}}, nil)
	must(t, err)
	if len(history.Rows) != 1 || !strings.Contains(string(history.Rows[0]), `"memory_bytes":null,"p50_ms":null,"throughput_per_s":null`) {
		t.Errorf("history is %s", history.Rows)
	}
}

// So is a library that ends its process.
func TestReports_abortingLibrary(t *testing.T) {
	e := measuredBy(t, withLibrary(t, abortingLibrary(t)))
	_, err := e.Infer(t.Context(), engine.InferRequest{Model: "slow", Tensors: []engine.TensorInput{{Name: "x", Shape: []int64{1}, Data: engine.Numbers{"1"}}}}, func(engine.Progress) {})
	wantCode(t, err, engine.ErrRunnerCrashed)
	failed, err := e.Results(t.Context(), engine.ResultsRequest{Report: "errors"}, nil)
	must(t, err)
	if len(failed.Rows) == 0 || !strings.Contains(string(failed.Rows[0]), `"error":"runner_crashed"`) {
		t.Errorf("report errors is %s", failed.Rows)
	}
}
