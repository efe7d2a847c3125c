//go:build unix

package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

// capital is the form of an answer to question.
const capital = `{"type":"object","properties":{"country":{"type":"string","maxLength":20},"capital":{"type":"string","maxLength":20},"continent":{"enum":["Africa","Asia","Europe"]}},"required":["country","capital","continent"]}`

// fitsSchema reports whether a text is JSON that a schema allows.
func fitsSchema(t *testing.T, schema, text string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	must(t, err)
	c := jsonschema.NewCompiler()
	must(t, c.AddResource("s.json", doc))
	s, err := c.Compile("s.json")
	must(t, err)
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// What a model writes is JSON that fits, even where its weights are random,
// there is little room, and tokens are drawn.
func TestGeneration_schema(t *testing.T) {
	run := pipeline(t, tasks.TextGeneration(renderNative), folder(t, "testdata/generation/gpt2"))
	for _, schema := range []string{
		`{"type":"string"}`, `{"type":"number"}`, `{"type":["boolean","null"]}`, `{"type":"array","items":{"type":"string","minLength":1},"minItems":2}`,
		`{"type":"object","properties":{"a":{"type":"integer"},"é":{"enum":["x","日本"]},"c":{"type":"array","items":{"type":"null"}}},"required":["é"]}`,
		`{"anyOf":[{"type":"object","properties":{"n":{"type":"number"}},"required":["n"]},{"const":[1,2]}]}`,
		`{"type":"object","properties":{"code":{"type":"string","pattern":"^[A-ZÄ]{2}-[0-9]+$"},"n":{"type":"integer","minimum":-3,"maximum":120},"next":{"$ref":"#"}},"required":["code","n"]}`,
	} {
		for seed := range 6 {
			parameters := fmt.Sprintf(`{"raw":true,"max_new_tokens":%d,"schema":%s,"seed":%d,"temperature":1.5,"do_sample":%v}`, 30+10*seed, schema, seed, seed > 0)
			a, err := run(engine.Request{Items: texts("The river"), Parameters: json.RawMessage(parameters)})
			must(t, err)
			if err := fitsSchema(t, schema, *a.Outputs[0].GeneratedText); err != nil {
				t.Errorf("%s: %q: %v", parameters, *a.Outputs[0].GeneratedText, err)
			}
		}
	}
	for bad, code := range map[string]engine.Code{
		`{"schema":{"type":"integer","multipleOf":2}}`: engine.ErrInvalidArgument, `{"schema":{"type":"string"},"stop":["a"]}`: engine.ErrInvalidArgument,
		`{"schema":{"type":"string","minLength":50},"max_new_tokens":20}`: engine.ErrInvalidArgument,
	} {
		_, err := run(engine.Request{Items: texts("x"), Parameters: json.RawMessage(bad)})
		if e := engine.Explain(err); e.Code != code || e.Hint == "" {
			t.Errorf("%s: %+v", bad, e)
		}
	}
}

// A real model fills in a form.
func TestSmolLM2_schema(t *testing.T) {
	run := pipeline(t, tasks.TextGeneration(renderNative), folder(t, smolLM2(t)))
	a, err := run(engine.Request{
		Items:      texts(question + " Answer with the country, its capital and the continent, as JSON."),
		Parameters: json.RawMessage(`{"max_new_tokens":96,"schema":` + capital + `}`),
	})
	must(t, err)
	out := a.Outputs[0]
	if err := fitsSchema(t, capital, *out.GeneratedText); err != nil || !strings.Contains(*out.GeneratedText, "Paris") || out.FinishReason != "stop" {
		t.Errorf("%q, ended by %s: %v", *out.GeneratedText, out.FinishReason, err)
	}
}
