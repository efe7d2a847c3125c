//go:build figures && unix

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

// story asks for a text that does not end within the tokens that are counted.
const story = "Tell me a long story about a ship."

// TestFigures_tokens is how fast SmolLM2 writes, in turn with a loop on Python's
// onnxruntime that has the same file, prompt and number of tokens.
//
// P13 is of a file with GroupQueryAttention, as those made for ONNX Runtime have
// it, P13s of one that has attention spelled out. The prompt is rendered before,
// for both.
func TestFigures_tokens(t *testing.T) {
	tokensPerSecond(t, "P13", smolLM2(t, "grouped"))
	tokensPerSecond(t, "P13s", smolLM2(t))
}

func tokensPerSecond(t *testing.T, id, dir string) {
	const rounds, tokens = 11, 96
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
	var ours, theirs, ratios []float64
	for range rounds {
		// The first is to warm up, as theirs does; each is loaded anew, so that nothing
		// is remembered of the prompt, and before, so that nothing of it is left to do.
		var ps [2]engine.Pipeline
		for i := range ps {
			var err error
			ps[i], err = tasks.TextGeneration(once).Load(t.Context(), o.m)
			must(t, err)
		}
		runtime.GC()
		var seconds float64
		for _, p := range ps {
			seconds = timed(t, func() error { _, err := p.Run(t.Context(), o, r); return err }) / 1e3
		}
		w, _ := inPython(t, dir, story, fmt.Sprint(tokens))
		if len(w.IDs) != tokens {
			t.Fatalf("the story ends after %d tokens", len(w.IDs))
		}
		ours, theirs, ratios = append(ours, tokens/seconds), append(theirs, tokens/w.Seconds), append(ratios, w.Seconds/seconds)
	}
	fmt.Printf("# %s tokens/s: %.1f here, %.1f in Python\n", id, median(ours), median(theirs))
	verdict := "ok"
	if median(ratios) < 1 {
		verdict = "short"
	}
	fmt.Printf("%s %.3f ratio >=1 %s\n", id, median(ratios), verdict)
}
