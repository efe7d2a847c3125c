package tasks

import (
	"cmp"
	"math"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// A network is an architecture of detectors.
type network interface {
	// input makes the model's inputs of a picture.
	input(p *images.Picture) (engine.Tensors, frame)

	// objects reads the outputs; f says where the picture lay.
	objects(out engine.Tensors, o detection, f frame) ([]engine.Output, error)
}

// A hit is a box that is sure enough, in pixels of what the model saw.
type hit struct {
	class          int
	score          float64
	x0, y0, x1, y1 float64
}

// iou is the area that two boxes share over the area of both.
func (h hit) iou(o hit) float64 {
	w, t := min(h.x1, o.x1)-max(h.x0, o.x0), min(h.y1, o.y1)-max(h.y0, o.y0)
	if w <= 0 || t <= 0 {
		return 0
	}
	return w * t / ((h.x1-h.x0)*(h.y1-h.y0) + (o.x1-o.x0)*(o.y1-o.y0) - w*t)
}

// Limits of suppression, which compares each box with each.
const (
	maxCandidates = 1000
	maxObjects    = 300
)

// withHit adds a hit. Where there are far more than suppress looks at, only
// those are left.
func withHit(hits []hit, h hit) []hit {
	if hits = append(hits, h); len(hits) < 64*maxCandidates {
		return hits
	}
	sortHits(hits)
	return hits[:maxCandidates]
}

// sortHits puts the surest first, and of equals the first.
func sortHits(hits []hit) {
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
}

// suppress keeps of boxes of one class that overlap more than the threshold
// the surest, the surest first.
func suppress(hits []hit, threshold float64) []hit {
	sortHits(hits)
	var out []hit
	for _, h := range hits[:min(len(hits), maxCandidates)] {
		covered := slices.ContainsFunc(out, func(k hit) bool { return k.class == h.class && k.iou(h) > threshold })
		if !covered && len(out) < maxObjects {
			out = append(out, h)
		}
	}
	return out
}

// placed are hits in pixels of the picture.
func placed(hits []hit, f frame, name func(class int) string) []engine.Output {
	out := make([]engine.Output, len(hits))
	for i, h := range hits {
		score := math.Round(h.score*1e4) / 1e4
		out[i] = engine.Output{Label: name(h.class), Score: &score, Box: f.box(h.x0, h.y0, h.x1, h.y1)}
	}
	return out
}

// A frame says where a picture lies in what a model sees.
type frame struct {
	sx, sy     float64 // pixels of the picture per pixel of what the model sees
	dx, dy     float64 // of the picture's corner, in pixels of what the model sees
	wide, high float64 // of the picture
}

// stretched is the frame of a picture that fills width × height.
func stretched(p *images.Picture, width, height float64) frame {
	return frame{sx: float64(p.Width) / width, sy: float64(p.Height) / height, wide: float64(p.Width), high: float64(p.Height)}
}

// letterbox scales a picture into a rectangle, its proportions kept, in the
// middle of a plain ground.
func letterbox(p *images.Picture, width, height int, filter images.Filter, ground byte) (*images.Picture, frame) {
	scale := max(float64(p.Width)/float64(width), float64(p.Height)/float64(height))
	w := max(int(math.Round(float64(p.Width)/scale)), 1)
	h := max(int(math.Round(float64(p.Height)/scale)), 1)
	x, y := (width-w)/2, (height-h)/2
	out := images.New(width, height)
	out.Fill(ground, ground, ground)
	out.Paste(p.Resize(w, h, filter), x, y)
	return out, frame{sx: scale, sy: scale, dx: float64(x), dy: float64(y), wide: float64(p.Width), high: float64(p.Height)}
}

// at turns a point of what the model sees into one of the picture, kept inside
// it.
func (f frame) at(x, y float64) (float64, float64) {
	tenth := func(v, most float64) float64 { return math.Round(min(max(v, 0), most)*10) / 10 }
	return tenth((x-f.dx)*f.sx, f.wide), tenth((y-f.dy)*f.sy, f.high)
}

func (f frame) box(x0, y0, x1, y1 float64) *engine.Box {
	b := &engine.Box{}
	b.XMin, b.YMin = f.at(x0, y0)
	b.XMax, b.YMax = f.at(x1, y1)
	return b
}
