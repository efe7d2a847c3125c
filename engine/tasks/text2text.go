package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// rewriteConfig is what config.json and generation_config.json say.
type rewriteConfig struct {
	Start         int64                      `json:"decoder_start_token_id"`
	Pad           int64                      `json:"pad_token_id"`
	End           ids                        `json:"eos_token_id"`
	FirstID       *int64                     `json:"forced_bos_token_id"`
	LastIDs       ids                        `json:"forced_eos_token_id"`
	Bad           [][]int64                  `json:"bad_words_ids"`
	Suppress      []int64                    `json:"suppress_tokens"`
	MaxLength     int                        `json:"max_length"`
	MinLength     int                        `json:"min_length"`
	NoRepeat      int                        `json:"no_repeat_ngram_size"`
	Prefix        string                     `json:"prefix"`
	Languages     map[string]int64           `json:"lang_to_id"`
	Positions     int                        `json:"max_position_embeddings"`
	Tasks         map[string]json.RawMessage `json:"task_specific_params"`
	Beams         int                        `json:"num_beams"`
	Penalty       float64                    `json:"length_penalty"`
	EarlyStopping earlyStopping              `json:"early_stopping"`

	sampling sampling
}

// read takes the files in transformers' order: config.json, then what
// generation_config.json says instead, then what is for the task.
func (c *rewriteConfig) read(m *engine.Model, task string) error {
	c.sampling, c.Start, c.Penalty = usualSampling, -1, 1
	for _, file := range []string{"config.json", "generation_config.json"} {
		if _, err := readJSON(m, file, c); err != nil {
			return err
		}
		if err := c.sampling.read(m, file); err != nil {
			return err
		}
	}
	if c.Start < 0 {
		return engine.Errorf(engine.ErrModelInvalid, "config.json has no decoder_start_token_id").WithHint("it is no model with an encoder and a decoder")
	}
	return c.specialize(task)
}

// specialize takes what the model says of one task.
func (c *rewriteConfig) specialize(task string) error {
	raw, ok := c.Tasks[task]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, c); err != nil {
		return engine.Errorf(engine.ErrModelInvalid, "config.json: task_specific_params: %w", err)
	}
	return nil
}

// rewriting are the parameters.
type rewriting struct {
	sampling
	Truncation bool    `json:"truncation"`
	Prefix     string  `json:"prefix"`
	NoRepeat   int     `json:"no_repeat_ngram_size"`
	Beams      int     `json:"num_beams"`
	Penalty    float64 `json:"length_penalty"`
	Source     string  `json:"src_lang"`
	Target     string  `json:"tgt_lang"`

	config rewriteConfig // as it is for this request
}

func (o *rewriting) check() error {
	if o.NoRepeat < 0 {
		return engine.Errorf(engine.ErrInvalidArgument, "parameter \"no_repeat_ngram_size\" must be 0 or more")
	}
	if o.Beams < 1 || o.Beams > maxBeams {
		return engine.Errorf(engine.ErrInvalidArgument, "parameter \"num_beams\" must be from 1 to %d", maxBeams)
	}
	return o.sampling.check()
}

// maxBeams bounds the texts that are followed at once.
const maxBeams = 16

// earlyStopping is whether beams are given up once enough texts have ended:
// "true", "false" or "never".
type earlyStopping string

// UnmarshalJSON reads true, false, null or "never".
func (e *earlyStopping) UnmarshalJSON(data []byte) error {
	*e = earlyStopping(strings.Trim(string(data), `"`))
	return nil
}

// rewriter is the pipeline. It may be run concurrently.
type rewriter struct {
	encoder
	task    text2text
	hidden  string // the encoder's output
	decoder crossDecoder
	config  rewriteConfig
}

// settings are the parameters of a request.
func (p *rewriter) settings(r engine.Request) (rewriting, error) {
	var named struct {
		Source string `json:"src_lang"`
		Target string `json:"tgt_lang"`
	}
	o := rewriting{config: p.config}
	if json.Unmarshal(r.Parameters, &named) == nil && named.Source != "" && named.Target != "" {
		if err := o.config.specialize("translation_" + named.Source + "_to_" + named.Target); err != nil {
			return o, err
		}
	}
	o.sampling, o.Prefix, o.NoRepeat = o.config.sampling, o.config.Prefix, o.config.NoRepeat
	o.Beams, o.Penalty = min(max(o.config.Beams, 1), maxBeams), o.config.Penalty
	if o.config.MaxLength > 1 {
		o.MaxNewTokens = o.config.MaxLength - 1 // the token it starts with counts there
	}
	if err := settle(r, &o); err != nil {
		return o, err
	}
	o.choose(r, p.config.sampling)
	if o.DoSample != nil && *o.DoSample {
		o.Beams = 1
	}
	return o, p.chooseLanguages(&o)
}

// chooseLanguages has the text begin in the language that is asked for, unless
// the model is told in words.
func (p *rewriter) chooseLanguages(o *rewriting) error {
	if o.Source == "" && o.Target == "" {
		return nil
	}
	if p.task.name != "translation" {
		return engine.Errorf(engine.ErrInvalidArgument, "src_lang and tgt_lang are for the task translation")
	}
	if _, told := p.config.Tasks["translation_"+o.Source+"_to_"+o.Target]; told {
		return nil
	}
	for _, name := range []string{o.Source, o.Target} {
		if _, ok := p.language(name); !ok && name != "" {
			e := engine.Errorf(engine.ErrInvalidArgument, "the model does not know the language %q", name)
			e.ValidValues = p.pairs()
			return e
		}
	}
	if id, ok := p.language(o.Target); ok {
		o.config.FirstID = &id
	}
	return nil
}

