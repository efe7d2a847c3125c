package engine_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// An accelerator is a provider of one device, which computes like the fake
// but for what is added to each number.
type accelerator struct {
	enginetest.Fake
	device hardware.Device
	wrong  atomic.Int64 // added to each result of a model, not of the canary
	opened atomic.Int64 // sessions, canaries' included
	slow   func()       // called by each run; may be nil
	room   int64        // how many sessions it has memory for; 0 is any number
	held   atomic.Int64 // sessions that are open
	last   atomic.Value // precision of the session that was opened last
}

func newAccelerator() *accelerator {
	return &accelerator{Fake: enginetest.Fake{Ops: linear(0)}, device: hardware.Device{ID: "cuda:0", Kind: hardware.CUDA, Name: "Fake GPU", Driver: "1", Precisions: []string{"fp32"}}}
}

func (a *accelerator) Name() string          { return "accelerator" }
func (a *accelerator) Drives() hardware.Kind { return a.device.Kind }

func (a *accelerator) Devices(context.Context) ([]hardware.Device, error) {
	return []hardware.Device{a.device}, nil
}

func (a *accelerator) NewSession(ctx context.Context, m *engine.Model, file string, p engine.Plan) (engine.Session, error) {
	a.opened.Add(1)
	a.last.Store(p.Precision)
	if n := a.held.Add(1); a.room > 0 && n > a.room {
		a.held.Add(-1)
		return nil, engine.Errorf(engine.ErrOutOfMemory, "the device has no memory left")
	}
	s, err := a.Fake.NewSession(ctx, m, file, p)
	return &acceleratedSession{s, a, file}, err
}

type acceleratedSession struct {
	engine.Session
	a    *accelerator
	file string
}

func (s *acceleratedSession) Close() error {
	s.a.held.Add(-1)
	return s.Session.Close()
}

func (s *acceleratedSession) Run(ctx context.Context, in engine.Tensors) (engine.Tensors, error) {
	out, err := s.Session.Run(ctx, in)
	if err != nil || s.file == "canary.onnx" {
		return out, err
	}
	if s.a.slow != nil {
		s.a.slow()
	}
	for _, t := range out {
		numbers, err := engine.Values[float32](t)
		if err != nil {
			return nil, err
		}
		for i := range numbers {
			numbers[i] += float32(s.a.wrong.Load())
		}
	}
	return out, err
}

// accelerated is a world with a processor and an accelerator.
func accelerated(t *testing.T, a *accelerator) *world {
	w := newWorld(t, &enginetest.Fake{Ops: linear(0)}, engine.Options{}, func(r *engine.Registry) { r.RegisterProvider(a) })
	w.add(t, "adder", enginetest.Add())
	return w
}

func add(t *testing.T, w *world, device string) (engine.Inference, error) {
	t.Helper()
	return w.Infer(t.Context(), engine.InferRequest{Model: "adder", Device: device, Tensors: sums("1 2 3", "4 5 6"), Explain: true}, quiet)
}

func TestAccelerator_checkedOnce(t *testing.T) {
	a := newAccelerator()
	w := accelerated(t, a)
	for range 3 {
		out, err := add(t, w, "cuda")
		must(t, err)
		if out.Device.ID != "cuda:0" || len(out.Tried) != 0 {
			t.Errorf("ran on %+v, tried %+v", out.Device, out.Tried)
		}
	}
	if n := a.opened.Load(); n != 2 {
		t.Errorf("%d sessions were opened; want the canary's and the model's", n)
	}
}

// A device that computes a model wrong is left for the next, which the answer
// says, and not tried with that model again.
func TestAccelerator_wrong(t *testing.T) {
	a := newAccelerator()
	a.wrong.Store(1)
	w := accelerated(t, a)
	for i, want := range []string{"failed", "skipped"} {
		out, err := add(t, w, "")
		must(t, err)
		if out.Device.ID != "cpu" || len(out.Tried) != 1 || out.Tried[0].Outcome != want || !strings.Contains(out.Tried[0].Reason, "wrong") {
			t.Errorf("call %d ran on %+v, tried %+v", i, out.Device, out.Tried)
		}
	}
	if _, err := add(t, w, "cuda"); err == nil || engine.Explain(err).Code != engine.ErrDeviceUnavailable {
		t.Errorf("asked for the wrong device: %v", err)
	}
}

// Of devices that compute right, the faster is chosen: by what was measured,
// not by its kind.
func TestAccelerator_slower(t *testing.T) {
	a := newAccelerator()
	var spin atomic.Int64
	a.slow = func() {
		for range 2_000_000 {
			spin.Add(1)
		}
	}
	w := accelerated(t, a)
	first, err := add(t, w, "")
	must(t, err)
	second, err := add(t, w, "")
	must(t, err)
	if first.Device.ID != "cuda:0" || second.Device.ID != "cpu" {
		t.Errorf("ran on %s, then on %s", first.Device.ID, second.Device.ID)
	}
	if strings.Contains(first.Device.Why, "measured") {
		t.Errorf("before anything was measured: %q", first.Device.Why)
	}
	w.SetPreferences(engine.Preferences{Prefer: []hardware.Kind{hardware.CUDA}})
	if third, err := add(t, w, ""); err != nil || third.Device.ID != "cuda:0" {
		t.Errorf("what is preferred comes first, however slow: %v, %+v", err, third.Device)
	}
	r := second.Ranking
	if len(r) != 2 || r[0].Device != "cpu" || r[0].PredictedMS == nil || r[1].PredictedMS == nil || *r[0].PredictedMS >= *r[1].PredictedMS {
		t.Errorf("ranking %+v", r)
	}
	if !strings.Contains(second.Device.Why, "measured") {
		t.Errorf("why: %q", second.Device.Why)
	}
	// The comparison is part of loading, not of the run that is recorded.
	if in := w.log.inferences(); in[0].RunMS > in[0].LoadMS {
		t.Errorf("the first run is recorded as %g ms, loading as %g", in[0].RunMS, in[0].LoadMS)
	}
}

