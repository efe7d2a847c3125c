package tasks

import (
	"context"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// TextClassification returns the task "text-classification": labels for texts,
// or for pairs of them, by an encoder with a head (logits [batch, labels]).
// What the labels are, and whether they exclude each other, config.json says.
func TextClassification() engine.Task { return textClassification{} }

type textClassification struct{}

var _ engine.Documenter = textClassification{}

func (textClassification) Name() string { return "text-classification" }

// Doc describes the parameters.
func (textClassification) Doc() string {
	return `# text-classification

The label of each text, such as its sentiment. A pair of texts is a record {"text": "…", "text_pair": "…"}.

| parameter | default | meaning |
|---|---|---|
| top_k | 1 | how many labels, the most likely first; null for all |
| function_to_apply | the model's | softmax (labels exclude each other), sigmoid or none |
| max_length | the model's | tokens beyond this are cut off |

Each output has label and score. Models are those of transformers' classes that end in ForSequenceClassification: a folder with
config.json, tokenizer.json and model.onnx or onnx/model.onnx, as optimum-cli export onnx makes it.
`
}

// classifying are the parameters.
type classifying struct {
	TopK      *int   `json:"top_k"`
	Function  string `json:"function_to_apply"`
	MaxLength int    `json:"max_length"`
}

// Load reads the tokenizer, and what the labels are.
func (textClassification) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	return loadClassifier(m)
}

func loadClassifier(m *engine.Model) (*classifier, error) {
	e, g, err := loadEncoder(m)
	if err != nil {
		return nil, err
	}
	p := &classifier{encoder: e}
	if p.logits, err = output(g, "logits"); err != nil {
		return nil, err
	}
	if _, err := readJSON(m, "config.json", &p.config); err != nil {
		return nil, err
	}
	p.limit, err = textLimit(m)
	return p, err
}

// textLimit is the longest text in tokens that the model's files allow.
func textLimit(m *engine.Model) (int, error) {
	o := embedding{MaxLength: 512}
	if err := readLengths(m, &o); err != nil {
		return 0, err
	}
	var c struct {
		MaxLength float64 `json:"model_max_length"` // 1e30 where it is not known
	}
	if _, err := readJSON(m, "tokenizer_config.json", &c); err != nil {
		return 0, err
	}
	if c.MaxLength > 0 && c.MaxLength < float64(o.MaxLength) {
		return int(c.MaxLength), nil
	}
	return o.MaxLength, nil
}

// classifier is the pipeline of text-classification.
type classifier struct {
	encoder
	config headConfig
	logits string
	limit  int
}

func (o classifying) check() error {
	return among("function_to_apply", o.Function, "softmax", "sigmoid", "none", "")
}

// Run classifies the texts.
func (p *classifier) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	one := 1
	o := classifying{TopK: &one, MaxLength: p.limit}
	found := make([][]engine.Output, len(r.Items))
	return p.serve(ctx, s, r, textWork{
		parameters: &o,
		encode: func(item engine.Item) ([]tokenizer.Encoding, error) {
			return p.texts(item, tokenizer.Options{Limit: o.MaxLength})
		},
		wants: []want{{output: p.logits}},
		take: func(i int, t passage, rows []row) error {
			logits, err := labelScores(rows[0])
			if err == nil {
				found[i], err = p.outputs(i, logits, o, t.Truncated)
			}
			return err
		},
		finish: func(a *engine.Answer) error { a.Outputs = slices.Concat(found...); return nil },
	})
}

// labelScores are the logits of a text's labels.
func labelScores(r row) ([]float32, error) {
	if len(r.shape) != 1 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model's output has shape [batch %v]; labels need [batch, labels]", r.shape)
	}
	return slices.Clone(r.values), nil
}

func (p *classifier) outputs(item int, logits []float32, o classifying, truncated bool) ([]engine.Output, error) {
	out, err := p.config.ranked(item, logits, o.Function, o.TopK)
	if truncated {
		for i := range out {
			out[i].TruncatedInput = &truncated
		}
	}
	return out, err
}