// Example names languages where the model has to be told.
func (p *rewriter) Example() engine.Example {
	x := engine.Example{Inputs: []string{"The river runs through the old city, and in the evening the light lies on the water like glass."}}
	if p.task.name != "translation" {
		return x
	}
	pairs := p.pairs()
	if len(pairs) > 0 {
		source, target, _ := strings.Cut(pairs[0], "_to_")
		x.Parameters = json.RawMessage(fmt.Sprintf(`{"src_lang":%q,"tgt_lang":%q}`, source, target))
		return x
	}
	for _, usual := range []string{"deu_Latn", "de", "de_DE"} {
		if id, ok := p.language(usual); ok && p.tok.Special(id) {
			x.Parameters = json.RawMessage(fmt.Sprintf(`{"tgt_lang":%q}`, usual))
			return x
		}
	}
	return x
}

// pairs are the languages that a model is told in words.
func (p *rewriter) pairs() []string {
	var out []string
	for name := range maps.Keys(p.config.Tasks) {
		if pair, ok := strings.CutPrefix(name, "translation_"); ok {
			out = append(out, pair)
		}
	}
	slices.Sort(out)
	return out
}

// language is the token of a language: eng_Latn, or __en__, or as
// generation_config.json has it.
func (p *rewriter) language(name string) (int64, bool) {
	if name == "" {
		return 0, false
	}
	for _, as := range []string{name, "__" + name + "__"} {
		if id, ok := p.tok.ID(as); ok {
			return id, true
		}
	}
	id, ok := p.config.Languages[name]
	return id, ok
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

// putLanguage has tokens say another language, where the tokenizer says one:
// first or last, beside the end.
func (p *rewriter) putLanguage(tokens []int64, language int64) {
	for _, i := range []int{0, len(tokens) - 1} {
		if i >= 0 && strings.Contains(p.tok.Token(tokens[i]), "_") && p.tok.Special(tokens[i]) {
			tokens[i] = language
			return
		}
	}
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

// A rewritten text, as it is written.
type rewritten struct {
	p      *rewriter
	o      rewriting
	tokens []int64 // with the one it starts with
	report func(engine.Progress)
}

// full reports whether so many tokens are all that may be.
func (w *rewritten) full(tokens []int64) bool {
	return len(tokens) > w.o.MaxNewTokens || len(tokens) == w.o.config.Positions
}

// write goes on until the text ends, and says why it did.
func (w *rewritten) write(ctx context.Context, text *recall) (string, error) {
	if w.o.Beams > 1 {
		return w.search(ctx, text)
	}
	choose := newSampler(w.o.sampling, w.tokens)
	logits, err := text.begin(ctx, w.tokens)
	for err == nil {
		w.forbid(logits, w.tokens)
		next := int64(choose.next(logits))
		if slices.Contains(w.o.config.End, next) {
			return "stop", nil
		}
		w.tokens = append(w.tokens, next)
		if w.full(w.tokens) {
			return "length", nil
		}
		tell(w.report, w.p.tok.Decode(w.tokens[1:], false), len(w.tokens)-1, w.o.MaxNewTokens)
		logits, err = text.read(ctx, next)
	}
	return "", err
}

// forbid takes out what may not come next in a text, by the model's settings.
func (w *rewritten) forbid(logits []float32, tokens []int64) {
	c := w.o.config
	out := func(id int64) {
		if id >= 0 && id < int64(len(logits)) {
			logits[id] = never
		}
	}
	for _, id := range c.Suppress {
		out(id)
	}
	for _, words := range c.Bad {
		if n := len(words) - 1; n >= 0 && len(tokens) >= n && slices.Equal(tokens[len(tokens)-n:], words[:n]) {
			out(words[n])
		}
	}
	for _, id := range repeats(tokens, w.o.NoRepeat) {
		out(id)
	}
	if len(tokens) < c.MinLength {
		for _, id := range c.End {
			out(id)
		}
	}
	if c.FirstID != nil && len(tokens) == 1 {
		only(logits, *c.FirstID)
	}
	if len(c.LastIDs) > 0 && len(tokens) == w.o.MaxNewTokens {
		only(logits, c.LastIDs...)
	}
}

// only leaves nothing else to be chosen.
func only(logits []float32, ids ...int64) {
	fill32(logits, never)
	for _, id := range ids {
		if id >= 0 && id < int64(len(logits)) {
			logits[id] = 0
		}
	}
}

// repeats are the tokens that would have n come in a row that were there
// before.
func repeats(tokens []int64, n int) []int64 {
	var out []int64
	if n <= 0 || len(tokens) < n {
		return nil
	}
	last := tokens[len(tokens)-n+1:]
	for i := 0; i+n <= len(tokens); i++ {
		if slices.Equal(tokens[i:i+n-1], last) {
			out = append(out, tokens[i+n-1])
		}
	}
	return out
}
