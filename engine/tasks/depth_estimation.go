package tasks

import (
	"context"
	"fmt"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// DepthEstimation returns the task "depth-estimation": how far away what a
// picture shows is, by a model with predicted_depth [batch, height, width].
func DepthEstimation() engine.Task { return depthEstimation{} }

type depthEstimation struct{}

var _ engine.Documenter = depthEstimation{}

func (depthEstimation) Name() string { return "depth-estimation" }

// Doc describes the parameters.
func (depthEstimation) Doc() string {
	return `# depth-estimation

How far away what a picture shows is. ` + pictureInput + `

| parameter | default | meaning |
|---|---|---|
| annotate | false | also return the depths as a grey picture, white for the greatest, as results://RUN/0.png |

Each output has depth {min, max, mean} in the model's own measure: of some the distance, of others its inverse. Models are those of
transformers' classes that end in ForDepthEstimation (DPT, GLPN, Depth Anything), with preprocessor_config.json.
`
}

// Load reads the processor.
func (depthEstimation) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	v, g, err := loadVision(m)
	if err != nil {
		return nil, err
	}
	name, err := output(g, "predicted_depth")
	return &depths{v, name}, err
}

type depths struct {
	vision
	output string
}

// measuring are the parameters.
type measuring struct {
	Annotate bool `json:"annotate"`
}

// Run measures the pictures.
func (p *depths) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	var o measuring
	return servePictures(ctx, s, r, pictureWork{
		parameters: &o, input: p.tensors, batches: p.batches,
		take: func(b seen, out engine.Tensors, a *engine.Answer) error {
			values, shape, err := floats(out, p.output, 1, -1, -1)
			if err != nil {
				return err
			}
			spread := spreadOf(values)
			a.Outputs = append(a.Outputs, engine.Output{Item: b.item, Depth: &spread})
			if !o.Annotate {
				return nil
			}
			w, h := shownSize(b.picture.Width, b.picture.Height)
			depth := plane{int(shape[2]), int(shape[1]), values}
			shown, err := encoded(fmt.Sprintf("%d.png", b.item), depth.gray(w, h, float32(spread.Max)))
			a.Pictures = append(a.Pictures, shown)
			return err
		},
	})
}

func spreadOf(values []float32) engine.Spread {
	s := engine.Spread{Min: float64(values[0]), Max: float64(values[0])}
	for _, v := range values {
		s.Min, s.Max, s.Mean = min(s.Min, float64(v)), max(s.Max, float64(v)), s.Mean+float64(v)
	}
	s.Mean /= float64(len(values))
	return s
}
