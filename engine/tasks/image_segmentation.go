package tasks

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"math"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// ImageSegmentation returns the task "image-segmentation": what each pixel of
// a picture belongs to, by a model with logits [batch, labels, height, width].
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
| masks | false | also return a black and white picture for each label, as results://RUN/0-LABEL_NUMBER.png |

Each output has label, area (which part of the picture, 0 to 1) and box {xmin, ymin, xmax, ymax} around it, in pixels of the picture given.
Models are those of transformers' classes that end in ForSemanticSegmentation (SegFormer), with preprocessor_config.json.
`
}

// Load reads the processor and the labels.
func (imageSegmentation) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	v, g, err := loadVision(m)
	if err != nil {
		return nil, err
	}
	p := &segmenter{vision: v}
	if p.logits, err = output(g, "logits"); err != nil {
		return nil, err
	}
	_, err = readJSON(m, "config.json", &p.config)
	return p, err
}

type segmenter struct {
	vision
	config headConfig
	logits string
}

// segmenting are the parameters.
type segmenting struct {
	Annotate bool `json:"annotate"`
	Masks    bool `json:"masks"`
}

// Run segments the pictures.
func (p *segmenter) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	var o segmenting
	return servePictures(ctx, s, r, pictureWork{
		parameters: &o, input: p.tensors, batches: p.batches,
		take: func(b seen, out engine.Tensors, a *engine.Answer) error {
			values, shape, err := floats(out, p.logits, 1, -1, -1, -1)
			if err != nil {
				return err
			}
			m := mapOf(values, int(shape[1]), int(shape[2]), int(shape[3]), b.picture)
			found := m.parts()
			for _, f := range found {
				a.Outputs = append(a.Outputs, f.output(b.item, p.config, len(m.labels)))
			}
			return p.show(b.item, b.picture, m, found, o, a)
		},
	})
}

// show adds the pictures that are wanted.
func (p *segmenter) show(i int, picture *images.Picture, m segments, found []segment, o segmenting, a *engine.Answer) error {
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
		shown, err := encoded(fmt.Sprintf("%d-%d.png", i, f.label), m.mask(f.label))
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

// segments are the labels of a picture's pixels.
type segments struct {
	width, height int
	scale         float64 // pixels of the picture per pixel
	labels        []uint16
}

// mapOf takes the likeliest label of each pixel.
func mapOf(logits []float32, labels, high, wide int, p *images.Picture) segments {
	scale := max(1, math.Sqrt(float64(p.Width)*float64(p.Height)/maxMapped))
	m := segments{width: max(int(float64(p.Width)/scale), 1), height: max(int(float64(p.Height)/scale), 1), scale: scale}
	m.labels = make([]uint16, m.width*m.height)
	most := make([]float32, m.width*m.height)
	xs, ys := stretch(wide, m.width), stretch(high, m.height)
	for label := range min(labels, math.MaxUint16) {
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
	return m
}

// A segment is the pixels of one label.
type segment struct {
	label, pixels int
	box           image.Rectangle
	scale         float64
}

// parts are the labels that there are, in their order.
func (m segments) parts() []segment {
	all := map[int]*segment{}
	most := 0
	for at, l := range m.labels {
		label, x, y := int(l), at%m.width, at/m.width
		s := all[label]
		if s == nil {
			s = &segment{label: label, box: image.Rect(x, y, x+1, y+1), scale: m.scale}
			all[label], most = s, max(most, label)
		}
		s.pixels++
		s.box = image.Rectangle{image.Pt(min(s.box.Min.X, x), s.box.Min.Y), image.Pt(max(s.box.Max.X, x+1), y+1)}
	}
	var out []segment
	for label := range most + 1 {
		if s := all[label]; s != nil {
			out = append(out, *s)
		}
	}
	return out
}

func (s segment) output(item int, c headConfig, of int) engine.Output {
	tenth := func(v int) float64 { return math.Round(float64(v)*s.scale*10) / 10 }
	return engine.Output{
		Item: item, Label: c.label(s.label), Area: score6(float64(s.pixels) / float64(of)),
		Box: &engine.Box{XMin: tenth(s.box.Min.X), YMin: tenth(s.box.Min.Y), XMax: tenth(s.box.Max.X), YMax: tenth(s.box.Max.Y)},
	}
}

// mask shows where a label is.
func (m segments) mask(label int) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, m.width, m.height))
	for at, l := range m.labels {
		if int(l) == label {
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
