package tasks

import (
	"cmp"
	"math"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// maxLines bounds the lines of one picture.
const maxLines = 1000

// textBoxes finds the boxes of text in a map of how likely each pixel is of
// one (Liao et al., Real-time Scene Text Detection with Differentiable
// Binarization, 2019), as PaddleOCR does: patches, the smallest rectangle
// around each, made larger, for the network finds text smaller than it is.
func textBoxes(likely []float32, w, h int, p *images.Picture, o reading) [][4]images.Point {
	var out [][4]images.Point
	for _, patch := range patches(dilated(likely, w, h), w, h) {
		rect, side := smallestRectangle(patch)
		if side < 3 || meanWithin(likely, w, h, rect) < o.BoxThreshold {
			continue
		}
		rect, side = smallestRectangle(enlarged(rect, o.Unclip))
		if side < 5 {
			continue
		}
		for i := range rect {
			rect[i].X = min(max(math.RoundToEven(rect[i].X/float64(w)*float64(p.Width)), 0), float64(p.Width))
			rect[i].Y = min(max(math.RoundToEven(rect[i].Y/float64(h)*float64(p.Height)), 0), float64(p.Height))
		}
		rect = clockwise(rect)
		for i := range rect {
			rect[i].X, rect[i].Y = min(rect[i].X, float64(p.Width-1)), min(rect[i].Y, float64(p.Height-1))
		}
		if int(apart(rect[0], rect[1])) > 3 && int(apart(rect[0], rect[3])) > 3 && len(out) < maxLines {
			out = append(out, rect)
		}
	}
	return out
}

// dilated says which pixels are likely, or have such a one left or above.
func dilated(likely []float32, w, h int) []bool {
	const threshold = 0.3
	out := make([]bool, w*h)
	for i, v := range likely {
		if v <= threshold {
			continue
		}
		x, y := i%w, i/w
		for dy := range 2 {
			for dx := range 2 {
				if x+dx < w && y+dy < h {
					out[i+dy*w+dx] = true
				}
			}
		}
	}
	return out
}

// patches are the leftmost and rightmost pixels in each row of what hangs
// together. It takes the pixels out of the mask.
func patches(mask []bool, w, h int) [][]images.Point {
	var out [][]images.Point
	var stack []int
	ends := make([][2]int, h) // of the patch in work, from its first row to its last
	for start := range mask {
		if !mask[start] {
			continue
		}
		top := start / w // the first pixel found is of the first row
		bottom := top
		ends[top] = [2]int{start % w, start % w}
		mask[start] = false
		for stack = append(stack[:0], start); len(stack) > 0; {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			x, y := at%w, at/w
			if y > bottom { // by one: a row is reached from the one above
				bottom, ends[y] = y, [2]int{x, x}
			}
			ends[y] = [2]int{min(ends[y][0], x), max(ends[y][1], x)}
			for ny := max(y-1, 0); ny <= min(y+1, h-1); ny++ {
				for nx := max(x-1, 0); nx <= min(x+1, w-1); nx++ {
					if n := ny*w + nx; mask[n] {
						mask[n] = false
						stack = append(stack, n)
					}
				}
			}
		}
		points := make([]images.Point, 0, 2*(bottom-top+1))
		for y := top; y <= bottom; y++ {
			points = append(points, images.Point{X: float64(ends[y][0]), Y: float64(y)}, images.Point{X: float64(ends[y][1]), Y: float64(y)})
		}
		out = append(out, points)
	}
	return out
}

// hull is the convex hull, counter-clockwise where y points up (Andrew's
// monotone chain).
func hull(points []images.Point) []images.Point {
	slices.SortFunc(points, func(a, b images.Point) int { return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y)) })
	points = slices.Compact(points)
	if len(points) < 3 {
		return points
	}
	var out []images.Point
	half := func(p images.Point, least int) {
		for len(out) > least && cross(out[len(out)-2], out[len(out)-1], p) <= 0 {
			out = out[:len(out)-1]
		}
		out = append(out, p)
	}
	for _, p := range points {
		half(p, 1)
	}
	lower := len(out)
	for _, p := range slices.Backward(points[:len(points)-1]) {
		half(p, lower)
	}
	return out[:len(out)-1]
}

