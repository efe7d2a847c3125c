//go:build unix

package main_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

// A counter opens sessions that count the tokens they read.
type counter struct {
	opener
	tokens atomic.Int64
	ahead  atomic.Int64 // runs of several steps
}

func (c *counter) Open(ctx context.Context, file string) (engine.Session, error) {
	s, err := c.opener.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	return countedSession{s.(engine.Keeper), c}, nil //nolint:forcetypeassert // the runner's is one
}

type countedSession struct {
	engine.Keeper
	c *counter
}

func (s countedSession) RunKept(ctx context.Context, in engine.Tensors, k engine.Kept) (engine.Tensors, error) {
	out, err := s.Keeper.RunKept(ctx, in, k)
	if err == nil {
		s.c.tokens.Add(in["input_ids"].Shape[1])
		if t := out[engine.GreedyTokens]; t != nil {
			s.c.tokens.Add(t.Shape[0] - 1)
			s.c.ahead.Add(1)
		}
	}
	return out, err
}

// A writer is text-generation of a model, that counts.
type writer struct {
	t    *testing.T
	p    engine.Pipeline
	open *counter
}

func newWriter(t *testing.T, m *engine.Model) *writer {
	t.Helper()
	p, err := tasks.TextGeneration(renderNative).Load(t.Context(), m)
	must(t, err)
	return &writer{t, p, &counter{opener: opener{t: t, p: newProvider(t, runner.Options{}), m: m}}}
}

func (w *writer) try(item engine.Item, parameters string) (engine.Answer, error) {
	return w.p.Run(w.t.Context(), w.open, engine.Request{Items: []engine.Item{item}, Parameters: json.RawMessage(parameters)})
}

// write returns the text, and how many tokens of the prompt were not read.
func (w *writer) write(item engine.Item, parameters string) (text string, remembered int) {
	w.t.Helper()
	before := w.open.tokens.Load()
	a, err := w.try(item, parameters)
	must(w.t, err)
	out := a.Outputs[0]
	read := int(w.open.tokens.Load() - before)
	if out.FinishReason == "length" {
		read++ // the last token is written, not read
	}
	return *out.GeneratedText, out.PromptTokens + out.GeneratedTokens - read
}

const rawGreedy = `{"raw":true,"max_new_tokens":8,"do_sample":false}`

// What is remembered of earlier texts changes no token.
func TestPrefixes_equalTokens(t *testing.T) {
	m := folder(t, "testdata/generation/gpt2")
	w := newWriter(t, m)
	const rules = "Anna walks over the bridge and thinks of Paris. Where do you go? "
	for i, c := range []struct {
		prompt string
		cached bool
	}{
		{rules + "Where", false}, {rules + "Who asks?", false}, // what they share is kept from here
		{rules + "The city lies on the water.", true}, {rules + "The city lies on the water.", true}, {"The river", false}, {rules + "The light", true},
	} {
		text, remembered := w.write(texts(c.prompt)[0], rawGreedy)
		if want, _ := newWriter(t, m).write(texts(c.prompt)[0], rawGreedy); text != want || (remembered >= 16) != c.cached {
			t.Errorf("%d: %q with %d tokens remembered; want %q", i, text, remembered, want)
		}
	}
}

// Many texts at once, with few beginnings, are what they are one by one.
func TestPrefixes_concurrent(t *testing.T) {
	run := pipeline(t, tasks.TextGeneration(renderNative), folder(t, "testdata/generation/gpt2"))
	var wait sync.WaitGroup
	const each = 12
	got := make([]string, 4*each)
	prompts := []string{"Anna walks over the bridge and thinks of Paris. ", "The river runs through the old city, and the light lies", "Where do you go? he asks. Where do you go? ", "3.14 is less than 42. 3.14 is less than 42. "}
	for i := range got {
		wait.Go(func() {
			p := prompts[i%len(prompts)] + strings.Repeat("a ", i/len(prompts)%3)
			a, err := run(engine.Request{Items: texts(p), Parameters: json.RawMessage(rawGreedy)})
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = *a.Outputs[0].GeneratedText
		})
	}
	wait.Wait()
	for i, s := range got {
		if first := got[i%len(prompts)+len(prompts)*(i/len(prompts)%3)]; s != first {
			t.Errorf("%d: %q, once %q", i, s, first)
		}
	}
}

// A conversation goes on from what the model remembers, and begins again in a
// new process.
func TestSmolLM2_conversation(t *testing.T) {
	m := folder(t, smolLM2(t))
	w := newWriter(t, m)
	const short = `{"max_new_tokens":24,"do_sample":false}`
	first, _ := w.write(texts(question)[0], short)
	conversation, err := json.Marshal(map[string]any{"messages": []map[string]string{
		{"role": "user", "content": question}, {"role": "assistant", "content": first}, {"role": "user", "content": "And of Italy?"},
	}})
	must(t, err)
	item := engine.Item{Record: conversation}
	want, _ := newWriter(t, m).write(item, short)
	if got, remembered := w.write(item, short); got != want || remembered < 40 {
		t.Errorf("%q with %d tokens remembered; afresh %q", got, remembered, want)
	}
	for _, pid := range w.open.p.Children() {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	if _, err := w.try(item, short); err != nil && engine.Explain(err).Code != engine.ErrRunnerCrashed { // its death may not have been seen yet
		t.Fatal(err)
	}
	if got, _ := w.write(item, short); got != want {
		t.Errorf("in a new process: %q, want %q", got, want)
	}
}
