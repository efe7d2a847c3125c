//go:build unix

package main_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

const rewriting = "testdata/rewriting"

var rewriters = map[string]engine.Task{
	"summarization": tasks.Summarization(), "translation": tasks.Translation(), "text2text-generation": tasks.Text2TextGeneration(),
}

// The texts are those of transformers' pipelines, by decoders in two files and
// in one.
func TestRewriting_equalsReference(t *testing.T) {
	for _, g := range goldensOf(t, rewriting) {
		t.Run(g.Model+"/"+g.Task, func(t *testing.T) {
			run := pipeline(t, rewriters[g.Task], folder(t, filepath.Join(rewriting, g.Model)))
			for _, c := range g.Cases {
				a, err := run(engine.Request{Items: g.items(t), Parameters: c.Parameters})
				must(t, err)
				for i, raw := range c.Answers {
					agree(t, fmt.Sprintf("%s of %s", c.Parameters, g.Inputs[i]), objects(t, raw)[0], a.Outputs[i])
				}
			}
		})
	}
}

func TestRewriting_conform(t *testing.T) {
	for name, task := range map[string]engine.Task{"t5": tasks.Text2TextGeneration(), "bart": tasks.Summarization(), "marian": tasks.Translation()} {
		t.Run(name, func(t *testing.T) {
			m := folder(t, filepath.Join(rewriting, name))
			enginetest.TestTask(t, task, m, &opener{t: t, p: newProvider(t, runner.Options{}), m: m}, engine.Request{
				Items: texts("The river", "Anna"), Parameters: json.RawMessage(`{"max_new_tokens":4}`),
			})
		})
	}
}

func TestRewriting_parameters(t *testing.T) {
	run := pipeline(t, tasks.Translation(), folder(t, rewriting+"/nllb"))
	long := strings.Repeat("river ", 200)
	a, err := run(engine.Request{Items: texts(long, "river"), Parameters: json.RawMessage(`{"truncation":true,"max_new_tokens":3}`)})
	must(t, err)
	if !*a.Outputs[0].TruncatedInput || *a.Outputs[1].TruncatedInput || a.Outputs[0].PromptTokens != 64 || a.Outputs[0].FinishReason != "length" {
		t.Errorf("%+v", plain(t, a.Outputs))
	}
	_, err = run(engine.Request{Items: texts(long)})
	if !isCode(err, engine.ErrTooLarge) {
		t.Errorf("an input that is too long: %v", err)
	}
	for _, bad := range []string{`{"tgt_lang":"klingon"}`, `{"max_new_tokens":0}`, `{"no_repeat_ngram_size":-1}`, `{"num_beams":0}`, `{"num_beams":99}`} {
		if _, err := run(engine.Request{Items: texts("x"), Parameters: json.RawMessage(bad)}); !isCode(err, engine.ErrInvalidArgument) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
