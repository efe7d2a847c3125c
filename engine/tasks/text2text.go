package tasks

import (
	"context"
	"slices"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// Summarization returns the task "summarization": a short text of a long one,
// by a model with an encoder and a decoder such as BART, T5 or Pegasus.
func Summarization() engine.Task {
	return text2text{"summarization", "A shorter text that says what a longer one does, in summary_text.", func(o *engine.Output, s string) { o.SummaryText = &s }}
}

// Translation returns the task "translation": a text in another language, by a
// model such as Marian, T5, NLLB or M2M100.
func Translation() engine.Task {
	return text2text{"translation", "A text in another language, in translation_text.", func(o *engine.Output, s string) { o.TranslationText = &s }}
}

// Text2TextGeneration returns the task "text2text-generation": whatever a model
// with an encoder and a decoder makes of a text.
func Text2TextGeneration() engine.Task {
	return text2text{"text2text-generation", "What a model with an encoder and a decoder makes of a text, in generated_text.", func(o *engine.Output, s string) { o.GeneratedText = &s }}
}

// text2text is a task whose answer is a text, put where set puts it.
type text2text struct {
	name, says string
	set        func(o *engine.Output, text string)
}

var _ engine.Documenter = text2text{}

func (t text2text) Name() string { return t.name }

// Doc describes the parameters.
func (t text2text) Doc() string {
	doc := "# " + t.name + "\n\n" + t.says + `

| parameter | default | meaning |
|---|---|---|
| max_new_tokens | the model's, or 256 | the most tokens to write |
| truncation | false | cut an input that is too long for the model, rather than refusing it |
| prefix | the model's for this task | put this before each text, as in "summarize: " |
| num_beams | the model's, or 1 | follow so many texts at once and take the best; 1 is faster |
| length_penalty | the model's, or 1 | with beams, above 0 prefers long texts, below 0 short ones |
| no_repeat_ngram_size | the model's | no so many tokens come twice in a row; 0 is any |
`
	if t.name == "translation" {
		doc += `| src_lang | the model's | the language of the inputs, as the model names it: en, eng_Latn |
| tgt_lang | the model's | the language to translate into |
`
	}
	return doc + samplingDoc + `

Each output also has finish_reason (stop, or length where a limit ended it), prompt_tokens, generated_tokens and
truncated_input. With do_sample there are no beams.

Models are folders with encoder_model.onnx, decoder_model.onnx and decoder_with_past_model.onnx, or decoder_model_merged.onnx
instead of the last two; config.json, generation_config.json and tokenizer.json, a SentencePiece model, or Marian's source.spm
and vocab.json. What a decoder remembers stays in its
process.
`
}

// Load reads the tokenizer and what the model's files say of writing.
func (t text2text) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	e, g, err := loadEncoder(m)
	if err != nil {
		return nil, err
	}
	p := &rewriter{encoder: e, task: t}
	if p.hidden, err = output(g, "last_hidden_state"); err != nil {
		return nil, err
	}
	if p.decoder, err = loadCrossDecoder(m); err != nil {
		return nil, err
	}
	return p, p.config.read(m, t.name)
}

// rewriter is the pipeline. It may be run concurrently.
type rewriter struct {
	encoder
	task    text2text
	hidden  string // the encoder's output
	decoder crossDecoder
	config  rewriteConfig
}

// maxRead is how many tokens of an input are read at most, where the model has
// no limit of its own: what they take grows with their square.
const maxRead = 16384

// encode makes tokens of an input.
func (p *rewriter) encode(item engine.Item, o rewriting) (tokenizer.Encoding, error) {
	if item.Record != nil {
		return tokenizer.Encoding{}, engine.Errorf(engine.ErrInvalidArgument, "the input is a record, not a text").WithHint("pass inputs: [\"a text\"]")
	}
	most := p.config.Positions
	if most <= 0 || most > maxRead {
		most = maxRead
	}
	limit := 0
	if o.Truncation {
		limit = most
	}
	e := p.tok.EncodeWith(tokenizer.Options{Limit: limit}, o.Prefix+item.Text)
	if len(e.IDs) > most {
		return e, engine.Errorf(engine.ErrTooLarge, "the input has %d tokens, and the model takes %d", len(e.IDs), most).
			WithHint("pass truncation true, or parts of the text as inputs of their own")
	}
	if id, ok := p.language(o.Source); ok {
		p.putLanguage(e.IDs, id)
	}
	return e, nil
}

// Run rewrites the texts, one after the other.
func (p *rewriter) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o, err := p.settings(r)
	if err != nil {
		return engine.Answer{}, err
	}
	var a engine.Answer
	began := time.Now()
	encoded := make([]passage, len(r.Items))
	for i, item := range r.Items {
		e, err := p.encode(item, o)
		if err != nil {
			return a, inInput(r, i, err)
		}
		encoded[i] = passage{item: i, Encoding: e}
	}
	a.Timings.Preprocess = since(&began)
	if err := openAll(ctx, s, "", p.decoder.first.file, p.decoder.next.file); err != nil {
		return a, err
	}
	began = time.Now()
	for i := range encoded {
		out, err := p.rewrite(ctx, s, encoded, i, o, r.Progress)
		if err != nil {
			return a, inInput(r, i, err)
		}
		a.Outputs = append(a.Outputs, out)
	}
	a.Timings.Run = since(&began)
	return a, nil
}

// rewrite reads one text and writes the other.
func (p *rewriter) rewrite(ctx context.Context, s engine.Sessions, encoded []passage, i int, o rewriting, report func(engine.Progress)) (engine.Output, error) {
	session, err := s.Open(ctx, "")
	if err != nil {
		return engine.Output{}, err
	}
	in := p.tensors(encoded, []int{i}, len(encoded[i].IDs))
	found, err := session.Run(ctx, in)
	if err != nil {
		return engine.Output{}, err
	}
	given := engine.Tensors{hiddenStates: found[p.hidden], encoderMask: in["attention_mask"]}
	if given[encoderMask] == nil {
		given[encoderMask] = engine.NewTensor([]int64{1, int64(len(encoded[i].IDs))}, slices.Repeat([]int64{1}, len(encoded[i].IDs)))
	}
	text := newRecall(&p.decoder, s, given)
	defer text.forget(ctx)
	w := &rewritten{p: p, o: o, tokens: []int64{o.config.Start}, report: report}
	why, err := w.write(ctx, text)
	words := p.tok.Decode(w.tokens[1:], false)
	out := engine.Output{Item: i, FinishReason: why, PromptTokens: len(encoded[i].IDs), GeneratedTokens: len(w.tokens) - 1, TruncatedInput: &encoded[i].Truncated}
	p.task.set(&out, words)
	return out, err
}
