package images

import "math"

// A Filter says how pixels are mixed when a picture is resized.
type Filter int

// The filters, with the numbers that Pillow and preprocessor_config.json give
// them, and what OpenCV calls INTER_LINEAR: it looks at four pixels however
// much smaller the picture gets.
const (
	Nearest  Filter = 0
	Lanczos  Filter = 1
	Bilinear Filter = 2
	Bicubic  Filter = 3
	Box      Filter = 4
	Hamming  Filter = 5
	Linear   Filter = 100
)

// kernels are the weights of pixels by their distance, and how far they reach.
// Conversions to float64 keep products from being fused with sums, which would
// round otherwise on some processors.
var kernels = map[Filter]struct {
	reach  float64
	weight func(float64) float64
}{
	Box: {0.5, func(x float64) float64 {
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}},
	Bilinear: {1, func(x float64) float64 { return max(1-math.Abs(x), 0) }},
	Hamming: {1, func(x float64) float64 {
		x = math.Abs(x)
		if x == 0 {
			return 1
		}
		if x >= 1 {
			return 0
		}
		x *= math.Pi
		return math.Sin(x) / x * (0.54 + float64(0.46*math.Cos(x)))
	}},
	Bicubic: {2, func(x float64) float64 {
		const a = -0.5
		x = math.Abs(x)
		if x < 1 {
			return float64(float64(float64((a+2.0)*x)-(a+3.0))*x*x) + 1
		}
		if x < 2 {
			return float64(float64(float64(float64(x-5)*x+8)*x)-4) * a
		}
		return 0
	}},
	Lanczos: {3, func(x float64) float64 {
		if x < -3 || x >= 3 {
			return 0
		}
		return sinc(x) * sinc(x/3)
	}},
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// fraction is how many bits of weights are behind the point.
const fraction = 22

// A tap says which pixels one pixel is made of: those from first, with these
// weights.
type tap struct {
	first   int
	weights []int32
}

// taps makes the table for one side of a picture.
func taps(from, to int, f Filter) []tap {
	k := kernels[f]
	scale := float64(from) / float64(to)
	stretch := max(scale, 1)
	reach, inverse := k.reach*stretch, 1/stretch
	out := make([]tap, to)
	for i := range out {
		center := float64((float64(i) + 0.5) * scale)
		first, end := max(int(center-reach+0.5), 0), min(int(center+reach+0.5), from)
		weights, sum := make([]float64, end-first), 0.0
		for j := range weights {
			weights[j] = k.weight(float64((float64(j+first) - center + 0.5) * inverse))
			sum += weights[j]
		}
		out[i] = tap{first, make([]int32, len(weights))}
		for j, w := range weights {
			if sum != 0 {
				w /= sum
			}
			out[i].weights[j] = int32(math.Copysign(0.5, w) + float64(w*(1<<fraction)))
		}
	}
	return out
}

// maxBetween bounds the pixels of a picture between rows and columns: a high
// strip that begins with rows would be one of gigabytes.
const maxBetween = 1 << 28

// Resize returns the picture in another size, to the bit as Pillow does it up
// to version 12: rows first. (Version 13 begins with columns where that is
// less work, and may differ by 1. So do strips over maxBetween here.)
// Neither side may be less than 1.
func (p *Picture) Resize(width, height int, f Filter) *Picture {
	if p.Width == width && p.Height == height {
		return p
	}
	switch f {
	case Nearest:
		return p.nearest(width, height)
	case Linear:
		return p.linear(width, height)
	}
	out := p
	if width*p.Height > maxBetween && p.Width*height < width*p.Height {
		out = out.down(taps(p.Height, height, f))
		return out.across(taps(p.Width, width, f))
	}
	if width != p.Width {
		out = p.across(taps(p.Width, width, f))
	}
	if height != p.Height {
		out = out.down(taps(p.Height, height, f))
	}
	return out
}

// across resizes each row.
func (p *Picture) across(table []tap) *Picture {
	out := New(len(table), p.Height)
	for y := range p.Height {
		src, dst := p.row(y), out.row(y)
		for x, t := range table {
			r, g, b := int32(1<<(fraction-1)), int32(1<<(fraction-1)), int32(1<<(fraction-1))
			at := src[t.first*3:]
			for i, w := range t.weights {
				r += int32(at[i*3]) * w
				g += int32(at[i*3+1]) * w
				b += int32(at[i*3+2]) * w
			}
			dst[x*3], dst[x*3+1], dst[x*3+2] = clip(int(r>>fraction)), clip(int(g>>fraction)), clip(int(b>>fraction))
		}
	}
	return out
}

// down resizes each column.
func (p *Picture) down(table []tap) *Picture {
	out := New(p.Width, len(table))
	sums := make([]int32, p.Width*3)
	for y, t := range table {
		for i := range sums {
			sums[i] = 1 << (fraction - 1)
		}
		for i, w := range t.weights {
			for x, v := range p.row(t.first + i) {
				sums[x] += int32(v) * w
			}
		}
		for x, s := range sums {
			out.row(y)[x] = clip(int(s >> fraction))
		}
	}
	return out
}

// nearest takes of each pixel the one it lies in.
func (p *Picture) nearest(width, height int) *Picture {
	xs, ys := nearestOf(p.Width, width), nearestOf(p.Height, height)
	return p.moved(width, height, func(x, y int) (int, int) { return xs[x], ys[y] })
}

// nearestOf adds up as Pillow does, for the sum's rounding decides.
func nearestOf(from, to int) []int {
	out, step := make([]int, to), float64(from)/float64(to)
	at := step * 0.5
	for i := range out {
		out[i] = min(int(at), from-1)
		at += step
	}
	return out
}

// linear mixes the four pixels around each place as OpenCV does for bytes:
// weights of 11 bits, and what is between rows and columns cut to 12 bits more
// than a byte.
func (p *Picture) linear(width, height int) *Picture {
	out := New(width, height)
	xs, ys := between(p.Width, width), between(p.Height, height)
	for y, v := range ys {
		above, below, dst := p.row(v.first), p.row(v.second), out.row(y)
		for x, h := range xs {
			for c := range 3 {
				a := int(above[h.first*3+c])*h.near + int(above[h.second*3+c])*h.far
				b := int(below[h.first*3+c])*h.near + int(below[h.second*3+c])*h.far
				dst[x*3+c] = clip((v.near*(a>>4)>>16 + v.far*(b>>4)>>16 + 2) >> 2)
			}
		}
	}
	return out
}

// A mid is a place between two pixels, and their weights, together 2048.
type mid struct{ first, second, near, far int }

func between(from, to int) []mid {
	out, scale := make([]mid, to), float64(from)/float64(to)
	for i := range out {
		at := float32(float64((float64(i)+0.5)*scale) - 0.5)
		first := int(math.Floor(float64(at)))
		f := at - float32(first)
		if first < 0 || first >= from-1 {
			first, f = min(max(first, 0), from-1), 0
		}
		weight := func(v float32) int { return int(math.RoundToEven(float64(v * 2048))) }
		out[i] = mid{first, min(first+1, from-1), weight(1 - f), weight(f)}
	}
	return out
}