// What was found out about a device outlives the program, for as long as its
// driver stays what it is.
func TestAccelerator_proofsKept(t *testing.T) {
	a := newAccelerator()
	a.wrong.Store(1)
	w := accelerated(t, a)
	_, err := add(t, w, "")
	must(t, err)
	opened := a.opened.Load()
	again := w.again(t, &enginetest.Fake{Ops: linear(0)}, a)
	out, err := add(t, again, "")
	must(t, err)
	if a.opened.Load() != opened || out.Tried[0].Outcome != "skipped" {
		t.Errorf("%d sessions were opened again, tried %+v", a.opened.Load()-opened, out.Tried)
	}
	a.device.Driver = "2"
	a.wrong.Store(0)
	out, err = add(t, again, "")
	must(t, err)
	if out.Device.ID != "cuda:0" {
		t.Errorf("with another driver it ran on %s, tried %+v", out.Device.ID, out.Tried)
	}
}

func TestAccelerator_simulatedOnlyWhenNamed(t *testing.T) {
	a := newAccelerator()
	a.device.Simulated = true
	w := accelerated(t, a)
	out, err := add(t, w, "")
	must(t, err)
	if out.Device.ID != "cpu" {
		t.Errorf("auto took %s", out.Device.ID)
	}
	out, err = add(t, w, "cuda")
	must(t, err)
	if out.Device.ID != "cuda:0" || !out.Device.Simulated {
		t.Errorf("ran on %+v", out.Device)
	}
	d, err := w.Detect(t.Context(), engine.DetectRequest{}, quiet)
	must(t, err)
	for _, p := range d.Platforms {
		if p.Kind == hardware.CUDA && (p.Present || !p.Simulated || !p.Available) {
			t.Errorf("cuda: %+v", p)
		}
	}
	if d.Best != "cpu" {
		t.Errorf("best is %s", d.Best)
	}
}

// A precision that no file has is asked of the devices: those that can't
// compute in it are left, and sessions are not shared with others.
func TestAccelerator_asked(t *testing.T) {
	a := newAccelerator()
	a.device.Precisions = []string{"fp32", "bf16"}
	w := accelerated(t, a)
	in := func(device, precision string) (engine.Inference, error) {
		return w.Infer(t.Context(), engine.InferRequest{Model: "adder", Device: device, Precision: precision, Tensors: sums("1 2 3", "4 5 6")}, quiet)
	}
	for _, precision := range []string{"auto", "bf16"} {
		out, err := in("cuda", precision)
		must(t, err)
		want := map[string]string{"auto": "fp32", "bf16": "bf16"}[precision]
		if out.Device.Precision != want || a.last.Load() != want {
			t.Errorf("%s: computed in %s, the session in %v; want %s", precision, out.Device.Precision, a.last.Load(), want)
		}
	}
	if _, err := in("cpu", "bf16"); engine.Explain(err).Code != engine.ErrUnsupported {
		t.Errorf("the processor computes in bf16: %v", err)
	}
	r := engine.BenchmarkRequest{Model: "adder", Devices: []string{"cpu"}, Precision: "bf16", Iterations: 5}
	if _, err := w.Benchmark(t.Context(), r, quiet); engine.Explain(err).Code != engine.ErrUnsupported {
		t.Errorf("the processor was measured in bf16: %v", err)
	}
	r.Devices = []string{"all"}
	b, err := w.Benchmark(t.Context(), r, quiet)
	must(t, err)
	for _, res := range b.Results {
		if (res.Error == nil) != (res.Device == "cuda:0") {
			t.Errorf("%s in bf16: %v", res.Device, res.Error)
		}
	}
}

// Benchmarks of all devices overrule the few runs of the first comparison.
func TestAccelerator_benchmarked(t *testing.T) {
	a := newAccelerator()
	w := accelerated(t, a)
	_, err := add(t, w, "cuda")
	must(t, err)
	var spin atomic.Int64
	a.slow = func() { // from now on, as a GPU that others use
		for range 2_000_000 {
			spin.Add(1)
		}
	}
	_, err = w.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "adder", Devices: []string{"all"}, Iterations: 30}, quiet)
	must(t, err)
	out, err := add(t, w, "")
	must(t, err)
	if out.Device.ID != "cpu" || !strings.Contains(out.Device.Why, "measured") {
		t.Errorf("ran on %s: %s", out.Device.ID, out.Device.Why)
	}
}

// A device with memory for one model has the idle one make room for the next.
func TestAccelerator_full(t *testing.T) {
	a := newAccelerator()
	w := accelerated(t, a)
	other := enginetest.Add()
	other.Producer = "another" // so that it is another file
	w.add(t, "other", other)
	_, err := add(t, w, "cuda") // after the canary
	must(t, err)
	a.room = 1
	for range 2 {
		for _, model := range []string{"other", "adder"} {
			out, err := w.Infer(t.Context(), engine.InferRequest{Model: model, Device: "cuda", Tensors: sums("1 2 3", "4 5 6")}, quiet)
			must(t, err)
			if out.Device.ID != "cuda:0" {
				t.Errorf("%s ran on %+v", model, out.Device)
			}
		}
	}
	if n := a.held.Load(); n != 1 {
		t.Errorf("%d sessions are open", n)
	}
}
