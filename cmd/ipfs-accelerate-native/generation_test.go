//go:build unix

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

// generationGoldens are what transformers generates and renders; the folder
// has the script that made them.
type generationGoldens struct {
	Greedy []struct {
		Prompt  string  `json:"prompt"`
		Penalty float64 `json:"repetition_penalty"`
		IDs     []int64 `json:"ids"`
		Text    string  `json:"text"`
	} `json:"greedy"`
	Chats []struct {
		Template string           `json:"template"`
		Messages []map[string]any `json:"messages"`
		Text     string           `json:"text"`
	} `json:"chats"`
}

func readGenerationGoldens(t *testing.T) (g generationGoldens) {
	t.Helper()
	data, err := os.ReadFile("testdata/generation/goldens.json")
	must(t, err)
	must(t, json.Unmarshal(data, &g))
	return g
}

// renderNative renders a template with the program that is tested.
func renderNative(ctx context.Context, template string, variables map[string]any) (string, error) {
	in, err := json.Marshal(map[string]any{"template": template, "variables": variables})
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, program, "template")
	var out, printed bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &printed
	if err := cmd.Run(); err != nil {
		first, _, _ := strings.Cut(printed.String(), "\n")
		return "", engine.Errorf(engine.ErrModelInvalid, "%s: %w", first, err)
	}
	return out.String(), nil
}

func TestGeneration_conforms(t *testing.T) {
	m := folder(t, "testdata/generation/gpt2")
	enginetest.TestTask(t, tasks.TextGeneration(renderNative), m, &opener{t: t, p: newProvider(t, runner.Options{}), m: m}, engine.Request{
		Items: texts("The river", "Anna"), Parameters: json.RawMessage(`{"max_new_tokens":4}`),
	})
}

// The tokens that are always the likeliest are those of transformers, with
// prompts read in parts too; and by a graph that is told whether it remembers.
func TestGeneration_greedyEqualsReference(t *testing.T) {
	for _, dir := range []string{"gpt2", "merged"} {
		t.Run(dir, func(t *testing.T) { greedyEqualsReference(t, "testdata/generation/"+dir) })
	}
}

func greedyEqualsReference(t *testing.T, dir string) {
	t.Helper()
	run := pipeline(t, tasks.TextGeneration(renderNative), folder(t, dir))
	for _, g := range readGenerationGoldens(t).Greedy {
		parameters, err := json.Marshal(map[string]any{"raw": true, "max_new_tokens": 24, "repetition_penalty": g.Penalty})
		must(t, err)
		var told []string
		a, err := run(engine.Request{Items: texts(g.Prompt), Parameters: parameters, Progress: func(p engine.Progress) { told = append(told, p.Message) }})
		must(t, err)
		out := a.Outputs[0]
		if *out.GeneratedText != g.Text {
			t.Errorf("%q: %q; want %q", g.Prompt, *out.GeneratedText, g.Text)
		}
		ended := g.IDs[len(g.IDs)-1] == 2
		if want := map[bool]string{true: "stop", false: "length"}[ended]; out.FinishReason != want {
			t.Errorf("%q: ended by %s; want %s", g.Prompt, out.FinishReason, want)
		}
		if slices.ContainsFunc(told, func(s string) bool { return strings.HasSuffix(s, "\uFFFD") }) || len(told) == 0 {
			t.Errorf("%q: progress %q", g.Prompt, told)
		}
	}
}

func TestGeneration_parameters(t *testing.T) {
	run := pipeline(t, tasks.TextGeneration(renderNative), folder(t, "testdata/generation/gpt2"))
	text := func(parameters string) (string, engine.Output) {
		a, err := run(engine.Request{Items: texts("The river"), Parameters: json.RawMessage(parameters)})
		must(t, err)
		return *a.Outputs[0].GeneratedText, a.Outputs[0]
	}
	one, _ := text(`{"raw":true,"max_new_tokens":12,"seed":1,"temperature":2}`)
	again, _ := text(`{"raw":true,"max_new_tokens":12,"seed":1,"temperature":2}`)
	other, _ := text(`{"raw":true,"max_new_tokens":12,"seed":2,"temperature":2}`)
	if one != again || one == other {
		t.Errorf("seed 1 wrote %q and %q, seed 2 %q", one, again, other)
	}
	if s, out := text(`{"raw":true,"stop":[" lies"]}`); s != "dgedge" || out.FinishReason != "stop" {
		t.Errorf("stopped at %q, by %s", s, out.FinishReason)
	}
	if _, out := text(`{"raw":true,"max_new_tokens":1000}`); out.PromptTokens+out.GeneratedTokens != 96 || out.FinishReason != "length" {
		t.Errorf("the model's limit of 96 tokens: %+v", out)
	}
	if _, out := text(`{"max_new_tokens":1}`); out.PromptTokens < 20 {
		t.Errorf("with its chat template the prompt has %d tokens", out.PromptTokens)
	}
	for _, bad := range []string{`{"top_p":0}`, `{"temperature":0}`, `{"max_new_tokens":0}`, `{"stop":[""]}`, `{"temprature":1}`} {
		_, err := run(engine.Request{Items: texts("x"), Parameters: json.RawMessage(bad)})
		if engine.Explain(err).Code != engine.ErrInvalidArgument {
			t.Errorf("%s: %v", bad, err)
		}
	}
	_, err := run(engine.Request{Items: texts(strings.Repeat("river ", 200))})
	if engine.Explain(err).Code != engine.ErrTooLarge {
		t.Errorf("a prompt that is too long: %v", err)
	}
}

// Chat templates give what transformers gives.
func TestTemplate_equalsReference(t *testing.T) {
	for i, g := range readGenerationGoldens(t).Chats {
		got, err := renderNative(t.Context(), g.Template, map[string]any{
			"messages": g.Messages, "add_generation_prompt": true, "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>",
		})
		must(t, err)
		if got != g.Text {
			t.Errorf("%d: %q; want %q", i, got, g.Text)
		}
	}
}

// A template of a hostile model ends, in bounded memory, and can't reach out.
func TestTemplate_hostile(t *testing.T) {
	for name, template := range map[string]string{
		"endless":      `{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}`,
		"memory":       `{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}`,
		"long range":   `{% for i in range(1000000000) %}{% endfor %}`,
		"much":         `{% for i in range(100000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}`,
		"include":      `{% include "/etc/passwd" %}`,
		"no template":  `{% for %}`,
		"refused":      `{{ raise_exception('no') }}`,
		"itself":       `{% include "/chat" %}`,
		"macro itself": `{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderNative(t.Context(), template, map[string]any{"messages": []any{}})
			if err == nil {
				t.Errorf("it gave %d bytes: %.80q", len(got), got)
			}
		})
	}
}
