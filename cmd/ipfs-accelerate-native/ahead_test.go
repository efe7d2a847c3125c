//go:build unix

package main_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

// stepByStep opens sessions that don't know of several steps at once.
type stepByStep struct{ opener }

func (o *stepByStep) Open(ctx context.Context, file string) (engine.Session, error) {
	s, err := o.opener.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	return oneStep{s.(engine.Keeper)}, nil //nolint:forcetypeassert // the runner's is one
}

type oneStep struct{ engine.Keeper }

func (s oneStep) RunKept(ctx context.Context, in engine.Tensors, k engine.Kept) (engine.Tensors, error) {
	k.Greedy = nil
	return s.Keeper.RunKept(ctx, in, k)
}

// Several steps at once write what one at a time writes, to the model's limit,
// by graphs of both kinds; a text that was begun so is gone on with.
func TestGeneration_ahead(t *testing.T) {
	for _, dir := range []string{"gpt2", "merged"} {
		m := folder(t, "testdata/generation/"+dir)
		w := newWriter(t, m)
		p, err := tasks.TextGeneration(renderNative).Load(t.Context(), m)
		must(t, err)
		single := &stepByStep{opener{t: t, p: newProvider(t, runner.Options{}), m: m}}
		for _, prompt := range []string{"The river", "Anna walks over the bridge and thinks of Paris."} {
			const parameters = `{"raw":true,"max_new_tokens":1000,"do_sample":false}`
			a, err := p.Run(t.Context(), single, engine.Request{Items: texts(prompt), Parameters: json.RawMessage(parameters)})
			must(t, err)
			want := a.Outputs[0]
			a, err = w.try(texts(prompt)[0], parameters)
			must(t, err)
			if got := a.Outputs[0]; *got.GeneratedText != *want.GeneratedText || got.GeneratedTokens != want.GeneratedTokens || got.FinishReason != want.FinishReason {
				t.Errorf("%s: %q: %q (%d), one by one %q (%d)", dir, prompt, *got.GeneratedText, got.GeneratedTokens, *want.GeneratedText, want.GeneratedTokens)
			}
		}
		if w.open.ahead.Load() == 0 {
			t.Errorf("%s: all steps were made one by one", dir)
		}
	}
}

// What can't be gone on with is refused before anything runs.
func TestGreedy_refused(t *testing.T) {
	m := folder(t, "testdata/generation/gpt2")
	o := &opener{t: t, p: newProvider(t, runner.Options{}), m: m}
	s, err := o.Open(t.Context(), "model.onnx")
	must(t, err)
	k := s.(engine.Keeper) //nolint:forcetypeassert // the runner's is one
	ids := engine.NewTensor([]int64{1, 2}, []int64{5, 6})
	past := map[string]string{"past_key_values.0.key": "present.0.key"}
	for name, c := range map[string]struct {
		in engine.Tensors
		k  engine.Kept
	}{
		"too many steps":  {engine.Tensors{"input_ids": ids}, engine.Kept{Greedy: &engine.Greedy{Steps: engine.MaxGreedy + 1}}},
		"no steps":        {engine.Tensors{"input_ids": ids}, engine.Kept{Greedy: &engine.Greedy{}}},
		"nothing kept":    {engine.Tensors{"input_ids": ids}, engine.Kept{Greedy: &engine.Greedy{Steps: 2, Past: past}}},
		"kept logits":     {engine.Tensors{"input_ids": ids}, engine.Kept{Keep: map[string]string{"logits": "x"}, Greedy: &engine.Greedy{Steps: 2}}},
		"no tokens":       {engine.Tensors{}, engine.Kept{Greedy: &engine.Greedy{Steps: 2}}},
		"several texts":   {engine.Tensors{"input_ids": engine.NewTensor([]int64{2, 1}, []int64{5, 6})}, engine.Kept{Greedy: &engine.Greedy{Steps: 2}}},
		"mask of no kind": {engine.Tensors{"input_ids": ids, "attention_mask": engine.NewTensor([]int64{1, 2}, []float32{1, 1})}, engine.Kept{Greedy: &engine.Greedy{Steps: 2}}},
	} {
		if _, err := k.RunKept(t.Context(), c.in, c.k); engine.Explain(err).Code != engine.ErrInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}
