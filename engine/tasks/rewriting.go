package tasks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

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
