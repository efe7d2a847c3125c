package tasks

import (
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// detr is a detector that answers a fixed number of boxes, as a fraction of
// the picture: DETR and its relatives. It has logits [batch, boxes, classes]
// and pred_boxes [batch, boxes, 4] of centres and sizes.
type detr struct {
	vision
	config headConfig
	focal  bool // classes are scored each by itself (RT-DETR, D-FINE, Deformable and Conditional DETR)
}

// newDETR takes the family from the class that config.json names.
func newDETR(m *engine.Model, g engine.Graph) (network, error) {
	v, err := visionOf(m, g)
	if err != nil {
		return nil, err
	}
	d := &detr{vision: v}
	var c struct {
		Type string `json:"model_type"`
	}
	if _, err := readJSON(m, "config.json", &c); err != nil {
		return nil, err
	}
	for _, kind := range []string{"rt_detr", "d_fine", "deformable", "conditional", "deta"} {
		d.focal = d.focal || strings.HasPrefix(c.Type, kind)
	}
	_, err = readJSON(m, "config.json", &d.config)
	return d, err
}

func (d *detr) input(p *images.Picture) (engine.Tensors, frame) {
	return d.tensors(p), stretched(p, 1, 1)
}

func (d *detr) objects(out engine.Tensors, o detection, f frame) ([]engine.Output, error) {
	logits, shape, err := floats(out, "logits", 1, -1, -1)
	if err != nil {
		return nil, err
	}
	boxes, _, err := floats(out, "pred_boxes", 1, shape[1], 4)
	if err != nil {
		return nil, err
	}
	var hits []hit
	classes := int(shape[2])
	for i := range int(shape[1]) {
		scores := d.scores(logits[i*classes : (i+1)*classes])
		b := boxes[i*4:]
		h := hit{x0: float64(b[0] - b[2]/2), y0: float64(b[1] - b[3]/2), x1: float64(b[0] + b[2]/2), y1: float64(b[1] + b[3]/2)}
		for _, c := range d.taken(scores) {
			if h.class, h.score = c, scores[c]; h.score > o.ScoreThreshold {
				hits = withHit(hits, h)
			}
		}
	}
	return placed(suppress(hits, 1), f, o.namer(d.config)), nil
}

// scores are those of the classes; the last of the plain kind says that there
// is nothing.
func (d *detr) scores(logits []float32) []float64 {
	if d.focal {
		return apply("sigmoid", logits)
	}
	return softmax(logits)[:len(logits)-1]
}

// taken are the classes of a box that count.
func (d *detr) taken(scores []float64) []int {
	if d.focal {
		return best(scores, 0)
	}
	return best(scores, 1)
}

// yolo is a detector of Ultralytics' form: one output [batch, 4 + classes,
// boxes], or [batch, boxes, 5 + classes] with the likelihood of any object
// fifth; boxes are centres and sizes in pixels of a letterboxed picture.
type yolo struct {
	name, output  string
	width, height int
	config        headConfig
}

// newYOLO takes the size from the model's input, 640 where it is open.
func newYOLO(m *engine.Model, g engine.Graph) (network, error) {
	y := &yolo{width: 640, height: 640}
	if len(g.Inputs) != 1 || len(g.Inputs[0].Shape) != 4 || g.Inputs[0].DType != engine.Float32 || len(g.Outputs) == 0 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model is no YOLO: it needs one input [batch, 3, height, width]")
	}
	in := g.Inputs[0]
	y.name, y.output = in.Name, g.Outputs[0].Name
	if in.Shape[2] > 0 && in.Shape[3] > 0 {
		y.height, y.width = int(in.Shape[2]), int(in.Shape[3])
	}
	if y.height > 4096 || y.width > 4096 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model takes pictures of %d × %d, over the limit of 4096", y.width, y.height)
	}
	_, err := readJSON(m, "config.json", &y.config)
	return y, err
}

func (y *yolo) input(p *images.Picture) (engine.Tensors, frame) {
	boxed, f := letterbox(p, y.width, y.height, images.Linear, 114)
	n := y.width * y.height
	values := make([]float32, 3*n)
	for i := range n {
		for c := range 3 {
			values[c*n+i] = float32(boxed.Pix[i*3+c]) / 255
		}
	}
	return engine.Tensors{y.name: engine.NewTensor([]int64{1, 3, int64(y.height), int64(y.width)}, values)}, f
}

