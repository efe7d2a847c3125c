//go:build unix

package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// question is what SmolLM2 is asked.
const question = "What is the capital of France?"

// promptOf is what SmolLM2 reads when it is asked for a text.
func promptOf(t *testing.T, dir, text string) (ids []int64, tok *tokenizer.Tokenizer) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	must(t, err)
	tok, err = tokenizer.Load(data)
	must(t, err)
	data, err = os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	must(t, err)
	var c struct {
		Template string `json:"chat_template"`
	}
	must(t, json.Unmarshal(data, &c))
	prompt, err := renderNative(t.Context(), c.Template, map[string]any{
		"messages": []map[string]string{{"role": "user", "content": text}}, "add_generation_prompt": true,
	})
	must(t, err)
	return tok.EncodeWith(tokenizer.Options{Plain: true}, prompt).IDs, tok
}

// inPython has Python's onnxruntime write with the same model file.
func inPython(t *testing.T, dir string, prompt []int64, tokens string) []int64 {
	t.Helper()
	line, err := json.Marshal(prompt)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), python(t), realModels+"/greedy.py", filepath.Join(dir, "onnx", "model.onnx"), tokens, endOfText)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(line), os.Stderr
	out, err := cmd.Output()
	must(t, err)
	var w struct {
		IDs []int64 `json:"ids"`
	}
	must(t, json.Unmarshal(out, &w))
	return w.IDs
}

// endOfText is the token that ends what SmolLM2 writes.
const endOfText = "2"

// A real language model answers as Python's onnxruntime does with its file,
// attention spelled out or not.
func TestSmolLM2_equalsReference(t *testing.T) {
	t.Run("spelled", func(t *testing.T) { answersAsInPython(t, smolLM2(t)) })
	t.Run("grouped", func(t *testing.T) { answersAsInPython(t, smolLM2(t, "grouped")) })
}

func answersAsInPython(t *testing.T, dir string) {
	prompt, tok := promptOf(t, dir, question)
	want := inPython(t, dir, prompt, "24")
	run := pipeline(t, tasks.TextGeneration(renderNative), folder(t, dir))
	a, err := run(engine.Request{Items: texts(question), Parameters: json.RawMessage(`{"max_new_tokens":24}`)})
	must(t, err)
	out := a.Outputs[0]
	if got := *out.GeneratedText; got != tok.Decode(want, true) || got != "The capital of France is Paris." {
		t.Errorf("it answers %q; Python's onnxruntime %q", got, tok.Decode(want, true))
	}
	if out.PromptTokens != 37 || out.GeneratedTokens != len(want) || out.FinishReason != "stop" {
		t.Errorf("%+v", out)
	}
}

// Whose process dies begins again: what it remembered is gone.
func TestSmolLM2_runnerKilled(t *testing.T) {
	m := folder(t, smolLM2(t))
	p := newProvider(t, runner.Options{})
	task, err := tasks.TextGeneration(renderNative).Load(t.Context(), m)
	must(t, err)
	killed := false
	r := engine.Request{Items: texts(question), Parameters: json.RawMessage(`{"max_new_tokens":24}`), Progress: func(engine.Progress) {
		if !killed {
			killed = true
			for _, pid := range p.Children() {
				must(t, syscall.Kill(pid, syscall.SIGKILL))
			}
		}
	}}
	o := &opener{t: t, p: p, m: m}
	if _, err = task.Run(t.Context(), o, r); engine.Explain(err).Code != engine.ErrRunnerCrashed {
		t.Fatalf("a killed runner: %v", err)
	}
	a, err := task.Run(t.Context(), o, r)
	must(t, err)
	if got := *a.Outputs[0].GeneratedText; got != "The capital of France is Paris." {
		t.Errorf("after it: %q", got)
	}
}
