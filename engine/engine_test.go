package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/workloads"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// A log is a working result log in memory. The real one is asked through a
// child that needs C; what it does with a batch is tested in its room.
type log struct {
	mu   sync.Mutex // guards what follows
	all  benchdb.Batch
	full error // what Record answers, as on a full disk
}

func (l *log) Record(_ context.Context, b benchdb.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full != nil {
		return l.full
	}
	l.all.Environments = append(l.all.Environments, b.Environments...)
	l.all.Runs = append(l.all.Runs, b.Runs...)
	l.all.Results = append(l.all.Results, b.Results...)
	l.all.Plans = append(l.all.Plans, b.Plans...)
	l.all.Inferences = append(l.all.Inferences, b.Inferences...)
	l.all.Fetches = append(l.all.Fetches, b.Fetches...)
	l.all.Platforms = append(l.all.Platforms, b.Platforms...)
	return nil
}

func (l *log) Query(_ context.Context, q benchdb.Query) (benchdb.Table, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := benchdb.Table{Total: -1}
	for _, r := range l.all.Runs {
		if r.ID == q.RunID {
			row, err := json.Marshal(r)
			if err != nil {
				return t, err
			}
			t.Rows = []json.RawMessage{row}
		}
	}
	return t, nil
}

func (l *log) runs() []benchdb.Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Runs
}

func (l *log) inferences() []benchdb.Inference {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Inferences
}

// world is an engine with a real store and a provider in pure Go.
type world struct {
	*engine.Engine
	log   *log
	store *ipfsstore.Store
	dir   string // allowed to callers
	own   string // the engine's
}

// again is another engine on the same store and folder.
func (w *world) again(t *testing.T, ps ...engine.ExecutionProvider) *world {
	t.Helper()
	r := &engine.Registry{}
	for _, p := range ps {
		r.RegisterProvider(p)
	}
	other := &world{log: &log{}, store: w.store, dir: w.dir, own: w.own}
	other.Engine = engine.New(engine.Options{
		Plugins: r, Models: w.store, Results: other.log, Dir: w.own, LayoutLimit: 1 << 30, Paths: engine.Paths{Allowed: []string{w.dir}},
	})
	t.Cleanup(func() { must(t, other.Close()) })
	return other
}

func newWorld(t *testing.T, p engine.ExecutionProvider, o engine.Options, plugins ...func(*engine.Registry)) *world {
	t.Helper()
	w := &world{log: &log{}, dir: t.TempDir()}
	var err error
	if s, ok := o.Models.(*ipfsstore.Store); ok {
		w.store = s
	} else {
		w.store, err = ipfsstore.Open(t.TempDir(), ipfsstore.Options{})
		must(t, err)
	}
	r := &engine.Registry{}
	r.RegisterProvider(p)
	r.RegisterWorkload(workloads.Latency())
	r.RegisterWorkload(workloads.Offline())
	for _, add := range plugins {
		add(r)
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Plugins, o.Models, o.Results, w.own = r, w.store, w.log, o.Dir
	o.Paths.Allowed = append(o.Paths.Allowed, w.dir)
	w.Engine = engine.New(o)
	t.Cleanup(func() { must(t, errors.Join(w.Close(), w.store.Close())) })
	return w
}

// add puts a model into the store under a name.
func (w *world) add(t *testing.T, name string, m om.Model) string {
	t.Helper()
	dir := filepath.Join(w.dir, name)
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "model.onnx"), m.Marshal(), 0o600))
	a, err := w.store.Add(t.Context(), dir, ipfsstore.AddOptions{Name: name})
	must(t, err)
	return a.Root
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func quiet(engine.Progress) {}

// sums are the inputs of enginetest.Add for one row.
func sums(left, right string) []engine.TensorInput {
	return []engine.TensorInput{
		{Name: "left", Shape: []int64{1, 3}, Data: numbers(left)}, {Name: "right", Shape: []int64{1, 3}, Data: numbers(right)},
	}
}

