package tasks

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"maps"
	"math"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// ImageSegmentation returns the task "image-segmentation": what each pixel of
// a picture belongs to, by a model with logits [batch, labels, height, width],
// or with those of queries [batch, queries, labels + 1] and their masks.
func ImageSegmentation() engine.Task { return imageSegmentation{} }

type imageSegmentation struct{}

var _ engine.Documenter = imageSegmentation{}

func (imageSegmentation) Name() string { return "image-segmentation" }

// Doc describes the parameters.
func (imageSegmentation) Doc() string {
	return `# image-segmentation

What each pixel of a picture belongs to. ` + pictureInput + `

| parameter | default | meaning |
|---|---|---|
| annotate | false | also return the picture with a colour over each label, as results://RUN/0.png |
| masks | false | also return a black and white picture for each output, as results://RUN/0-NUMBER.png: its label's number, or if panoptic the output's, from 1 |
| subtask | the model's | semantic: every pixel has a label; panoptic: each thing is an output of its own, with a score, and pixels may be of none |
| threshold | 0.9 | if panoptic, how sure the model must be of a thing |
| mask_threshold | 0.5 | if panoptic, how sure it must be of a pixel |
| overlap_mask_area_threshold | 0.5 | if panoptic, which part of its pixels must be left to a thing where others lie over it |

Each output has label, area (which part of the picture, 0 to 1) and box {xmin, ymin, xmax, ymax} around it, in pixels of the picture given.
Models are those of transformers' classes that end in ForSemanticSegmentation (SegFormer), which are semantic, and those with queries (MaskFormer, Mask2Former,
DetrForSegmentation), which are panoptic or semantic, with preprocessor_config.json.
`
}

// Load reads the processor and the labels.
func (imageSegmentation) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	v, g, err := loadVision(m)
	if err != nil {
		return nil, err
	}
	p := &segmenter{vision: v}
	if _, err = readJSON(m, "config.json", &p.config); err != nil {
		return nil, err
	}
	for _, o := range g.Outputs {
		switch o.Name {
		case "masks_queries_logits": // of MaskFormer and Mask2Former
			p.logits, p.masks = "class_queries_logits", o.Name
			return p, nil
		case "pred_masks": // of DETR
			p.logits, p.masks = "logits", o.Name
			return p, nil
		}
	}
	p.logits, err = output(g, "logits")
	return p, err
}

type segmenter struct {
	vision
	config headConfig
	logits string
	masks  string // of queries, or "" if logits are of pixels
}

// What may be wanted of a picture.
const (
	semantic = "semantic"
	panoptic = "panoptic"
)

// segmenting are the parameters.
type segmenting struct {
	Annotate      bool    `json:"annotate"`
	Masks         bool    `json:"masks"`
	Subtask       string  `json:"subtask"`
	Threshold     float64 `json:"threshold"`
	MaskThreshold float64 `json:"mask_threshold"`
	Overlap       float64 `json:"overlap_mask_area_threshold"`
}

func (o segmenting) check() error {
	if o.Subtask == "instance" {
		return engine.Errorf(engine.ErrUnsupported, "instance segmentation is not known here").WithHint("pass subtask panoptic, which finds each thing too, or semantic")
	}
	return among("subtask", o.Subtask, "", panoptic, semantic)
}

// Run segments the pictures.
func (p *segmenter) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := segmenting{Threshold: 0.9, MaskThreshold: 0.5, Overlap: 0.5}
	return servePictures(ctx, s, r, pictureWork{
		parameters: &o, input: p.tensors, batches: p.batches,
		take: func(b seen, out engine.Tensors, a *engine.Answer) error {
			m, err := p.segments(ctx, out, o, b.picture)
			if err != nil {
				return err
			}
			found := m.parts()
			for _, f := range found {
				a.Outputs = append(a.Outputs, f.output(b.item, p.config, m))
			}
			return p.show(ctx, b.item, b.picture, m, found, o, a)
		},
	})
}

// segments are what a model's outputs say of a picture's pixels.
func (p *segmenter) segments(ctx context.Context, out engine.Tensors, o segmenting, picture *images.Picture) (segments, error) {
	if p.masks == "" {
		if o.Subtask == panoptic {
			return segments{}, engine.Errorf(engine.ErrUnsupported, "the model gives labels of pixels, and no masks of things, which panoptic segmentation needs").
				WithHint("leave subtask out, or pass semantic")
		}
		values, shape, err := floats(out, p.logits, 1, -1, -1, -1)
		if err != nil {
			return segments{}, err
		}
		return mapOf(ctx, values, int(shape[1]), int(shape[2]), int(shape[3]), picture)
	}
	q, err := p.queries(out)
	if err != nil {
		return segments{}, err
	}
	if o.Subtask == semantic {
		values, labels, high, wide, err := p.semantic(ctx, q)
		if err != nil {
			return segments{}, err
		}
		return mapOf(ctx, values, labels, high, wide, picture)
	}
	return p.panoptic(ctx, q, o, picture)
}

