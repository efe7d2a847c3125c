package tasks

import (
	"context"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// ObjectDetection returns the task "object-detection": labels, scores and
// boxes of what is in a picture. This version knows the architecture
// "blazeface", named by the model's manifest.
func ObjectDetection() engine.Task { return objectDetection{} }

type objectDetection struct{}

var _ engine.Documenter = objectDetection{}

func (objectDetection) Name() string { return "object-detection" }

// Doc describes the parameters.
func (objectDetection) Doc() string {
	return `# object-detection

What is in a picture, and where. An input is the path of a PNG, JPEG or GIF file in an allowed folder,
ipfs://CID/file, or a data: URI.

| parameter | default | meaning |
|---|---|---|
| score_threshold | the model's, else 0.5 | leave out what is less sure, 0 to 1 |
| iou_threshold | 0.3 | boxes that overlap more than this are one object |
| annotate | false | also return the picture with the boxes drawn, as results://RUN/0.png |

Each output has item (which input), label, score, box {xmin, ymin, xmax, ymax} and, for faces, keypoints, in pixels of the picture given.
`
}

// detection are the settings of a detector, which a caller may change.
type detection struct {
	ScoreThreshold float64 `json:"score_threshold"`
	IOUThreshold   float64 `json:"iou_threshold"`
	Annotate       bool    `json:"annotate"`
}

func (o detection) check() error {
	for name, v := range map[string]float64{"score_threshold": o.ScoreThreshold, "iou_threshold": o.IOUThreshold} {
		if v < 0 || v > 1 {
			return engine.Errorf(engine.ErrInvalidArgument, "%s %v is not between 0 and 1", name, v)
		}
	}
	return nil
}

// Load reads the manifest.
func (objectDetection) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	known := []string{"blazeface"}
	if m.Manifest.Architecture != known[0] {
		e := engine.Errorf(engine.ErrModelInvalid, "object-detection does not know the model's architecture %q", m.Manifest.Architecture)
		e.ValidValues = known
		return nil, e.WithHint("name the \"architecture\" in %s, or pass raw tensors", engine.ManifestName)
	}
	o := detection{ScoreThreshold: 0.5, IOUThreshold: 0.3}
	if err := readParameters(m.Manifest.Parameters, &o); err != nil {
		return nil, engine.Errorf(engine.ErrModelInvalid, "%s: %w", engine.ManifestName, err)
	}
	g, err := graphOf(m)
	if err != nil {
		return nil, err
	}
	net, err := newBlazeFace(g)
	return &detector{settings: o, net: net}, err
}

// detector is the pipeline of object-detection.
type detector struct {
	settings detection
	net      *blazeFace
}

func (d *detector) Close() error { return nil }

// Run finds the objects in each picture, one picture at a time.
func (d *detector) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := d.settings
	if err := readParameters(r.Parameters, &o); err != nil {
		return engine.Answer{}, err
	}
	if err := o.check(); err != nil {
		return engine.Answer{}, err
	}
	session, err := s.Open(ctx, "")
	if err != nil {
		return engine.Answer{}, err
	}
	var a engine.Answer
	for i, item := range r.Items {
		if err := d.detect(ctx, session, o, i, item, &a); err != nil {
			return a, err
		}
	}
	return a, nil
}

// detect adds what is in one picture to the answer.
func (d *detector) detect(ctx context.Context, s engine.Session, o detection, i int, item engine.Item, a *engine.Answer) error {
	began := time.Now()
	picture, err := readPicture(ctx, item)
	if err != nil {
		return err
	}
	in, frame := d.net.input(picture)
	a.Timings.Preprocess += since(&began)
	out, err := s.Run(ctx, in)
	if err != nil {
		return err
	}
	a.Timings.Run += since(&began)
	found, err := d.net.faces(out, o, frame)
	if err != nil {
		return err
	}
	for _, f := range found {
		f.Item = i
		a.Outputs = append(a.Outputs, f)
	}
	if o.Annotate {
		p, err := annotate(i, picture, found)
		if err != nil {
			return err
		}
		a.Pictures = append(a.Pictures, p)
	}
	a.Timings.Postprocess += since(&began)
	return nil
}
