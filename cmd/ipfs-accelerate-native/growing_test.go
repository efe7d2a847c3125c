//go:build unix

package main_test

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

// The sizes of a model with one layer of grouped attention.
const (
	groupedWords = 64
	groupedHeads = 4 // of the query; half as many of the keys
	groupedSize  = 8
)

// grouped is a language model of one GroupQueryAttention, whose weights are
// random numbers, and whose logits are what attention gives.
func grouped(t *testing.T) *engine.Model {
	t.Helper()
	table := func(name string, width int) om.Tensor {
		values := make([]float32, groupedWords*width)
		for i := range values {
			values[i] = float32(rand.NormFloat64())
		}
		return om.Floats(name, []int64{groupedWords, int64(width)}, values...)
	}
	cast := func(from, to string) om.Node {
		return om.Node{Op: "Cast", Inputs: []string{from}, Outputs: []string{to}, Attributes: []om.Attribute{om.Attr("to", int(om.Int32))}}
	}
	gather := func(from, ids, to string) om.Node {
		return om.Node{Op: "Gather", Inputs: []string{from, ids}, Outputs: []string{to}}
	}
	past := func(name string) om.Value {
		return om.Value{Name: name, DType: om.Float, Shape: []om.Dim{{Size: 1}, {Size: groupedHeads / 2}, {Symbol: "tokens"}, {Size: groupedSize}}}
	}
	m := om.Model{Opsets: []om.Opset{{Version: 18}, {Domain: "com.microsoft", Version: 1}}, Graph: om.Graph{
		Inputs: []om.Value{
			om.Symbols("input_ids", om.Int64, "batch", "n"), om.Symbols("attention_mask", om.Int64, "batch", "total"),
			past("past_key_values.0.key"), past("past_key_values.0.value"),
		},
		Outputs: []om.Value{om.Symbols("logits", om.Float, "batch", "n", "v"), past("present.0.key"), past("present.0.value")},
		Initializers: []om.Tensor{
			table("wq", groupedHeads*groupedSize), table("wk", groupedHeads/2*groupedSize), table("wv", groupedHeads/2*groupedSize),
			om.Int64s("axes", []int64{1}, 1), om.Int64s("one", nil, 1),
		},
		Nodes: []om.Node{
			gather("wq", "input_ids", "q"), gather("wk", "input_ids", "k"), gather("wv", "input_ids", "v"),
			{Op: "ReduceSum", Inputs: []string{"attention_mask", "axes"}, Outputs: []string{"sum"}, Attributes: []om.Attribute{om.Attr("keepdims", 0)}},
			{Op: "Sub", Inputs: []string{"sum", "one"}, Outputs: []string{"last"}},
			{Op: "Shape", Inputs: []string{"attention_mask"}, Outputs: []string{"shape"}},
			gather("shape", "one", "total"), cast("last", "last32"), cast("total", "total32"),
			{
				Op: "GroupQueryAttention", Domain: "com.microsoft",
				Inputs:     []string{"q", "k", "v", "past_key_values.0.key", "past_key_values.0.value", "last32", "total32"},
				Outputs:    []string{"logits", "present.0.key", "present.0.value"},
				Attributes: []om.Attribute{om.Attr("num_heads", groupedHeads), om.Attr("kv_num_heads", groupedHeads/2)},
			},
		},
	}}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "model.onnx"), m.Marshal(), 0o600))
	return folder(t, dir)
}

// A chain is a text that is read part by part.
type chain struct {
	t      *testing.T
	s      engine.Keeper
	tokens []int64
	name   string // that its past is kept under
}

// read goes on with so many tokens and returns the logits of the last. The past
// is kept under the name as; more is how many tokens too many the mask has.
func (c *chain) read(ctx context.Context, n int, as string, more int) ([]float32, error) {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = rand.Int64N(groupedWords)
	}
	out, err := c.s.RunKept(ctx, c.inputs(ids, more), c.kept(as))
	if err != nil {
		return nil, err
	}
	c.tokens, c.name = append(slices.Clip(c.tokens), ids...), as
	return lastLogits(c.t, out), nil
}

func lastLogits(t *testing.T, out engine.Tensors) []float32 {
	t.Helper()
	all, err := engine.Values[float32](out["logits"])
	must(t, err)
	return all[len(all)-groupedHeads*groupedSize:]
}

func (c *chain) inputs(ids []int64, more int) engine.Tensors {
	mask := make([]int64, len(c.tokens)+len(ids)+more)
	for i := range mask {
		mask[i] = 1
	}
	in := engine.Tensors{
		"input_ids":      engine.NewTensor([]int64{1, int64(len(ids))}, ids),
		"attention_mask": engine.NewTensor([]int64{1, int64(len(mask))}, mask),
	}
	for _, name := range []string{"past_key_values.0.key", "past_key_values.0.value"} {
		if len(c.tokens) == 0 {
			in[name] = engine.NewTensor([]int64{1, groupedHeads / 2, 0, groupedSize}, []float32{})
		}
	}
	return in
}

func (c *chain) kept(as string) engine.Kept {
	k := engine.Kept{Take: map[string]string{}, Keep: map[string]string{}}
	for _, present := range []string{"present.0.key", "present.0.value"} {
		k.Keep[present] = as + present
		if len(c.tokens) > 0 {
			k.Take[strings.Replace(present, "present", "past_key_values", 1)] = c.name + present
		}
	}
	return k
}

// wantWhole compares logits with those of all the tokens, read at once by a
// session that keeps nothing.
func (c *chain) wantWhole(got []float32) {
	c.t.Helper()
	out, err := c.s.Run(c.t.Context(), (&chain{}).inputs(c.tokens, 0))
	must(c.t, err)
	for i, want := range lastLogits(c.t, out) {
		if math.Abs(float64(got[i]-want)) > 1e-5 {
			c.t.Fatalf("after %d tokens logit %d is %g, read at once %g", len(c.tokens), i, got[i], want)
		}
	}
}

// A past that grows where it lies is what one that is copied would be: while it
// outgrows its room, when two texts go on from it, and after runs that failed.
func TestSession_pastsInPlace(t *testing.T) {
	m := grouped(t)
	o := &opener{t: t, p: newProvider(t, runner.Options{}), m: m}
	s, err := o.Open(t.Context(), "model.onnx")
	must(t, err)
	k := s.(engine.Keeper) //nolint:forcetypeassert // the runner's is one
	a := &chain{t: t, s: k}
	for len(a.tokens) < 700 {
		n := 1
		if rand.IntN(3) == 0 {
			n = 1 + rand.IntN(60)
		}
		logits, err := a.read(t.Context(), n, "a", 0)
		must(t, err)
		a.wantWhole(logits)
		if _, err := a.read(t.Context(), 1, "a", 1+rand.IntN(300)); engine.Explain(err).Code != engine.ErrInvalidArgument {
			t.Fatalf("a mask that is too long: %v", err)
		}
	}
	for _, name := range []string{"b", "c"} {
		b := *a
		for range 3 {
			logits, err := b.read(t.Context(), 1+rand.IntN(3), name, 0)
			must(t, err)
			b.wantWhole(logits)
		}
	}
	logits, err := a.read(t.Context(), 2, "a", 0)
	must(t, err)
	a.wantWhole(logits)
	short := *a
	short.tokens = a.tokens[:100] // a text that begins as this one does
	logits, err = short.read(t.Context(), 5, "d", 0)
	must(t, err)
	short.wantWhole(logits)
}