func numbers(list string) engine.Numbers {
	var ns engine.Numbers
	for n := range strings.FieldsSeq(list) {
		ns = append(ns, json.Number(n))
	}
	return ns
}

// linear are the operators of the canary, in Go.
func linear(off float32) map[string]enginetest.Op {
	return map[string]enginetest.Op{
		"MatMul": func(_ context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
			a, err1 := engine.Values[float32](in[0])
			b, err2 := engine.Values[float32](in[1])
			n, k, m := in[0].Shape[0], in[0].Shape[1], in[1].Shape[1]
			out := make([]float32, n*m)
			for i := range n {
				for j := range m {
					for l := range k {
						out[i*m+j] += a[i*k+l] * b[l*m+j]
					}
					out[i*m+j] += off
				}
			}
			return []*engine.Tensor{engine.NewTensor([]int64{n, m}, out)}, errors.Join(err1, err2)
		},
		"Add": func(_ context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
			a, err1 := engine.Values[float32](in[0])
			b, err2 := engine.Values[float32](in[1])
			out := make([]float32, len(a))
			for i := range a {
				out[i] = a[i] + b[i%len(b)]
			}
			return []*engine.Tensor{engine.NewTensor(in[0].Shape, out)}, errors.Join(err1, err2)
		},
		"Relu": func(_ context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
			a, err := engine.Values[float32](in[0])
			out := make([]float32, len(a))
			for i := range a {
				out[i] = max(a[i], 0)
			}
			return []*engine.Tensor{engine.NewTensor(in[0].Shape, out)}, err
		},
	}
}

func TestDetect_canaryDecides(t *testing.T) {
	for name, c := range map[string]struct {
		off       float32
		available bool
	}{"right": {0, true}, "wrong": {0.01, false}} {
		w := newWorld(t, &enginetest.Fake{Ops: linear(c.off)}, engine.Options{})
		d, err := w.Detect(t.Context(), engine.DetectRequest{}, quiet)
		must(t, err)
		if len(d.Platforms) != 9 || d.Platforms[8].Kind != hardware.CPU {
			t.Fatalf("%s: platforms %+v", name, d.Platforms)
		}
		cpu := d.Platforms[8]
		if cpu.Available != c.available || (cpu.Verified != nil) != c.available || (d.Best == "cpu") != c.available || (cpu.Reason == "") != c.available {
			t.Errorf("%s: %+v, best %q", name, cpu, d.Best)
		}
		for _, p := range d.Platforms[:8] {
			if p.Available || p.Reason == "" || len(p.Evidence) == 0 {
				t.Errorf("%s: %+v", p.Kind, p)
			}
		}
	}
}

func TestDetect_withoutRuntime(t *testing.T) {
	w := newWorld(t, &missing{}, engine.Options{})
	d, err := w.Detect(t.Context(), engine.DetectRequest{}, quiet)
	must(t, err)
	cpu := d.Platforms[8]
	if cpu.Available || !cpu.Present || cpu.Fix != "install it" || d.Best != "" || !strings.Contains(d.Summary, "not installed") {
		t.Errorf("%+v, %q", cpu, d.Summary)
	}
	w.add(t, "sum", enginetest.Add())
	if _, err := w.Infer(t.Context(), engine.InferRequest{Model: "sum", Tensors: sums("1 2 3", "1 1 1")}, quiet); !errors.Is(err, engine.ErrRuntimeMissing) {
		t.Errorf("infer: %v", err)
	}
}

// missing is a provider without its library.
type missing struct{ enginetest.Fake }

func (missing) Name() string { return "missing" }

func (missing) Devices(context.Context) ([]hardware.Device, error) {
	return nil, engine.Errorf(engine.ErrRuntimeMissing, "the runtime is not installed").WithHint("install it")
}

