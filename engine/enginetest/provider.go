package enginetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

// TestProvider checks that a provider does what [engine.ExecutionProvider] and
// [engine.Session] promise. newProvider returns one whose first device can run
// models, and which outlives the test it is given.
func TestProvider(t *testing.T, newProvider func(t testing.TB) engine.ExecutionProvider) {
	s := newSuite(t, newProvider)
	t.Run("Devices", s.devices)
	t.Run("Describe", s.describe)
	t.Run("DataTypes", s.dataTypes)
	t.Run("Shapes", s.shapes)
	t.Run("Strings", s.strings)
	t.Run("Add", s.add)
	t.Run("InputsAreLeftAlone", s.inputsLeftAlone)
	t.Run("BadInputs", s.badInputs)
	t.Run("Concurrent", s.concurrent)
	t.Run("Cancel", s.cancel)
	t.Run("Deadline", s.deadline)
	t.Run("CancelledBefore", s.cancelledBefore)
	t.Run("CloseDuringRun", s.closeWhileOthersRun)
	t.Run("BadModels", s.badModels)
	t.Run("ExternalData", s.externalData)
	t.Run("Keep", s.keep)
}

// TestKeeper is the part of TestProvider about values that stay in a session:
// for accelerators, which may not have the types and operators of the rest.
func TestKeeper(t *testing.T, newProvider func(t testing.TB) engine.ExecutionProvider) {
	newSuite(t, newProvider).keep(t)
}

func newSuite(t *testing.T, newProvider func(t testing.TB) engine.ExecutionProvider) suite {
	t.Helper()
	s := suite{p: newProvider(t)}
	devices, err := s.p.Devices(t.Context())
	if err != nil || len(devices) == 0 {
		t.Fatalf("Devices = %v, %v; want one at least", devices, err)
	}
	s.plan = engine.Plan{Device: devices[0], Precision: "fp32", BatchSize: 1, Threads: 1}
	return s
}

// A suite is one provider under test.
type suite struct {
	p    engine.ExecutionProvider
	plan engine.Plan
}

// session opens a model and closes it when the test ends.
func (s suite) session(t *testing.T, m om.Model) engine.Session {
	t.Helper()
	session, err := s.p.NewSession(t.Context(), WriteModel(t, m), ModelFile, s.plan)
	if err != nil {
		t.Fatalf("NewSession: %v", err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return session
}

func run(t *testing.T, s engine.Session, in engine.Tensors) engine.Tensors {
	t.Helper()
	out, err := s.Run(t.Context(), in)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return out
}

func (s suite) devices(t *testing.T) {
	if s.p.Name() == "" {
		t.Error("the provider has no name")
	}
	devices, err := s.p.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, d := range devices {
		if d.ID == "" || d.Kind == "" || len(d.Precisions) == 0 || seen[d.ID] {
			t.Errorf("device %+v lacks an ID of its own, a kind or precisions", d)
		}
		seen[d.ID] = true
	}
}

func (s suite) describe(t *testing.T) {
	d, ok := s.session(t, Add()).(engine.Describer)
	if !ok {
		t.Skip("the provider does not describe its sessions, which is optional")
	}
	info, err := d.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"left", "right"} {
		checkValueInfo(t, info.Inputs[i], name)
	}
	checkValueInfo(t, info.Outputs[0], "sum")
	if !slices.Contains([]string{"landlock+seccomp", "seccomp", "none"}, info.Sandbox) {
		t.Errorf("sandbox is %q", info.Sandbox)
	}
}

func checkValueInfo(t *testing.T, v engine.ValueInfo, name string) {
	t.Helper()
	if v.Name != name || v.DType != engine.Float32 || !slices.Equal(v.Shape, []int64{-1, 3}) || !slices.Equal(v.Names, []string{"batch", ""}) {
		t.Errorf("got %+v; want %s float32 [batch 3]", v, name)
	}
}

// dataTypes has every element type pass through unchanged.
func (s suite) dataTypes(t *testing.T) {
	for number, dtype := range dtypes {
		if dtype == engine.String {
			continue
		}
		t.Run(string(dtype), func(t *testing.T) {
			in := &engine.Tensor{DType: dtype, Shape: []int64{2, 3}, Data: make([]byte, 6*dtype.Size())}
			for i := range in.Data {
				in.Data[i] = byte(i & 1) // what a bool may be too
			}
			wantSame(t, run(t, s.session(t, Identity(number, 2, 3)), engine.Tensors{"x": in})["y"], in)
		})
	}
}

func wantSame(t *testing.T, got, want *engine.Tensor) {
	t.Helper()
	switch {
	case got == nil:
		t.Error("the output is missing")
	case got.DType != want.DType || !slices.Equal(got.Shape, want.Shape):
		t.Errorf("got %s %v; want %s %v", got.DType, got.Shape, want.DType, want.Shape)
	case !slices.Equal(got.Data, want.Data) || !slices.Equal(got.Strings, want.Strings):
		t.Errorf("got %v %q; want %v %q", got.Data, got.Strings, want.Data, want.Strings)
	}
}

// shapes are those at the edge: no dimensions, no elements, and many.
func (s suite) shapes(t *testing.T) {
	for _, shape := range [][]int64{{}, {0}, {2, 0, 3}, {1, 1, 1, 1, 1, 1, 5}, {1 << 16}} {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			n, err := engine.Elements(shape)
			if err != nil {
				t.Fatal(err)
			}
			values := make([]float32, n)
			for i := range values {
				values[i] = float32(i) + 0.5
			}
			in := engine.NewTensor(shape, values)
			wantSame(t, run(t, s.session(t, Identity(om.Float, shape...)), engine.Tensors{"x": in})["y"], in)
		})
	}
}

