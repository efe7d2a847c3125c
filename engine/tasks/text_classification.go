package tasks

import (
	"context"
	"slices"
	"time"

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
config.json, tokenizer.json and model.onnx or onnx/model.onnx.
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

func (p *classifier) Close() error { return nil }

// function is what the model's head asks for.
func (p *classifier) function(labels int) string {
	switch {
	case p.config.ProblemType == "multi_label_classification" || labels == 1 && p.config.ProblemType != "regression":
		return "sigmoid"
	case p.config.ProblemType == "regression":
		return "none"
	}
	return "softmax"
}

// Run classifies the texts.
func (p *classifier) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	one := 1
	o := classifying{TopK: &one, MaxLength: p.limit}
	if err := readParameters(r.Parameters, &o); err != nil {
		return engine.Answer{}, err
	}
	if valid := []string{"", "softmax", "sigmoid", "none"}; !slices.Contains(valid, o.Function) {
		return engine.Answer{}, &engine.Error{Code: engine.ErrInvalidArgument, Message: "unknown function_to_apply \"" + o.Function + "\"", ValidValues: valid[1:]}
	}
	var a engine.Answer
	began := time.Now()
	encoded, err := p.encode(ctx, r.Items, tokenizer.Options{Limit: o.MaxLength})
	if err != nil {
		return a, err
	}
	a.Timings.Preprocess = since(&began)
	logits, err := p.scores(ctx, s, encoded, r.BatchSize)
	if err != nil {
		return a, err
	}
	a.Timings.Run = since(&began)
	for i, row := range logits {
		a.Outputs = append(a.Outputs, p.outputs(i, row, o, encoded[i].Truncated)...)
	}
	a.Timings.Postprocess = since(&began)
	return a, nil
}

// encode tokenizes inputs of one text or two.
func (e encoder) encode(ctx context.Context, items []engine.Item, o tokenizer.Options) ([]tokenizer.Encoding, error) {
	encoded := make([]tokenizer.Encoding, len(items))
	for i, item := range items {
		r, err := textOf(item)
		if err != nil {
			return nil, err
		}
		encoded[i] = e.tok.EncodeWith(o, r.texts()...)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return encoded, nil
}

// scores runs the model: the logits of each text.
func (p *classifier) scores(ctx context.Context, s engine.Sessions, encoded []tokenizer.Encoding, size int) ([][]float32, error) {
	session, err := s.Open(ctx, "")
	if err != nil {
		return nil, err
	}
	logits := make([][]float32, len(encoded))
	err = p.run(ctx, session, encoded, size, []want{{output: p.logits}}, func(i int, rows []row) error {
		if len(rows[0].shape) != 1 {
			return engine.Errorf(engine.ErrModelInvalid, "the model's output has shape [batch %v]; labels need [batch, labels]", rows[0].shape)
		}
		logits[i] = slices.Clone(rows[0].values)
		return nil
	})
	return logits, err
}

func (p *classifier) outputs(item int, logits []float32, o classifying, truncated bool) []engine.Output {
	function := o.Function
	if function == "" {
		function = p.function(len(logits))
	}
	scores, n := apply(function, logits), 0
	if o.TopK != nil {
		n = max(1, *o.TopK)
	}
	var out []engine.Output
	for _, i := range best(scores, n) {
		shown := engine.Output{Item: item, Label: p.config.label(i), Score: score6(scores[i])}
		if truncated {
			shown.TruncatedInput = &truncated
		}
		out = append(out, shown)
	}
	return out
}