func TestInfer_tensors(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{Paths: engine.Paths{Hint: "allow it"}})
	root := w.add(t, "sum", enginetest.Add())
	for i, cache := range []string{"L2", "L1"} {
		a, err := w.Infer(t.Context(), engine.InferRequest{Model: "sum", Tensors: sums("1 2 3", "10 20 30"), Detail: "full"}, quiet)
		must(t, err)
		if got := a.Tensors[0].Data; len(got) != 3 || got[0] != "11" || got[2] != "33" {
			t.Errorf("sum is %v", got)
		}
		if a.Cache != cache || a.Model.CID != root || a.Device.ID != "cpu" || a.Device.Why == "" || !a.Recorded || a.Status != benchdb.Completed {
			t.Errorf("call %d: %+v, device %+v", i, a, a.Device)
		}
	}
	rows := w.log.inferences()
	if len(rows) != 2 || rows[0].ModelCID != root || rows[0].Error != "" || rows[1].TotalMS <= 0 {
		t.Errorf("recorded %+v", rows)
	}
	if len(w.log.runs()) != 0 {
		t.Errorf("quick calls were announced: %+v", w.log.runs())
	}
}

func TestInfer_npyInAndOut(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	w.add(t, "sum", enginetest.Add())
	x := engine.NewTensor([]int64{2, 3}, []float32{1, 2, 3, 4, 5, 6})
	var npy bytes.Buffer
	must(t, engine.WriteNPY(&npy, x))
	file := filepath.Join(w.dir, "x.npy")
	must(t, os.WriteFile(file, npy.Bytes(), 0o600))
	in := []engine.TensorInput{{Name: "left", File: file}, {Name: "right", File: file}}
	for range 3 { // the memory of files is used again
		a, err := w.Infer(t.Context(), engine.InferRequest{Model: "sum", Tensors: in, OutputFile: "y.npy"}, quiet)
		must(t, err)
		data, mediaType, err := w.File(a.RunID, "y.npy")
		must(t, err)
		y, err := engine.ReadNPY(bytes.NewReader(data), 1<<20)
		must(t, err)
		values, err := engine.Values[float32](y)
		must(t, err)
		if values[5] != 12 || mediaType != "application/octet-stream" || a.Files[0].URI != "results://"+a.RunID+"/y.npy" || a.Files[0].Bytes != int64(len(data)) {
			t.Errorf("%v, %s, %+v", values, mediaType, a.Files)
		}
	}
	for _, bad := range []string{"../y.npy", "/y.npy", "a/b.npy", ".hidden", "..", strings.Repeat("x", 200), `a\b`} {
		if _, err := w.Infer(t.Context(), engine.InferRequest{Model: "sum", Tensors: in, OutputFile: bad}, quiet); !errors.Is(err, engine.ErrInvalidArgument) {
			t.Errorf("output file %q: %v", bad, err)
		}
	}
	for _, bad := range [][2]string{{"not-a-run", "y.npy"}, {"01a2055f-0053-7d5d-a66f-b5d6a245fd09", "../../x"}} {
		if _, _, err := w.File(bad[0], bad[1]); !errors.Is(err, engine.ErrRunNotFound) {
			t.Errorf("file %v: %v", bad, err)
		}
	}
}