func (y *yolo) objects(out engine.Tensors, o detection, f frame) ([]engine.Output, error) {
	values, shape, err := floats(out, y.output, 1, -1, -1)
	if err != nil {
		return nil, err
	}
	rows, columns := int(shape[1]), int(shape[2])
	flat := rows < columns // boxes are columns: there are more of them than classes
	boxes, numbers := rows, columns
	if flat {
		boxes, numbers = columns, rows
	}
	first := 5
	if flat {
		first = 4
	}
	if numbers <= first {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model's output %q has shape %v; it needs classes", y.output, shape)
	}
	at := func(box, k int) float64 {
		if flat {
			return float64(values[k*boxes+box])
		}
		return float64(values[box*numbers+k])
	}
	var hits []hit
	for b := range boxes {
		class, score := first, at(b, first)
		for k := first + 1; k < numbers; k++ {
			if v := at(b, k); v > score {
				class, score = k, v
			}
		}
		if !flat {
			score *= at(b, 4)
		}
		if score <= o.ScoreThreshold {
			continue
		}
		x, y, w, h := at(b, 0), at(b, 1), at(b, 2)/2, at(b, 3)/2
		hits = withHit(hits, hit{class: class - first, score: score, x0: x - w, y0: y - h, x1: x + w, y1: y + h})
	}
	return placed(suppress(hits, o.IOUThreshold), f, o.namer(y.config)), nil
}

// picodet is PaddleDetection's PicoDet without its last layers: for strides of
// 8, 16, 32 and 64 pixels the scores [1, cells, classes] and then the boxes
// [1, cells, 4 × bins], likelihoods of how many strides away each side is.
type picodet struct {
	vision
	scores, boxes []string
	config        headConfig
}

func newPicoDet(m *engine.Model, g engine.Graph) (network, error) {
	v, err := visionOf(m, g)
	if err != nil {
		return nil, err
	}
	p := &picodet{vision: v}
	half := len(g.Outputs) / 2
	for i, out := range g.Outputs {
		if i < half {
			p.scores = append(p.scores, out.Name)
		} else {
			p.boxes = append(p.boxes, out.Name)
		}
	}
	if half == 0 || len(g.Outputs)%2 != 0 || half > 5 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model is no PicoDet: it needs outputs of scores and as many of boxes")
	}
	_, err = readJSON(m, "config.json", &p.config)
	return p, err
}

func (d *picodet) input(p *images.Picture) (engine.Tensors, frame) {
	in := d.tensors(p)
	shape := in[d.vision.input].Shape
	return in, stretched(p, float64(shape[3]), float64(shape[2]))
}

func (d *picodet) objects(out engine.Tensors, o detection, f frame) ([]engine.Output, error) {
	var hits []hit
	width, height := f.wide/f.sx, f.high/f.sy
	for i := range d.scores {
		stride := float64(int(8) << i)
		columns := int(width/stride + 0.999)
		rows := int(height/stride + 0.999)
		scores, shape, err := floats(out, d.scores[i], 1, int64(rows*columns), -1)
		if err != nil {
			return nil, err
		}
		boxes, bins, err := floats(out, d.boxes[i], 1, int64(rows*columns), -1)
		if err != nil {
			return nil, err
		}
		classes, n := int(shape[2]), int(bins[2])/4
		if n == 0 || bins[2]%4 != 0 {
			return nil, engine.Errorf(engine.ErrModelInvalid, "the model's output %q has shape %v; it needs bins for four sides", d.boxes[i], bins)
		}
		for cell := range rows * columns {
			for c, score := range scores[cell*classes : (cell+1)*classes] {
				if float64(score) <= o.ScoreThreshold {
					continue
				}
				far := distances(boxes[cell*n*4:(cell+1)*n*4], n)
				x, y := (float64(cell%columns)+0.5)*stride, (float64(cell/columns)+0.5)*stride
				hits = withHit(hits, hit{
					class: c, score: float64(score), x0: max(x-far[0]*stride, 0), y0: max(y-far[1]*stride, 0),
					x1: min(x+far[2]*stride, width), y1: min(y+far[3]*stride, height),
				})
			}
		}
	}
	return placed(suppress(hits, o.IOUThreshold), f, o.namer(d.config)), nil
}

// distances are the mean ones of four sides.
func distances(logits []float32, bins int) (out [4]float64) {
	for side := range out {
		for k, p := range softmax(logits[side*bins : (side+1)*bins]) {
			out[side] += float64(k) * p
		}
	}
	return out
}

// architecture finds out what kind of detector a model is: what its manifest
// says, or what its outputs look like.
func architecture(m *engine.Model, g engine.Graph) string {
	if m.Manifest.Architecture != "" {
		return m.Manifest.Architecture
	}
	has := func(name string) bool {
		return slices.ContainsFunc(g.Outputs, func(v engine.ValueInfo) bool { return v.Name == name })
	}
	switch {
	case has("logits") && has("pred_boxes"):
		return "detr"
	case len(g.Outputs) == 1 && len(g.Outputs[0].Shape) == 3:
		return "yolo"
	}
	return ""
}