func (s suite) strings(t *testing.T) {
	in := &engine.Tensor{DType: engine.String, Shape: []int64{2, 2}, Strings: []string{"", "grüß Gott", "a\x00b", "日本"}}
	wantSame(t, run(t, s.session(t, Identity(om.String, 2, 2)), engine.Tensors{"x": in})["y"], in)
}

// add has a symbolic dimension take several sizes in one session.
func (s suite) add(t *testing.T) {
	session := s.session(t, Add())
	for batch := int64(1); batch <= 3; batch++ {
		values := make([]float32, batch*3)
		for i := range values {
			values[i] = float32(i) * 0.25
		}
		in := engine.NewTensor([]int64{batch, 3}, values)
		sum, err := engine.Values[float32](run(t, session, engine.Tensors{"left": in, "right": in})["sum"])
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range sum {
			if v != 2*values[i] {
				t.Fatalf("batch %d: element %d is %v; want %v", batch, i, v, 2*values[i])
			}
		}
	}
}

func (s suite) inputsLeftAlone(t *testing.T) {
	session := s.session(t, Identity(om.Float, 2))
	in := engine.NewTensor([]int64{2}, []float32{1, 2})
	out := run(t, session, engine.Tensors{"x": in})["y"]
	out.Data[0] ^= 0xff
	if values, err := engine.Values[float32](in); err != nil || values[0] != 1 || values[1] != 2 {
		t.Errorf("changing the output changed the input to %v (%v)", values, err)
	}
}

// concurrent has many callers of one session, each of whom gets their own.
func (s suite) concurrent(t *testing.T) {
	session := s.session(t, Add())
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 20 {
				v := float32(worker*100 + i)
				in := engine.NewTensor([]int64{1, 3}, []float32{v, v, v})
				out, err := session.Run(t.Context(), engine.Tensors{"left": in, "right": in})
				if err != nil {
					t.Error(err)
					return
				}
				if sum, err := engine.Values[float32](out["sum"]); err != nil || !slices.Equal(sum, []float32{2 * v, 2 * v, 2 * v}) {
					t.Errorf("worker %d: got %v, %v; want three times %v", worker, sum, err, 2*v)
				}
			}
		})
	}
	wait.Wait()
}

// closeWhileOthersRun closes one session while another keeps working.
func (s suite) closeWhileOthersRun(t *testing.T) {
	stays := s.session(t, Add())
	goes, err := s.p.NewSession(t.Context(), WriteModel(t, Add()), ModelFile, s.plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := goes.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	in := engine.NewTensor([]int64{1, 3}, []float32{1, 2, 3})
	run(t, stays, engine.Tensors{"left": in, "right": in})
}

func (s suite) cancelledBefore(t *testing.T) {
	session := s.session(t, Identity(om.Float, 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := session.Run(ctx, engine.Tensors{"x": engine.NewTensor([]int64{1}, []float32{1})})
	wantCode(t, err, engine.ErrCancelled)
	_, err = s.p.NewSession(ctx, WriteModel(t, Add()), ModelFile, s.plan)
	wantCode(t, err, engine.ErrCancelled)
}