func TestInfer_callersMistakes(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{Paths: engine.Paths{Hint: "allow it"}})
	w.add(t, "sum", enginetest.Add())
	good := sums("1 2 3", "1 1 1")
	for name, c := range map[string]struct {
		r    engine.InferRequest
		code engine.Code
		hint string
	}{
		"no model":          {engine.InferRequest{Tensors: good}, engine.ErrInvalidArgument, "model"},
		"no input":          {engine.InferRequest{Model: "sum"}, engine.ErrInvalidArgument, "inputs"},
		"two inputs":        {engine.InferRequest{Model: "sum", Tensors: good, Inputs: []string{"x"}}, engine.ErrInvalidArgument, "inputs"},
		"typo":              {engine.InferRequest{Model: "sun", Tensors: good}, engine.ErrModelNotFound, "sum"},
		"unknown model":     {engine.InferRequest{Model: "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am", Tensors: good}, engine.ErrModelNotFound, "--source"},
		"web address":       {engine.InferRequest{Model: "https://example.org/m.onnx", Tensors: good}, engine.ErrInvalidArgument, "CID"},
		"outside":           {engine.InferRequest{Model: "/etc", Tensors: good}, engine.ErrNotAllowed, "allow it"},
		"no task":           {engine.InferRequest{Model: "sum", Inputs: []string{"x"}}, engine.ErrTaskUnknown, "task"},
		"unknown task":      {engine.InferRequest{Model: "sum", Inputs: []string{"x"}, Task: "dance"}, engine.ErrUnsupported, ""},
		"misspelt platform": {engine.InferRequest{Model: "sum", Tensors: good, Device: "openvin"}, engine.ErrInvalidArgument, "openvino"},
		"unknown device":    {engine.InferRequest{Model: "sum", Tensors: good, Device: "cpuu"}, engine.ErrInvalidArgument, "cpu"},
		"absent device":     {engine.InferRequest{Model: "sum", Tensors: good, Device: "directml"}, engine.ErrDeviceUnavailable, ""},
		"no variant":        {engine.InferRequest{Model: "sum", Tensors: good, Precision: "fp16"}, engine.ErrInvalidArgument, "auto"},
		"missing input":     {engine.InferRequest{Model: "sum", Tensors: good[:1]}, engine.ErrInvalidArgument, "right"},
		"input typo":        {engine.InferRequest{Model: "sum", Tensors: append([]engine.TensorInput{{Name: "lefft", Shape: []int64{1, 3}, Data: numbers("1 2 3")}}, good...)}, engine.ErrInvalidArgument, "left"},
		"wrong shape":       {engine.InferRequest{Model: "sum", Tensors: []engine.TensorInput{good[0], {Name: "right", Shape: []int64{1, 4}, Data: numbers("1 2 3 4")}}}, engine.ErrInvalidArgument, ""},
		"overflow":          {engine.InferRequest{Model: "sum", Tensors: []engine.TensorInput{good[0], {Name: "right", Shape: []int64{1 << 62, 8}, Data: numbers("1")}}}, engine.ErrInvalidArgument, ""},
		"huge":              {engine.InferRequest{Model: "sum", Tensors: []engine.TensorInput{good[0], {Name: "right", Shape: []int64{1 << 40}, Data: numbers("1")}}}, engine.ErrTooLarge, ""},
		"no int":            {engine.InferRequest{Model: "sum", Tensors: []engine.TensorInput{good[0], {Name: "right", DType: engine.Int8, Shape: []int64{1, 3}, Data: numbers("1 300 1")}}}, engine.ErrInvalidArgument, ""},
		"no base64":         {engine.InferRequest{Model: "sum", Tensors: []engine.TensorInput{good[0], {Name: "right", Shape: []int64{1, 3}, Base64: "*"}}}, engine.ErrInvalidArgument, ""},
	} {
		_, err := w.Infer(t.Context(), c.r, quiet)
		info := engine.Explain(err)
		if !errors.Is(err, c.code) || !strings.Contains(info.Hint+strings.Join(info.ValidValues, " ")+info.Message, c.hint) {
			t.Errorf("%s: %v, hint %q, want %s", name, err, info.Hint, c.code)
		}
		if strings.Contains(info.Message+info.Hint, w.dir) {
			t.Errorf("%s tells a path: %+v", name, info)
		}
	}
}

