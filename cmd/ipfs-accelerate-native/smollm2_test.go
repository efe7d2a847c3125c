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

// A written text is what Python's onnxruntime made of a prompt.
type written struct {
	IDs     []int64 `json:"ids"`
	Seconds float64 `json:"seconds"`
}

// inPython has Python write with the same model file and prompt.
func inPython(t *testing.T, dir, text, tokens string) (w written, tok *tokenizer.Tokenizer) {
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
	ids, err := json.Marshal(tok.EncodeWith(tokenizer.Options{Plain: true}, prompt).IDs)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), python(t), realModels+"/greedy.py", filepath.Join(dir, "onnx", "model.onnx"), tokens, "2")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(ids), os.Stderr
	out, err := cmd.Output()
	must(t, err)
	must(t, json.Unmarshal(out, &w))
	return w, tok
}

// A real language model answers as Python's onnxruntime does with its file,
// attention spelled out or not.
func TestSmolLM2_equalsReference(t *testing.T) {
	t.Run("spelled", func(t *testing.T) { answersAsInPython(t, smolLM2(t)) })
	t.Run("grouped", func(t *testing.T) { answersAsInPython(t, smolLM2(t, "grouped")) })
}

func answersAsInPython(t *testing.T, dir string) {
	want, tok := inPython(t, dir, question, "24")
	run := pipeline(t, tasks.TextGeneration(renderNative), folder(t, dir))
	a, err := run(engine.Request{Items: texts(question), Parameters: json.RawMessage(`{"max_new_tokens":24}`)})
	must(t, err)
	out := a.Outputs[0]
	if got := *out.GeneratedText; got != tok.Decode(want.IDs, true) || got != "The capital of France is Paris." {
		t.Errorf("it answers %q; Python's onnxruntime %q", got, tok.Decode(want.IDs, true))
	}
	if out.PromptTokens != 37 || out.GeneratedTokens != len(want.IDs) || out.FinishReason != "stop" {
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
