package audio

import "math"

// A resampler changes the rate of a sound that comes in pieces: by up over
// down, through a low-pass filter of a Kaiser window, as SciPy's resample_poly
// does.
type resampler struct {
	up, down int
	half     int       // of the filter, at the rate that both are multiples of
	filter   []float32 // 2 × half + 1
	pending  []float32 // of the input, from first on
	first    int
	next     int // the index of the next output
	total    int // of the input so far
}

func newResampler(from, to int) *resampler {
	d := gcd(from, to)
	r := &resampler{up: to / d, down: from / d}
	if r.up == r.down {
		return r
	}
	most := max(r.up, r.down)
	r.half = 10 * most
	r.filter = lowPass(r.half, 1/float64(most), float64(r.up))
	return r
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// lowPass is a sinc under a Kaiser window with beta 5, of so much gain.
func lowPass(half int, cutoff, gain float64) []float32 {
	const beta = 5
	values, sum := make([]float64, 2*half+1), 0.0
	for i := range values {
		at := float64(i - half)
		x := at / float64(half)
		v := cutoff * bessel(beta*math.Sqrt(max(1-x*x, 0))) / bessel(beta)
		if at != 0 {
			v *= math.Sin(math.Pi*cutoff*at) / (math.Pi * cutoff * at)
		}
		values[i] = v
		sum += v
	}
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(v / sum * gain)
	}
	return out
}

// bessel is the modified Bessel function of the first kind, of order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= x / 2 / k * (x / 2 / k)
		sum += term
	}
	return sum
}

// push takes input and appends the output that can be told by now.
func (r *resampler) push(out, in []float32) []float32 {
	if r.up == r.down {
		return append(out, in...)
	}
	r.pending = append(r.pending, in...)
	r.total += len(in)
	for (r.next*r.down+r.half)/r.up < r.total {
		out = append(out, r.value())
	}
	if keep := (r.next*r.down - r.half) / r.up; keep > r.first {
		keep = min(keep, r.first+len(r.pending))
		r.pending = append(r.pending[:0], r.pending[keep-r.first:]...)
		r.first = keep
	}
	return out
}

// finish appends the rest, as if silence followed.
func (r *resampler) finish(out []float32) []float32 {
	if r.up == r.down {
		return out
	}
	for r.next*r.down < r.total*r.up {
		out = append(out, r.value())
	}
	return out
}

// value is the next output.
func (r *resampler) value() float32 {
	at := r.next*r.down + r.half // where the filter begins in the input, counted in steps of up
	last := min(at/r.up, r.total-1)
	first := max((at-2*r.half+r.up-1)/r.up, 0)
	sum := 0.0
	for i := first; i <= last; i++ {
		sum += float64(r.pending[i-r.first]) * float64(r.filter[at-i*r.up])
	}
	r.next++
	return float32(sum)
}