// A process that dies under a run costs nothing but a warning, once.
func TestInfer_retriesACrashOnce(t *testing.T) {
	for crashes, works := range map[int64]bool{1: true, 2: false} {
		var left atomic.Int64
		left.Store(crashes)
		ops := linear(0)
		ops["Crash"] = func(_ context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
			if left.Add(-1) >= 0 {
				return nil, engine.Errorf(engine.ErrRunnerCrashed, "killed")
			}
			return in, nil
		}
		w := newWorld(t, &enginetest.Fake{Ops: ops}, engine.Options{})
		m := enginetest.Identity(om.Float, 1)
		m.Graph.Nodes[0].Op = "Crash"
		w.add(t, "fragile", m)
		x := []engine.TensorInput{{Name: "x", Shape: []int64{1}, Data: numbers("5")}}
		a, err := w.Infer(t.Context(), engine.InferRequest{Model: "fragile", Tensors: x}, quiet)
		if (err == nil) != works || works && len(a.Warnings) != 1 || !works && !errors.Is(err, engine.ErrRunnerCrashed) {
			t.Errorf("%d crashes: %v, warnings %v", crashes, err, a.Warnings)
		}
		if _, err := w.Infer(t.Context(), engine.InferRequest{Model: "fragile", Tensors: x}, quiet); err != nil {
			t.Errorf("the next call: %v", err)
		}
	}
}

// blocker is a model that waits until it is released.
func blocker(t *testing.T, o engine.Options) (w *world, release, entered chan struct{}) {
	release, entered = make(chan struct{}), make(chan struct{}, 16)
	fake := &enginetest.Fake{Ops: map[string]enginetest.Op{"Wait": func(ctx context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
		entered <- struct{}{}
		select {
		case <-release:
			return in, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}}
	w = newWorld(t, fake, o)
	m := enginetest.Identity(om.Float, 1)
	m.Graph.Nodes[0].Op = "Wait"
	w.add(t, "slow", m)
	return w, release, entered
}

var slow = engine.InferRequest{Model: "slow", Tensors: []engine.TensorInput{{Name: "x", Shape: []int64{1}, Data: numbers("5")}}, Detail: "full"}

func TestRuns_asyncAnswersLater(t *testing.T) {
	w, release, entered := blocker(t, engine.Options{})
	r := slow
	r.Mode = engine.ModeAsync
	a, err := w.Infer(t.Context(), r, quiet)
	must(t, err)
	if a.Status != benchdb.Running || a.RunID == "" || len(a.NextSteps) == 0 {
		t.Fatalf("%+v", a)
	}
	<-entered
	status := func() (benchdb.Status, engine.Results) {
		res, err := w.Results(t.Context(), engine.ResultsRequest{RunID: a.RunID}, quiet)
		must(t, err)
		return res.Run.Status, res
	}
	if s, _ := status(); s != benchdb.Running {
		t.Errorf("it is %s", s)
	}
	close(release)
	s, res := status()
	for s == benchdb.Running {
		s, res = status()
	}
	if s != benchdb.Completed || !strings.Contains(string(res.Run.Result.RawMessage), `"data":[5]`) {
		t.Errorf("%s: %s", s, res.Run.Result.RawMessage)
	}
}

func TestRuns_cancel(t *testing.T) {
	w, _, entered := blocker(t, engine.Options{SyncLimit: time.Nanosecond})
	a, err := w.Infer(t.Context(), slow, quiet)
	must(t, err)
	<-entered
	c, err := w.Infer(t.Context(), engine.InferRequest{Cancel: a.RunID}, quiet)
	must(t, err)
	if c.Status != benchdb.Cancelled {
		t.Errorf("%+v", c)
	}
	must(t, w.Close())
	runs := w.log.runs()
	if last := runs[len(runs)-1]; last.Status != benchdb.Cancelled || last.Error != string(engine.ErrCancelled) {
		t.Errorf("%+v", last)
	}
	if _, err := w.Infer(t.Context(), engine.InferRequest{Cancel: a.RunID}, quiet); !errors.Is(err, engine.ErrRunNotFound) {
		t.Errorf("cancelled twice: %v", err)
	}
}

func TestRuns_callerLeaves(t *testing.T) {
	w, _, entered := blocker(t, engine.Options{SyncLimit: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := w.Infer(ctx, slow, quiet); !errors.Is(err, engine.ErrCancelled) {
		t.Errorf("%v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := w.Infer(ctx, slow, quiet); !errors.Is(err, engine.ErrDeadline) {
		t.Errorf("%v", err)
	}
	rows := w.log.inferences()
	if rows[0].Error != "cancelled" || rows[1].Error != "deadline" {
		t.Errorf("%+v", rows)
	}
}

func TestInfer_changedModel(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	w.add(t, "sum", enginetest.Add())
	r := engine.InferRequest{Model: "sum", Tensors: sums("1 2 3", "1 1 1")}
	_, err := w.Infer(t.Context(), r, quiet)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(w.dir, "sum", "model.onnx"), enginetest.Identity(om.Float, 1).Marshal(), 0o600))
	if _, err := w.Infer(t.Context(), r, quiet); !errors.Is(err, engine.ErrModelChanged) || engine.Explain(err).Hint == "" {
		t.Errorf("an edited model: %v", err)
	}
}

// TestInfer_changedModelFetchedAgain runs the bytes that a model should have,
// where a source has them.
func TestInfer_changedModelFetchedAgain(t *testing.T) {
	whole, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{})
	must(t, err)
	s, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{Sources: []ipfsstore.Source{storetest.Gateway(t, "whole", whole.Gateway())}})
	must(t, err)
	w := newWorld(t, &enginetest.Fake{}, engine.Options{Models: s})
	w.add(t, "sum", enginetest.Add())
	_, err = whole.Add(t.Context(), filepath.Join(w.dir, "sum"), ipfsstore.AddOptions{Copy: true})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(w.dir, "sum", "model.onnx"), enginetest.Identity(om.Float, 1).Marshal(), 0o600))
	for _, level := range []string{"L4", "L2", "L1"} {
		got, err := w.Infer(t.Context(), engine.InferRequest{Model: "sum", Tensors: sums("1 2 3", "1 1 1")}, quiet)
		must(t, err)
		if level == "L4" && got.Cache != level || level != "L4" && got.Cache == "L4" {
			t.Errorf("from %s, want %s", got.Cache, level)
		}
	}
}

