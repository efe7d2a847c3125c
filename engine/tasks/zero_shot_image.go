package tasks

import (
	"context"
	"maps"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// ZeroShotImageClassification returns the task
// "zero-shot-image-classification": which of the caller's labels fit a
// picture, by a model that compares pictures with texts (CLIP), with
// logits_per_image [pictures, texts].
func ZeroShotImageClassification() engine.Task { return zeroShotImage{} }

type zeroShotImage struct{}

var _ engine.Documenter = zeroShotImage{}

func (zeroShotImage) Name() string { return "zero-shot-image-classification" }

// Doc describes the parameters.
func (zeroShotImage) Doc() string {
	return `# zero-shot-image-classification

Which of your own labels fit each picture. ` + pictureInput + `

| parameter | default | meaning |
|---|---|---|
| candidate_labels | needed | the labels, as a list |
| hypothesis_template | "This is a photo of {}." | the sentence that each label is put in |

Each output has label and score, the best first. The model is CLIP as one file with input_ids, pixel_values, attention_mask and
logits_per_image, with tokenizer.json and preprocessor_config.json.
`
}

// Load reads the tokenizer and the processor.
func (zeroShotImage) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	v, g, err := loadVision(m)
	if err != nil {
		return nil, err
	}
	p := &pictureMatcher{vision: v}
	if p.logits, err = output(g, "logits_per_image"); err != nil {
		return nil, err
	}
	for _, in := range g.Inputs {
		if in.Name != v.input {
			p.texts.inputs = append(p.texts.inputs, in)
		}
	}
	if p.texts.tok, err = loadTokenizer(m); err != nil {
		return nil, err
	}
	if err := p.texts.check(); err != nil {
		return nil, err
	}
	p.limit, err = textLimit(m)
	return p, err
}

type pictureMatcher struct {
	vision
	texts  encoder
	logits string
	limit  int
}

// pictureCandidates are the parameters.
type pictureCandidates struct {
	Labels   []string `json:"candidate_labels"`
	Template string   `json:"hypothesis_template"`
}

func (o pictureCandidates) check() error {
	return candidates{Labels: o.Labels, Template: o.Template}.check()
}

// Run compares each picture with all labels.
func (p *pictureMatcher) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := pictureCandidates{Template: "This is a photo of {}."}
	return servePictures(ctx, s, r, pictureWork{
		parameters: &o,
		input: func(picture *images.Picture) engine.Tensors {
			in := p.sentences(o)
			maps.Copy(in, p.tensors(picture))
			return in
		},
		take: func(b seen, out engine.Tensors, a *engine.Answer) error {
			logits, _, err := floats(out, p.logits, 1, int64(len(o.Labels)))
			if err != nil {
				return err
			}
			scores := softmax(logits)
			for _, k := range best(scores, 0) {
				a.Outputs = append(a.Outputs, engine.Output{Item: b.item, Label: o.Labels[k], Score: score6(scores[k])})
			}
			return nil
		},
	})
}

// sentences are the model's inputs of the labels.
func (p *pictureMatcher) sentences(o pictureCandidates) engine.Tensors {
	passages, all, length := make([]passage, len(o.Labels)), make([]int, len(o.Labels)), 0
	for i, label := range o.Labels {
		passages[i].Encoding = p.texts.tok.EncodeWith(tokenizer.Options{Limit: p.limit}, strings.Replace(o.Template, "{}", label, 1))
		all[i], length = i, max(length, len(passages[i].IDs))
	}
	return p.texts.tensors(passages, all, length)
}
