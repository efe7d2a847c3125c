package tasks

import (
	"cmp"
	"math"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// blazeFace is MediaPipe's face detector for the front camera (Bazarevsky et
// al., BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs, 2019).
// It sees a square picture [1,128,128,3] with values from -1 to 1 and answers
// for 896 anchors: 2 in each cell of a 16 × 16 grid, then 6 in each of 8 × 8.
// Each anchor has the logit of its score and 16 numbers: a box's centre and
// size and six keypoints, in pixels from the anchor's centre.
type blazeFace struct {
	name string // of the input
	side int    // of the square, in pixels
	// The outputs of each grid, the finer first.
	scores, boxes [2]string
}

// blazeGrids are the grids of anchors: cells per side and anchors per cell.
var blazeGrids = [2]struct{ cells, anchors int }{{16, 2}, {8, 6}}

// Numbers of one anchor.
const (
	blazeNumbers = 16
	blazePoints  = 6
)

// blazeKeypoints are the keypoints in the model's order.
var blazeKeypoints = [blazePoints]string{"right_eye", "left_eye", "nose_tip", "mouth", "right_ear", "left_ear"}

// newBlazeFace finds the outputs by their shapes.
func newBlazeFace(g engine.Graph) (*blazeFace, error) {
	wrong := engine.Errorf(engine.ErrModelInvalid, "the model is no BlazeFace: it needs an input [1,S,S,3] and outputs for 512 and 384 anchors")
	if len(g.Inputs) != 1 || len(g.Inputs[0].Shape) != 4 || g.Inputs[0].DType != engine.Float32 {
		return nil, wrong
	}
	in := g.Inputs[0]
	b := &blazeFace{name: in.Name, side: int(in.Shape[1])}
	if b.side <= 0 || b.side > 1024 || in.Shape[2] != in.Shape[1] || in.Shape[3] != 3 {
		return nil, wrong
	}
	for i, grid := range blazeGrids {
		n := int64(grid.cells * grid.cells * grid.anchors)
		for _, v := range g.Outputs {
			if len(v.Shape) != 3 || v.Shape[1] != n {
				continue
			}
			switch v.Shape[2] {
			case 1:
				b.scores[i] = v.Name
			case blazeNumbers:
				b.boxes[i] = v.Name
			}
		}
		if b.scores[i] == "" || b.boxes[i] == "" {
			return nil, wrong
		}
	}
	return b, nil
}

// input makes the model's input of a picture.
func (b *blazeFace) input(picture *images.Picture) (engine.Tensors, frame) {
	square, f := letterbox(picture, b.side, b.side, images.Bilinear, 0)
	values := make([]float32, 0, b.side*b.side*3)
	for _, v := range square.Pix {
		values = append(values, float32(v)/127.5-1)
	}
	side := int64(b.side)
	return engine.Tensors{b.name: engine.NewTensor([]int64{1, side, side, 3}, values)}, f
}

// A blazeHit is one anchor that is sure enough, in pixels of the square.
type blazeHit struct {
	hit
	points [blazePoints][2]float64
}

// objects reads the outputs, joins hits of the same face, and places them in
// the picture, the surest first.
func (b *blazeFace) objects(out engine.Tensors, o detection, f frame) ([]engine.Output, error) {
	var hits []blazeHit
	for i, grid := range blazeGrids {
		scores, boxes, err := b.grid(out, i)
		if err != nil {
			return nil, err
		}
		for n, logit := range scores {
			if score := sigmoid(float64(logit)); score >= o.ScoreThreshold {
				hits = append(hits, b.hit(score, n, grid.cells, grid.anchors, boxes[n*blazeNumbers:(n+1)*blazeNumbers]))
			}
		}
	}
	var faces []engine.Output
	for _, h := range blend(hits, o.IOUThreshold) {
		faces = append(faces, h.output(f))
	}
	return faces, nil
}

// grid returns the scores and boxes of one grid.
func (b *blazeFace) grid(out engine.Tensors, i int) (scores, boxes []float32, err error) {
	n := blazeGrids[i].cells * blazeGrids[i].cells * blazeGrids[i].anchors
	for name, want := range map[string]int{b.scores[i]: n, b.boxes[i]: n * blazeNumbers} {
		t := out[name]
		if t == nil {
			return nil, nil, engine.Errorf(engine.ErrModelInvalid, "the model gave no %q", name)
		}
		values, err := engine.Values[float32](t)
		if err != nil {
			return nil, nil, err
		}
		if len(values) != want {
			return nil, nil, engine.Errorf(engine.ErrModelInvalid, "the model's %q has shape %v", name, t.Shape)
		}
		if name == b.scores[i] {
			scores = values
		} else {
			boxes = values
		}
	}
	return scores, boxes, nil
}

// hit places the n-th anchor's numbers in the square.
func (b *blazeFace) hit(score float64, n, cells, anchors int, v []float32) blazeHit {
	cell := n / anchors
	size := float64(b.side) / float64(cells)
	ax, ay := (float64(cell%cells)+0.5)*size, (float64(cell/cells)+0.5)*size
	cx, cy, w, h := ax+float64(v[0]), ay+float64(v[1]), float64(v[2]), float64(v[3])
	found := blazeHit{hit: hit{score: score, x0: cx - w/2, y0: cy - h/2, x1: cx + w/2, y1: cy + h/2}}
	for k := range blazePoints {
		found.points[k] = [2]float64{ax + float64(v[4+2*k]), ay + float64(v[5+2*k])}
	}
	return found
}

// blend joins hits that overlap into their mean weighted by score, as the
// paper does instead of dropping all but the best, and keeps the best score.
func blend(hits []blazeHit, threshold float64) []blazeHit {
	slices.SortStableFunc(hits, func(a, b blazeHit) int { return cmp.Compare(b.score, a.score) })
	var out []blazeHit
	for len(hits) > 0 {
		best := hits[0]
		sum, weight := blazeHit{hit: hit{score: best.score}}, best.score
		sum.add(best)
		var rest []blazeHit
		for _, h := range hits[1:] {
			if best.iou(h.hit) < threshold && h != best {
				rest = append(rest, h)
				continue
			}
			sum.add(h)
			weight += h.score
		}
		out, hits = append(out, sum.divide(weight)), rest
	}
	return out
}

func (h *blazeHit) add(o blazeHit) {
	h.x0, h.y0, h.x1, h.y1 = h.x0+o.x0*o.score, h.y0+o.y0*o.score, h.x1+o.x1*o.score, h.y1+o.y1*o.score
	for k := range h.points {
		h.points[k][0] += o.points[k][0] * o.score
		h.points[k][1] += o.points[k][1] * o.score
	}
}

func (h blazeHit) divide(by float64) blazeHit {
	h.x0, h.y0, h.x1, h.y1 = h.x0/by, h.y0/by, h.x1/by, h.y1/by
	for k := range h.points {
		h.points[k][0] /= by
		h.points[k][1] /= by
	}
	return h
}

func (h blazeHit) output(f frame) engine.Output {
	score := math.Round(h.score*1e4) / 1e4
	out := engine.Output{Label: "face", Score: &score, Box: f.box(h.x0, h.y0, h.x1, h.y1)}
	for k, name := range blazeKeypoints {
		x, y := f.at(h.points[k][0], h.points[k][1])
		out.Keypoints = append(out.Keypoints, engine.Point{Name: name, X: x, Y: y})
	}
	return out
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