// TestInfer_incompleteModel does not run a model whose CAR lacked blocks, and
// says what is lacking.
func TestInfer_incompleteModel(t *testing.T) {
	whole, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{})
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "model.onnx"), enginetest.Add().Marshal(), 0o600))
	a, err := whole.Add(t.Context(), dir, ipfsstore.AddOptions{})
	must(t, err)
	var car bytes.Buffer
	must(t, whole.Export(t.Context(), a.Root, &car))
	size, used := binary.Uvarint(car.Bytes())
	last := car.Len() // of the model's own leaf, which comes last
	for at := used + int(size); at < car.Len(); at += used + int(size) {
		last = at
		size, used = binary.Uvarint(car.Bytes()[at:])
	}
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	_, err = w.store.Import(t.Context(), bytes.NewReader(car.Bytes()[:last]), ipfsstore.AddOptions{Name: "torn"})
	must(t, err)
	_, err = w.Infer(t.Context(), engine.InferRequest{Model: "torn", Tensors: sums("1 2 3", "1 1 1")}, quiet)
	if said := engine.Explain(err); !errors.Is(err, engine.ErrModelNotFound) || !strings.Contains(said.Message, "model.onnx") || !strings.Contains(said.Hint, "fetch_model_cid") {
		t.Errorf("%+v", said)
	}
}

// TestInfer_leasesWhatIsLoaded keeps a model while a session has it open.
func TestInfer_leasesWhatIsLoaded(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	w.add(t, "add", enginetest.Add())
	_, err := w.Infer(t.Context(), engine.InferRequest{Model: "add", Tensors: sums("1 2 3", "4 5 6")}, quiet)
	must(t, err)
	if err := w.store.Remove(t.Context(), "add", false); !errors.Is(err, ipfsstore.ErrInUse) {
		t.Errorf("%v, want ErrInUse", err)
	}
	must(t, w.Close())
	must(t, w.store.Remove(t.Context(), "add", false))
}

