package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// drifting are the canary's operators, on a device that may go wrong.
func drifting(wrong *atomic.Bool) map[string]enginetest.Op {
	right, off := linear(0), linear(0.5)
	ops := map[string]enginetest.Op{}
	for name := range right {
		ops[name] = func(ctx context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
			if wrong.Load() {
				return off[name](ctx, in)
			}
			return right[name](ctx, in)
		}
	}
	return ops
}

var sumOf = engine.InferRequest{Model: "sum", Tensors: sums("1 2 3", "1 1 1")}

// A device that fails its canary is used by nobody, whoever noticed, until it
// computes right again.
func TestHealth_failedCanaryDemotes(t *testing.T) {
	var wrong atomic.Bool
	w := newWorld(t, &enginetest.Fake{Ops: drifting(&wrong)}, engine.Options{})
	w.add(t, "sum", enginetest.Add())
	wrong.Store(true)
	detect(t, w)
	byName := sumOf
	byName.Device = "cpu"
	for _, r := range []engine.InferRequest{sumOf, byName} {
		_, err := w.Infer(t.Context(), r, quiet)
		if info := engine.Explain(err); !errors.Is(err, engine.ErrDeviceUnavailable) || !info.Retryable || !strings.Contains(info.Message, "canary") {
			t.Errorf("infer: %+v", info)
		}
	}
	if _, err := w.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "sum", Devices: []string{"auto"}}, quiet); !errors.Is(err, engine.ErrDeviceUnavailable) {
		t.Errorf("benchmark: %v", err)
	}
	h := w.Health(t.Context())
	if h.Status != "degraded" || len(h.Devices) != 1 || h.Devices[0].OK || !strings.Contains(h.Devices[0].Reason, "off") {
		t.Errorf("%+v", h)
	}
	if len(h.Errors) != 1 || h.Errors[0].Code != engine.ErrDeviceUnavailable || h.Errors[0].Count != 3 {
		t.Errorf("errors %+v", h.Errors)
	}
	wrong.Store(false)
	detect(t, w)
	if _, err := w.Infer(t.Context(), sumOf, quiet); err != nil || w.Health(t.Context()).Status != "ok" {
		t.Errorf("it computes right again: %v, %+v", err, w.Health(t.Context()))
	}
}

func detect(t *testing.T, w *world) {
	t.Helper()
	_, err := w.Detect(t.Context(), engine.DetectRequest{Refresh: true}, quiet)
	must(t, err)
}

// The canary runs again by the clock.
func TestWatch_checksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrong atomic.Bool
		w := newWorld(t, &enginetest.Fake{Ops: drifting(&wrong)}, engine.Options{})
		w.add(t, "sum", enginetest.Add())
		detect(t, w)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.Watch(ctx, time.Hour)
		wrong.Store(true)
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if _, err := w.Infer(t.Context(), sumOf, quiet); !errors.Is(err, engine.ErrDeviceUnavailable) {
			t.Errorf("after an hour: %v", err)
		}
		wrong.Store(false)
		time.Sleep(2 * time.Minute) // nobody else is left to ask
		if _, err := w.Infer(t.Context(), sumOf, quiet); err != nil {
			t.Errorf("once it is right: %v", err)
		}
	})
}

// A device whose process died is checked before long.
func TestHealth_crashIsSuspect(t *testing.T) {
	var wrong atomic.Bool
	ops := drifting(&wrong)
	ops["Crash"] = func(context.Context, []*engine.Tensor) ([]*engine.Tensor, error) {
		wrong.Store(true)
		return nil, engine.Errorf(engine.ErrRunnerCrashed, "killed")
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &enginetest.Fake{Ops: ops}, engine.Options{})
		m := enginetest.Identity(om.Float, 1)
		m.Graph.Nodes[0].Op = "Crash"
		w.add(t, "fragile", m)
		x := []engine.TensorInput{{Name: "x", Shape: []int64{1}, Data: numbers("5")}}
		if _, err := w.Infer(t.Context(), engine.InferRequest{Model: "fragile", Tensors: x}, quiet); !errors.Is(err, engine.ErrRunnerCrashed) {
			t.Fatal(err)
		}
		synctest.Wait()
		if h := w.Health(t.Context()); h.Status != "degraded" || len(h.Devices) != 1 || h.Devices[0].OK {
			t.Errorf("%+v", h)
		}
	})
}

func TestPreferences(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{Preferences: engine.Preferences{Deny: []hardware.Kind{hardware.CPU}}})
	w.add(t, "sum", enginetest.Add())
	_, err := w.Infer(t.Context(), sumOf, quiet)
	if info := engine.Explain(err); !errors.Is(err, engine.ErrDeviceUnavailable) || !strings.Contains(info.Hint, "hardware.allow_cpu") {
		t.Errorf("denied: %+v", info)
	}
	d, err := w.Detect(t.Context(), engine.DetectRequest{}, quiet)
	must(t, err)
	if cpu := d.Platforms[8]; cpu.Available || !cpu.Present || !strings.Contains(cpu.Fix, "hardware.allow_cpu") {
		t.Errorf("%+v", cpu)
	}
	w.SetPreferences(engine.Preferences{Prefer: []hardware.Kind{hardware.CPU}, Precision: "int8"})
	r := sumOf
	r.Explain = true
	a, err := w.Infer(t.Context(), r, quiet) // it has no such variant: a preference is no more
	must(t, err)
	if len(a.Ranking) != 1 || a.Ranking[0].Score != 150 || !strings.Contains(a.Ranking[0].Reason, "prefer_cpu") {
		t.Errorf("%+v", a.Ranking)
	}
}

