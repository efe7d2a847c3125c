package tasks

import (
	"encoding/json"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// embedding are the settings of an embedding model, which a caller may change.
type embedding struct {
	Similarity bool   `json:"similarity"`
	Pooling    string `json:"pooling"`
	Normalize  bool   `json:"normalize"`
	MaxLength  int    `json:"max_length"`
}

func (o embedding) check() error {
	if err := among("pooling", o.Pooling, "mean", "cls", "max"); err != nil {
		return err
	}
	if o.MaxLength < 3 {
		return engine.Errorf(engine.ErrInvalidArgument, "max_length %d leaves no room for text", o.MaxLength).WithHint("use 3 or more")
	}
	return nil
}

// embeddingSettings reads the model's own files; the manifest comes last, so
// it may correct them.
func embeddingSettings(m *engine.Model) (embedding, error) {
	o := embedding{Pooling: "mean", MaxLength: 512}
	for _, read := range []func(*engine.Model, *embedding) error{readLengths, readModules, readPooling} {
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

// readModules looks for a Normalize module.
func readModules(m *engine.Model, o *embedding) error {
	var modules []struct {
		Type string `json:"type"`
	}
	_, err := readJSON(m, "modules.json", &modules)
	for _, mod := range modules {
		if mod.Type == "sentence_transformers.models.Normalize" {
			o.Normalize = true
		}
	}
	return err
}

// readPooling reads sentence-transformers' pooling module.
func readPooling(m *engine.Model, o *embedding) error {
	var c struct {
		CLS  bool `json:"pooling_mode_cls_token"`
		Mean bool `json:"pooling_mode_mean_tokens"`
		Max  bool `json:"pooling_mode_max_tokens"`
	}
	found, err := readJSON(m, "1_Pooling/config.json", &c)
	if err != nil || !found {
		return err
	}
	switch {
	case c.Mean && !c.CLS && !c.Max:
		o.Pooling = "mean"
	case c.CLS && !c.Mean && !c.Max:
		o.Pooling = "cls"
	case c.Max && !c.Mean && !c.CLS:
		o.Pooling = "max"
	default:
		return engine.Errorf(engine.ErrUnsupported, "1_Pooling/config.json combines poolings, or has one that is none of mean, cls and max").
			WithHint("name a pooling in the parameters of %s", engine.ManifestName)
	}
	return nil
}