func TestInfer_concurrent(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{SessionMemory: 1}) // nothing idle stays open
	w.add(t, "sum", enginetest.Add())
	w.add(t, "same", enginetest.Identity(om.Float, 1))
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			r := engine.InferRequest{Model: "sum", Tensors: sums("1 2 3", "1 1 1")}
			if i%2 == 0 {
				r = engine.InferRequest{Model: "same", Tensors: slow.Tensors}
			}
			if _, err := w.Infer(t.Context(), r, quiet); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestBenchmark_measuresAndRecords(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	w.add(t, "sum", enginetest.Add())
	warm := 2
	var last engine.Progress
	b, err := w.Benchmark(t.Context(), engine.BenchmarkRequest{Model: "sum", Iterations: 50, BatchSizes: []int{1, 4}, Warmup: &warm}, func(p engine.Progress) { last = p })
	must(t, err)
	if len(b.Results) != 2 || b.Results[1].BatchSize != 4 || b.Results[0].Samples != 50 || b.Results[0].Warmup != 2 || b.Results[0].LatencyMS.P50 <= 0 || b.Results[0].LatencyMS.P99 != nil {
		t.Errorf("%+v", b.Results)
	}
	if b.Results[0].MemoryBytes != nil || b.Results[0].AccuracyScore != nil {
		t.Errorf("what was not measured is not null: %+v", b.Results[0])
	}
	if last.Done != 100 || last.Total != 100 || len(b.Warnings) == 0 || b.MachineID == "" {
		t.Errorf("progress %+v, warnings %v", last, b.Warnings)
	}
	rows := w.log.all.Results
	if len(rows) != 2 || len(rows[0].Latencies) != 50 || rows[0].ID != b.Results[0].ResultID || rows[0].RunID != b.RunID || math.IsNaN(rows[0].Throughput) {
		t.Errorf("%+v", rows)
	}
	if runs := w.log.runs(); len(runs) == 0 || runs[len(runs)-1].Status != benchdb.Completed || !json.Valid(runs[len(runs)-1].Answer) {
		t.Errorf("%+v", runs)
	}
}

func TestBenchmark_callersMistakes(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	w.add(t, "sum", enginetest.Add())
	w.add(t, "fixed", enginetest.Identity(om.Float, 1))
	for name, r := range map[string]engine.BenchmarkRequest{
		"no model": {}, "batch": {Model: "sum", BatchSizes: []int{0}}, "workload": {Model: "sum", Workload: "latencyy"},
		"fixed batch": {Model: "fixed", BatchSizes: []int{2}}, "task without inputs": {Model: "sum", Task: "feature-extraction"},
	} {
		if _, err := w.Benchmark(t.Context(), r, quiet); !errors.Is(err, engine.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFetch_localFolder(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{})
	dir := filepath.Join(w.dir, "My Model")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "model.onnx"), enginetest.Add().Marshal(), 0o600))
	f, err := w.Fetch(t.Context(), engine.FetchRequest{Model: dir}, quiet)
	must(t, err)
	if f.Name != "my-model" || f.Level != "L2" || !f.Verified || !f.Complete || len(f.Files) != 1 || f.Storage != "hardlink" || f.Signature == nil || len(f.Signature.Inputs) != 2 {
		t.Errorf("%+v", f)
	}
	dims, err := json.Marshal(f.Signature.Inputs[0].Shape)
	if err != nil || string(dims) != `["batch",3]` {
		t.Errorf("shape %s, %v", dims, err)
	}
	if _, err := w.Fetch(t.Context(), engine.FetchRequest{Model: f.CID, Sources: []string{"nowhere"}}, quiet); !errors.Is(err, engine.ErrInvalidArgument) {
		t.Errorf("an unknown source: %v", err)
	}
	broken := filepath.Join(w.dir, "broken.onnx")
	must(t, os.WriteFile(broken, []byte("no model"), 0o600))
	f, err = w.Fetch(t.Context(), engine.FetchRequest{Model: broken}, quiet)
	if err != nil || len(f.Warnings) == 0 {
		t.Errorf("what is no model is kept with a warning: %v, %v", f.Warnings, err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
