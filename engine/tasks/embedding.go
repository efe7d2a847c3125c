package tasks

import (
	"encoding/json"
	"maps"
	"path"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// embedding are the settings of an embedding model, which a caller may change.
type embedding struct {
	Similarity bool   `json:"similarity"`
	Pooling    string `json:"pooling"`
	Normalize  bool   `json:"normalize"`
	MaxLength  int    `json:"max_length"`
	Dimensions int    `json:"dimensions"`
	Prompt     string `json:"prompt"`
	PromptName string `json:"prompt_name"`

	prompts map[string]string // the model's, by name
}

func (o *embedding) check() error {
	if err := among("pooling", o.Pooling, poolings...); err != nil {
		return err
	}
	if o.Dimensions < 0 {
		return engine.Errorf(engine.ErrInvalidArgument, "dimensions %d is negative", o.Dimensions)
	}
	if err := o.choosePrompt(); err != nil {
		return err
	}
	if o.MaxLength < 3 {
		return engine.Errorf(engine.ErrInvalidArgument, "max_length %d leaves no room for text", o.MaxLength).WithHint("use 3 or more")
	}
	return nil
}

// choosePrompt takes the prompt of the name, unless one is written out.
func (o *embedding) choosePrompt() error {
	if o.PromptName == "" || o.Prompt != "" {
		return nil
	}
	prompt, ok := o.prompts[o.PromptName]
	if !ok {
		return among("prompt_name", o.PromptName, slices.Sorted(maps.Keys(o.prompts))...)
	}
	o.Prompt = prompt
	return nil
}

// vector pools what the model gave of a text of so many tokens, and keeps the
// first dimensions if that is asked for (Kusupati et al., Matryoshka
// Representation Learning, 2022).
func (o *embedding) vector(r row, tokens int) ([]float32, error) {
	v, err := pool(o.Pooling, r, tokens)
	if err == nil && o.Dimensions > len(v) {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "dimensions %d are more than the model's %d", o.Dimensions, len(v))
	}
	if o.Dimensions > 0 && err == nil {
		v = v[:o.Dimensions]
	}
	return v, err
}

// embeddingSettings reads the model's own files; the manifest comes last, so
// it may correct them.
func embeddingSettings(m *engine.Model) (embedding, error) {
	o := embedding{Pooling: "mean", MaxLength: 512}
	for _, read := range []func(*engine.Model, *embedding) error{readLengths, readModules, readPooling, readPrompts} {
		if err := read(m, &o); err != nil {
			return o, err
		}
	}
	if err := readParameters(m.Manifest.Parameters, &o); err != nil {
		return o, engine.Errorf(engine.ErrModelInvalid, "%s: %w", engine.ManifestName, err)
	}
	return o, nil
}

// readJSON reads one of the model's small files, if it has it.
func readJSON(m *engine.Model, name string, v any) (found bool, err error) {
	if !m.Has(name) {
		return false, nil
	}
	data, err := m.ReadFile(name, maxConfig)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, engine.Errorf(engine.ErrModelInvalid, "%s can't be read: %w", name, err)
	}
	return true, nil
}

// readLengths finds the longest input: what sentence-transformers was told,
// else what the positions of the model allow.
func readLengths(m *engine.Model, o *embedding) error {
	var model struct {
		MaxPositions int `json:"max_position_embeddings"`
	}
	if found, err := readJSON(m, "config.json", &model); err != nil {
		return err
	} else if found && model.MaxPositions > 0 {
		o.MaxLength = model.MaxPositions
	}
	var sentence struct {
		MaxLength int `json:"max_seq_length"`
	}
	if found, err := readJSON(m, "sentence_bert_config.json", &sentence); err != nil {
		return err
	} else if found && sentence.MaxLength > 0 {
		o.MaxLength = sentence.MaxLength
	}
	return nil
}

// readModules looks for a Normalize module. A layer that the .onnx file has not
// is refused: vectors without it would be wrong.
func readModules(m *engine.Model, o *embedding) error {
	var modules []struct {
		Type string `json:"type"`
	}
	_, err := readJSON(m, "modules.json", &modules)
	for _, mod := range modules {
		switch path.Ext(mod.Type) {
		case ".Normalize":
			o.Normalize = true
		case ".Transformer", ".Pooling":
		default:
			return engine.Errorf(engine.ErrUnsupported, "modules.json has a layer %q, which this version does not compute", mod.Type).
				WithHint("export the model with it, with an output sentence_embedding, and leave modules.json out")
		}
	}
	return err
}

// readPooling reads sentence-transformers' pooling module.
func readPooling(m *engine.Model, o *embedding) error {
	c := map[string]any{}
	found, err := readJSON(m, "1_Pooling/config.json", &c)
	if err != nil || !found {
		return err
	}
	var chosen []string
	for name, pooling := range map[string]string{
		"cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max", "mean_sqrt_len_tokens": "mean_sqrt_len", "weightedmean_tokens": "weightedmean", "lasttoken": "lasttoken",
	} {
		if on, ok := c["pooling_mode_"+name].(bool); ok && on {
			chosen = append(chosen, pooling)
		}
	}
	if mode, ok := c["pooling_mode"].(string); ok && len(chosen) == 0 {
		chosen = append(chosen, mode)
	}
	if len(chosen) != 1 {
		return engine.Errorf(engine.ErrUnsupported, "1_Pooling/config.json combines poolings, or has one that is not known").
			WithHint("name a pooling in the parameters of %s", engine.ManifestName)
	}
	o.Pooling = chosen[0]
	return nil
}

// readPrompts reads what sentence-transformers puts before texts.
func readPrompts(m *engine.Model, o *embedding) error {
	var c struct {
		Prompts map[string]string `json:"prompts"`
		Default string            `json:"default_prompt_name"`
	}
	_, err := readJSON(m, "config_sentence_transformers.json", &c)
	o.prompts, o.PromptName = c.Prompts, c.Default
	return err
}