// cross is positive if a, b and c turn left.
func cross(a, b, c images.Point) float64 { return (b.X-a.X)*(c.Y-a.Y) - (b.Y-a.Y)*(c.X-a.X) }

// smallestRectangle is the rectangle of least area around points, its corners
// from the top left clockwise, and its shorter side: one side of it lies on a
// side of the hull.
func smallestRectangle(points []images.Point) (rect [4]images.Point, side float64) {
	h := hull(points)
	least := math.Inf(1)
	for i, a := range h {
		b := h[(i+1)%len(h)]
		length := apart(a, b)
		if length == 0 {
			continue
		}
		ux, uy := (b.X-a.X)/length, (b.Y-a.Y)/length
		u0, u1, v0, v1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
		for _, p := range h {
			u, v := p.X*ux+p.Y*uy, p.Y*ux-p.X*uy
			u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
		}
		if area := (u1 - u0) * (v1 - v0); area < least {
			least, side = area, min(u1-u0, v1-v0)
			for k, c := range [4][2]float64{{u0, v0}, {u1, v0}, {u1, v1}, {u0, v1}} {
				rect[k] = images.Point{X: c[0]*ux - c[1]*uy, Y: c[0]*uy + c[1]*ux}
			}
		}
	}
	return clockwise(rect), side
}

// clockwise sorts four corners: the left ones by height, then the right ones.
func clockwise(r [4]images.Point) [4]images.Point {
	s := r[:]
	slices.SortStableFunc(s, func(a, b images.Point) int { return cmp.Compare(a.X, b.X) })
	if s[0].Y > s[1].Y {
		s[0], s[1] = s[1], s[0]
	}
	if s[2].Y > s[3].Y {
		s[2], s[3] = s[3], s[2]
	}
	return [4]images.Point{s[0], s[2], s[3], s[1]}
}

// meanWithin is the mean likelihood in a rectangle, whose corners are cut to
// whole pixels.
func meanWithin(likely []float32, w, h int, r [4]images.Point) float64 {
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, p := range r {
		x0, y0, x1, y1 = min(x0, p.X), min(y0, p.Y), max(x1, p.X), max(y1, p.Y)
	}
	left, top := min(max(int(math.Floor(x0)), 0), w-1), min(max(int(math.Floor(y0)), 0), h-1)
	right, bottom := min(max(int(math.Ceil(x1)), 0), w-1), min(max(int(math.Ceil(y1)), 0), h-1)
	for i := range r {
		r[i] = images.Point{X: math.Trunc(r[i].X-float64(left)) + float64(left), Y: math.Trunc(r[i].Y-float64(top)) + float64(top)}
	}
	sum, n := 0.0, 0
	for y := top; y <= bottom; y++ {
		for x := left; x <= right; x++ {
			if inside(r, images.Point{X: float64(x), Y: float64(y)}) {
				sum += float64(likely[y*w+x])
				n++
			}
		}
	}
	return sum / float64(max(n, 1))
}

func inside(r [4]images.Point, p images.Point) bool {
	for i := range r {
		if cross(r[i], r[(i+1)%4], p) < 0 {
			return false
		}
	}
	return true
}

// enlarged are points around a rectangle, all as far from it as its area and
// girth say times the ratio, on whole pixels, with round corners.
func enlarged(r [4]images.Point, ratio float64) []images.Point {
	wide, high := apart(r[0], r[1]), apart(r[1], r[2])
	d := wide * high * ratio / (2 * (wide + high))
	for i := range r {
		r[i] = images.Point{X: math.Trunc(r[i].X), Y: math.Trunc(r[i].Y)}
	}
	const quarter = 8 // steps of a corner
	var out []images.Point
	for i := range r {
		a, b, c := r[(i+3)%4], r[i], r[(i+1)%4]
		from := math.Atan2(b.Y-a.Y, b.X-a.X) - math.Pi/2
		to := math.Atan2(c.Y-b.Y, c.X-b.X) - math.Pi/2
		turn := math.Remainder(to-from, 2*math.Pi)
		for k := range quarter + 1 {
			angle := from + turn*float64(k)/quarter
			out = append(out, images.Point{X: math.Round(b.X + d*math.Cos(angle)), Y: math.Round(b.Y + d*math.Sin(angle))})
		}
	}
	return out
}
