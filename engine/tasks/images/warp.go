package images

import "math"

// A Point is a place in a picture, in pixels from its top left corner.
type Point struct{ X, Y float64 }

// Straighten cuts out what lies within four corners, given clockwise from the
// top left, as a picture of width × height, like OpenCV's warpPerspective with
// INTER_CUBIC and replicated borders. Corners that span no area give nil.
func (p *Picture) Straighten(corners [4]Point, width, height int) *Picture {
	m, ok := perspective(corners, float64(width), float64(height))
	if !ok || width <= 0 || height <= 0 {
		return nil
	}
	out := New(width, height)
	for y := range height {
		row := out.row(y)
		for x := range width {
			fx, fy := float64(x), float64(y)
			w := m[6]*fx + m[7]*fy + 1
			if w == 0 {
				continue
			}
			sx, sy := (m[0]*fx+m[1]*fy+m[2])/w, (m[3]*fx+m[4]*fy+m[5])/w
			p.cubic(row[x*3:x*3+3], sx, sy)
		}
	}
	return out
}

// steps are how many parts of a pixel a place is known to.
const steps = 32

// cubic mixes the sixteen pixels around a place.
func (p *Picture) cubic(dst []byte, x, y float64) {
	qx, qy := int(math.RoundToEven(x*steps)), int(math.RoundToEven(y*steps))
	wx, wy := &cubicSteps[qx&(steps-1)], &cubicSteps[qy&(steps-1)]
	x0, y0 := qx>>5-1, qy>>5-1
	var at [4]int
	for i := range at {
		at[i] = min(max(x0+i, 0), p.Width-1) * 3
	}
	var r, g, b float64
	for j, v := range wy {
		row := p.row(min(max(y0+j, 0), p.Height-1))
		for i, h := range wx {
			pixel, weight := row[at[i]:at[i]+3:at[i]+3], h*v
			r += float64(weight * float64(pixel[0]))
			g += float64(weight * float64(pixel[1]))
			b += float64(weight * float64(pixel[2]))
		}
	}
	for c, s := range [3]float64{r, g, b} {
		dst[c] = clip(int(math.RoundToEven(s)))
	}
}

// cubicSteps are the weights at each part of a pixel.
var cubicSteps = func() (w [steps][4]float64) {
	for i := range w {
		w[i] = cubicWeights(float64(i) / steps)
	}
	return w
}()

// cubicWeights are those of the pixels before, at, after and beyond a place.
func cubicWeights(t float64) (w [4]float64) {
	const a = -0.75
	w[0] = ((a*(t+1)-5*a)*(t+1)+8*a)*(t+1) - 4*a
	w[1] = ((a+2)*t-(a+3))*t*t + 1
	w[2] = ((a+2)*(1-t)-(a+3))*(1-t)*(1-t) + 1
	w[3] = 1 - w[0] - w[1] - w[2]
	return w
}

// perspective finds the map that takes the corners of a rectangle to those
// given: x = (m0 u + m1 v + m2) / (m6 u + m7 v + 1), y likewise.
func perspective(c [4]Point, w, h float64) (m [8]float64, ok bool) {
	from := [4]Point{{0, 0}, {w, 0}, {w, h}, {0, h}}
	var a [8][9]float64
	for i := range 4 {
		u, v := from[i].X, from[i].Y
		a[i] = [9]float64{u, v, 1, 0, 0, 0, -u * c[i].X, -v * c[i].X, c[i].X}
		a[i+4] = [9]float64{0, 0, 0, u, v, 1, -u * c[i].Y, -v * c[i].Y, c[i].Y}
	}
	for col := range 8 {
		pivot := col
		for r := col + 1; r < 8; r++ {
			if math.Abs(a[r][col]) > math.Abs(a[pivot][col]) {
				pivot = r
			}
		}
		if math.Abs(a[pivot][col]) < 1e-12 {
			return m, false
		}
		a[col], a[pivot] = a[pivot], a[col]
		for r := range 8 {
			if r == col {
				continue
			}
			f := a[r][col] / a[col][col]
			for k := col; k < 9; k++ {
				a[r][k] -= f * a[col][k]
			}
		}
	}
	for i := range m {
		m[i] = a[i][8] / a[i][i]
	}
	return m, true
}