// All sessions together keep to the limit: what is idle makes room, what does
// not fit is refused.
func TestMemoryLimit(t *testing.T) {
	sum, same := enginetest.Add(), enginetest.Identity(om.Float, 1)
	bytes := int64(max(len(sum.Marshal()), len(same.Marshal())))
	w := newWorld(t, &enginetest.Fake{}, engine.Options{MemoryLimit: bytes})
	w.add(t, "sum", sum)
	w.add(t, "same", same)
	x := []engine.TensorInput{{Name: "x", Shape: []int64{1}, Data: numbers("5")}}
	for range 2 {
		_, err := w.Infer(t.Context(), sumOf, quiet)
		must(t, err)
		_, err = w.Infer(t.Context(), engine.InferRequest{Model: "same", Tensors: x}, quiet)
		must(t, err)
		if s := w.Stats(); s.Sessions != 1 || s.SessionBytes > bytes {
			t.Errorf("%+v", s)
		}
	}
	small := newWorld(t, &enginetest.Fake{}, engine.Options{MemoryLimit: 10})
	small.add(t, "sum", sum)
	_, err := small.Infer(t.Context(), sumOf, quiet)
	if info := engine.Explain(err); !errors.Is(err, engine.ErrOutOfMemory) || !strings.Contains(info.Hint, "hardware.memory_limit") {
		t.Errorf("%+v", info)
	}
	if s := small.Stats(); s != (engine.Stats{}) {
		t.Errorf("left open: %+v", s)
	}
}

// observed keeps what an engine tells.
type observed struct {
	inferred []engine.Inferred
	fetched  []engine.FetchedFrom
}

func (o *observed) Inferred(_ context.Context, i engine.Inferred) { o.inferred = append(o.inferred, i) }

func (o *observed) Fetched(_ context.Context, f engine.FetchedFrom) { o.fetched = append(o.fetched, f) }

func TestObserver(t *testing.T) {
	var seen observed
	w := newWorld(t, &enginetest.Fake{}, engine.Options{Observer: &seen})
	root := w.add(t, "sum", enginetest.Add())
	for _, level := range []string{"L2", "L1"} {
		a, err := w.Infer(t.Context(), sumOf, quiet)
		must(t, err)
		i := seen.inferred[len(seen.inferred)-1]
		if i.Cache != level || i.Model != root || i.Device != "cpu" || i.RunID != a.RunID || i.Code != "" || i.Timings.Total <= 0 || i.Timings != *a.TimingsMS {
			t.Errorf("%+v", i)
		}
	}
	if _, err := w.Infer(t.Context(), engine.InferRequest{Model: "bafybeifn3uukqtcivlwjlmfghpub7ufpos2pfdnu6jkhxts6repncagpym", Tensors: sums("1", "1")}, quiet); err == nil {
		t.Fatal("found")
	}
	if i := seen.inferred[2]; i.Code != engine.ErrModelNotFound || len(seen.fetched) != 1 || seen.fetched[0].Code != engine.ErrModelNotFound {
		t.Errorf("%+v, %+v", i, seen.fetched)
	}
}

func TestWarm(t *testing.T) {
	var seen observed
	w := newWorld(t, &enginetest.Fake{}, engine.Options{Observer: &seen})
	w.add(t, "sum", enginetest.Add())
	must(t, w.Warm(t.Context(), "sum"))
	a, err := w.Infer(t.Context(), sumOf, quiet)
	must(t, err)
	if a.Cache != "L1" {
		t.Errorf("cache %s", a.Cache)
	}
	if err := w.Warm(t.Context(), "nope"); !errors.Is(err, engine.ErrModelNotFound) {
		t.Errorf("%v", err)
	}
}

// A fresh engine is well, and its lists are empty, not absent.
func TestHealth_fresh(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	if h := w.Health(t.Context()); len(h.Sources) != 0 || h.Sources == nil || h.Errors == nil || h.Devices == nil || h.Store != "ok" || h.Status != "ok" {
		t.Errorf("%+v", h)
	}
}

// A canary whose process another one killed says nothing about the device.
func TestHealth_killedCanaryDemotesNot(t *testing.T) {
	crashed := engine.Errorf(engine.ErrRunnerCrashed, "the process died: %w", engine.ErrKilled)
	ops := linear(0)
	ops["MatMul"] = func(context.Context, []*engine.Tensor) ([]*engine.Tensor, error) { return nil, crashed }
	w := newWorld(t, &enginetest.Fake{Ops: ops}, engine.Options{})
	w.add(t, "sum", enginetest.Add())
	detect(t, w)
	_, err := w.Infer(t.Context(), sumOf, quiet)
	must(t, err)
}
