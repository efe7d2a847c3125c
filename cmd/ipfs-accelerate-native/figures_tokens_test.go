//go:build figures && unix

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

// story asks for a text that does not end within the tokens that are counted.
const story = "Tell me a long story about a ship."

// TestFigures_tokens is how fast SmolLM2 writes, in turn with a loop on Python's
// onnxruntime that has the same file, prompt and number of tokens: as many as by default.
//
// P13 is of a file with GroupQueryAttention, as those made for ONNX Runtime have
// it, P13s of one that has attention spelled out. The prompt is rendered before,
// for both.
func TestFigures_tokens(t *testing.T) {
	tokensPerSecond(t, "P13", smolLM2(t, "grouped"))
	tokensPerSecond(t, "P13s", smolLM2(t))
}

func tokensPerSecond(t *testing.T, id, dir string) {
	const rounds, tokens = 9, 256
	prompt, _ := promptOf(t, dir, story)
	theirs := openRival(t, python(t), realModels+"/greedy.py", filepath.Join(dir, "onnx", "model.onnx"), fmt.Sprint(tokens), endOfText)
	write := storyteller(t, dir, tokens)
	var ours, others, ratios []float64
	for i := range rounds + 1 {
		mine, other := write(), theirs.ask(t, prompt)
		if len(other.IDs) != tokens {
			t.Fatalf("the story ends after %d tokens", len(other.IDs))
		}
		if i > 0 { // the first warms both up
			ours, others, ratios = append(ours, tokens/mine), append(others, tokens/other.Seconds), append(ratios, other.Seconds/mine)
		}
	}
	fmt.Printf("# %s tokens/s: %.1f here, %.1f in Python\n", id, median(ours), median(others))
	atLeast(id, median(ratios), 1)
}

// storyteller returns what writes the story, and says in how many seconds.
func storyteller(t *testing.T, dir string, tokens int) func() float64 {
	t.Helper()
	o := &opener{t: t, p: newProvider(t, runner.Options{}), m: folder(t, dir)}
	r := engine.Request{Items: texts(story), Parameters: json.RawMessage(fmt.Sprintf(`{"max_new_tokens":%d}`, tokens))}
	rendered := ""
	once := func(ctx context.Context, template string, variables map[string]any) (string, error) {
		var err error
		if rendered == "" {
			rendered, err = renderNative(ctx, template, variables)
		}
		return rendered, err
	}
	return func() float64 {
		// It is loaded anew, so that nothing is remembered of the prompt.
		p, err := tasks.TextGeneration(once).Load(t.Context(), o.m)
		must(t, err)
		runtime.GC() // of what loading left
		return timed(t, func() error { _, err := p.Run(t.Context(), o, r); return err }) / 1e3
	}
}