// show adds the pictures that are wanted.
func (p *segmenter) show(ctx context.Context, i int, picture *images.Picture, m segments, found []segment, o segmenting, a *engine.Answer) error {
	if o.Annotate {
		shown, err := encoded(fmt.Sprintf("%d.png", i), m.over(picture))
		if err != nil {
			return err
		}
		a.Pictures = append(a.Pictures, shown)
	}
	for _, f := range found {
		if !o.Masks {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		shown, err := encoded(fmt.Sprintf("%d-%d.png", i, f.number), m.mask(f.number))
		if err != nil {
			return err
		}
		a.Pictures = append(a.Pictures, shown)
	}
	return nil
}

// maxMapped bounds the pixels that get a label: a larger picture is looked at
// in a smaller size.
const maxMapped = 4 << 20

// segments are what a picture's pixels belong to.
type segments struct {
	width, height int
	scale         float64 // pixels of the picture per pixel
	labels        []uint16
	objects       []object // if not nil, labels are their numbers, from 1, and 0 is nothing
}

func newSegments(p *images.Picture) segments {
	scale := max(1, math.Sqrt(float64(p.Width)*float64(p.Height)/maxMapped))
	m := segments{width: max(int(float64(p.Width)/scale), 1), height: max(int(float64(p.Height)/scale), 1), scale: scale}
	m.labels = make([]uint16, m.width*m.height)
	return m
}

// mapOf takes the likeliest label of each pixel.
func mapOf(ctx context.Context, logits []float32, labels, high, wide int, p *images.Picture) (segments, error) {
	m := newSegments(p)
	most := make([]float32, m.width*m.height)
	xs, ys := stretch(wide, m.width), stretch(high, m.height)
	for label := range min(labels, math.MaxUint16) {
		if ctx.Err() != nil {
			return m, ctx.Err()
		}
		scores := plane{wide, high, logits[label*wide*high : (label+1)*wide*high]}
		for j, y := range ys {
			for i, x := range xs {
				at := j*m.width + i
				if v := scores.at(x, y); label == 0 || v > most[at] {
					most[at], m.labels[at] = v, uint16(label)
				}
			}
		}
	}
	return m, nil
}

// A segment is the pixels of one label, or of one object.
type segment struct {
	number, pixels int
	box            image.Rectangle
}

// parts are the segments that there are, in the order of their numbers.
func (m segments) parts() []segment {
	all := map[int]*segment{}
	for at, l := range m.labels {
		number, x, y := int(l), at%m.width, at/m.width
		if number == 0 && m.objects != nil {
			continue
		}
		s := all[number]
		if s == nil {
			s = &segment{number: number, box: image.Rect(x, y, x+1, y+1)}
			all[number] = s
		}
		s.pixels++
		s.box = image.Rectangle{image.Pt(min(s.box.Min.X, x), s.box.Min.Y), image.Pt(max(s.box.Max.X, x+1), y+1)}
	}
	var out []segment
	for _, number := range slices.Sorted(maps.Keys(all)) {
		out = append(out, *all[number])
	}
	return out
}

func (s segment) output(item int, c headConfig, m segments) engine.Output {
	tenth := func(v int) float64 { return math.Round(float64(v)*m.scale*10) / 10 }
	out := engine.Output{
		Item: item, Label: c.label(s.number), Area: score6(float64(s.pixels) / float64(len(m.labels))),
		Box: &engine.Box{XMin: tenth(s.box.Min.X), YMin: tenth(s.box.Min.Y), XMax: tenth(s.box.Max.X), YMax: tenth(s.box.Max.Y)},
	}
	if m.objects != nil {
		o := m.objects[s.number-1]
		out.Label, out.Score = c.label(o.label), score6(o.score)
	}
	return out
}

// mask shows where a segment is.
func (m segments) mask(number int) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, m.width, m.height))
	for at, l := range m.labels {
		if int(l) == number {
			out.Pix[at] = 0xff
		}
	}
	return out
}

// over shows the picture with the labels' colours.
func (m segments) over(p *images.Picture) image.Image {
	out, _ := reduced(p)
	b := out.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			label := m.labels[y*m.height/b.Dy()*m.width+x*m.width/b.Dx()]
			c, at := labelColor(int(label)), out.PixOffset(x, y)
			for k, v := range [3]byte{c.R, c.G, c.B} {
				out.Pix[at+k] = byte((int(out.Pix[at+k]) + int(v)) / 2)
			}
		}
	}
	return out
}

// labelColor is one of colours that lie far apart.
func labelColor(label int) color.RGBA {
	turn := math.Mod(float64(label)*0.618034, 1) * 6
	rise := byte(255 * (turn - math.Floor(turn)))
	return [6]color.RGBA{{255, rise, 0, 255}, {255 - rise, 255, 0, 255}, {0, 255, rise, 255}, {0, 255 - rise, 255, 255}, {rise, 0, 255, 255}, {255, 0, 255 - rise, 255}}[int(turn)%6]
}
