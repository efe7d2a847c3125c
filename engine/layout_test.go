package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

// watching is a provider that notes the folders it opens models in, and finds
// those with a bad file invalid.
type watching struct {
	enginetest.Fake
	mu   sync.Mutex // guards dirs
	dirs []string
}

func (p *watching) NewSession(ctx context.Context, m *engine.Model, file string, plan engine.Plan) (engine.Session, error) {
	p.mu.Lock()
	p.dirs = append(p.dirs, m.Dir)
	p.mu.Unlock()
	return p.Fake.NewSession(ctx, m, file, plan)
}

// large adds 17 MiB of ones to x.
func large() om.Model {
	const n = 17 << 18
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	return om.Model{Graph: om.Graph{
		Inputs: []om.Value{om.Dims("x", om.Float, n)}, Outputs: []om.Value{om.Dims("y", om.Float, n)},
		Initializers: []om.Tensor{om.Floats("few", []int64{1}, 7), om.Floats("ones", []int64{n}, ones...)},
		Nodes:        []om.Node{{Op: "Add", Inputs: []string{"x", "ones"}, Outputs: []string{"y"}}},
	}}
}

func (w *world) addOnes(t *testing.T) {
	t.Helper()
	file := filepath.Join(w.dir, "x.npy")
	f, err := os.Create(file)
	must(t, err)
	must(t, engine.WriteNPY(f, engine.NewTensor([]int64{17 << 18}, make([]float32, 17<<18))))
	must(t, f.Close())
	a, err := w.Infer(t.Context(), engine.InferRequest{Model: "large", Tensors: []engine.TensorInput{{Name: "x", File: file}}}, quiet)
	must(t, err)
	for _, v := range a.Tensors[0].Preview {
		if v != "1" {
			t.Fatalf("the sum is %v", a.Tensors[0].Preview)
		}
	}
}

// A large model is loaded as it is at first, then by its layout; a layout that
// is damaged is thrown away.
func TestLayout(t *testing.T) {
	first, second := &watching{}, &watching{}
	w := newWorld(t, first, engine.Options{LayoutLimit: 1 << 30})
	w.add(t, "large", large())
	w.addOnes(t)
	derived := filepath.Join(w.own, "derived")
	var made []string
	for len(made) == 0 && t.Context().Err() == nil { // it is made in the background
		runtime.Gosched()
		made, _ = filepath.Glob(filepath.Join(derived, "b*", "*", "model.onnx"))
	}
	if n := engine.DiskUse(derived); n < 17<<20 || n > 18<<20 {
		t.Errorf("the layout takes %d bytes", n)
	}
	st, err := os.Stat(made[0])
	must(t, err)
	if st.Size() > 1024 {
		t.Errorf("%d bytes are left in the model itself", st.Size())
	}
	w.again(t, second).addOnes(t)
	if strings.HasPrefix(first.dirs[0], derived) || len(second.dirs) != 1 || !strings.HasPrefix(second.dirs[0], derived) {
		t.Errorf("models were opened in %q, then %q", first.dirs, second.dirs)
	}

	must(t, os.WriteFile(made[0], []byte("no model"), 0o600))
	third := &watching{}
	w.again(t, third).addOnes(t)
	if len(third.dirs) != 2 || !strings.HasPrefix(third.dirs[0], derived) || strings.HasPrefix(third.dirs[1], derived) {
		t.Errorf("with a damaged layout models were opened in %q", third.dirs)
	}
}

// Without room, or for a small model, nothing is laid out.
func TestLayout_notMade(t *testing.T) {
	for name, limit := range map[string]int64{"none": 0, "little": 17 << 20} {
		w := newWorld(t, &enginetest.Fake{}, engine.Options{LayoutLimit: limit})
		w.add(t, "large", large())
		w.addOnes(t)
		must(t, w.Close())
		if n := engine.DiskUse(filepath.Join(w.own, "derived")); n != 0 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}
