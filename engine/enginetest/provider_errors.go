package enginetest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

func wantCode(t *testing.T, err error, want engine.Code) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v; want code %s", err, want)
	}
}

// badInputs are refused with what would have been right.
func (s suite) badInputs(t *testing.T) {
	session := s.session(t, Add())
	good := engine.NewTensor([]int64{1, 3}, []float32{1, 2, 3})
	for name, in := range map[string]engine.Tensors{
		"none":         {},
		"missing":      {"left": good},
		"nil":          {"left": good, "right": nil},
		"data type":    {"left": good, "right": engine.NewTensor([]int64{1, 3}, []int32{1, 2, 3})},
		"rank":         {"left": good, "right": engine.NewTensor([]int64{3}, []float32{1, 2, 3})},
		"dimension":    {"left": good, "right": engine.NewTensor([]int64{1, 4}, []float32{1, 2, 3, 4})},
		"too short":    {"left": good, "right": {DType: engine.Float32, Shape: []int64{1, 3}, Data: make([]byte, 8)}},
		"negative":     {"left": good, "right": {DType: engine.Float32, Shape: []int64{-1, 3}, Data: make([]byte, 12)}},
		"overflow":     {"left": good, "right": {DType: engine.Float32, Shape: []int64{1 << 62, 3}, Data: make([]byte, 12)}},
		"unknown type": {"left": good, "right": {DType: "float7", Shape: []int64{1, 3}, Data: make([]byte, 12)}},
		"unknown name": {"left": good, "right": good, "other": good},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := session.Run(t.Context(), in)
			wantCode(t, err, engine.ErrInvalidArgument)
		})
	}
	t.Run("misspelt", func(t *testing.T) {
		_, err := session.Run(t.Context(), engine.Tensors{"left": good, "rigth": good})
		var e *engine.Error
		if !errors.As(err, &e) || !slices.Equal(e.ValidValues, []string{"left", "right"}) || e.Hint == "" {
			t.Errorf("got %#v; want the valid names and a hint", err)
		}
	})
	run(t, session, engine.Tensors{"left": good, "right": good}) // and the session still works
}

// cancel takes a run back that would never end, several times.
func (s suite) cancel(t *testing.T) {
	session := s.session(t, Endless())
	x := engine.NewTensor([]int64{1}, []float32{0})
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := session.Run(ctx, engine.Tensors{"x": x})
			done <- err
		}()
		cancel()
		wantCode(t, <-done, engine.ErrCancelled)
	}
}

// deadline lets a run that would never end run into its deadline.
func (s suite) deadline(t *testing.T) {
	session := s.session(t, Endless())
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := session.Run(ctx, engine.Tensors{"x": engine.NewTensor([]int64{1}, []float32{0})})
		cancel()
		wantCode(t, err, engine.ErrDeadline)
	}
}

// badModels are no models at all, or such that can't be loaded.
func (s suite) badModels(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := make([]byte, 1<<16)
	r := rand.New(rand.NewPCG(seed, seed))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	whole := Endless().Marshal()
	flawed := Identity(om.Float, 1)
	flawed.Graph.Initializers = []om.Tensor{{Name: "w", DType: om.Float, Shape: []int64{1 << 40, 1 << 40}, Raw: []byte{1, 2, 3, 4}}}
	flawed.Graph.Nodes[0] = om.Node{Op: "Add", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}
	unknown := Identity(om.Float, 1)
	unknown.Graph.Nodes[0].Op = "NoSuchOperator"
	for name, data := range map[string][]byte{
		"empty":            {},
		"random":           random,
		"text":             []byte("this is no model\n"),
		"truncated":        whole[:len(whole)/2],
		"huge length":      {0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"zeros":            bytes.Repeat([]byte{0}, 1000),
		"unknown operator": unknown.Marshal(),
		"huge initialiser": flawed.Marshal(),
	} {
		t.Run(name, func(t *testing.T) { s.wantInvalid(t, WriteModelFile(t, data), ModelFile) })
	}
	t.Run("no such file", func(t *testing.T) { s.wantInvalid(t, WriteModel(t, Add()), "absent.onnx") })
}

func (s suite) wantInvalid(t *testing.T, m *engine.Model, file string) {
	t.Helper()
	session, err := s.p.NewSession(t.Context(), m, file, s.plan)
	wantCode(t, err, engine.ErrModelInvalid)
	if err == nil {
		session.Close() // it should not exist
		return
	}
	if bytes.Contains([]byte(err.Error()), []byte(m.Dir)) {
		t.Errorf("the error tells a path of this machine: %v", err)
	}
}

// externalData is read from the model's own folder and from nowhere else.
func (s suite) externalData(t *testing.T) {
	t.Run("inside", func(t *testing.T) {
		m := WriteModel(t, External("weights.bin", 8))
		if err := os.WriteFile(filepath.Join(m.Dir, "weights.bin"), []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40}, 0o600); err != nil {
			t.Fatal(err)
		}
		session, err := s.p.NewSession(t.Context(), m, ModelFile, s.plan)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close() // not what is tested
		in := engine.NewTensor([]int64{2}, []float32{10, 20})
		wantSame(t, run(t, session, engine.Tensors{"x": in})["y"], engine.NewTensor([]int64{2}, []float32{11, 22}))
	})
	for name, location := range map[string]string{
		"above":    "../../../../../../../../../../etc/passwd",
		"absolute": "/etc/passwd",
		"absent":   "absent.bin",
	} {
		t.Run(name, func(t *testing.T) { s.wantInvalid(t, WriteModel(t, External(location, 8)), ModelFile) })
	}
}
