package audio

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// The spectrogram of Whisper: windows of 25 ms each 10 ms, at 16 kHz.
const (
	Rate   = 16_000
	Hop    = 160
	window = 400
)

// LogMel is Whisper's log-mel spectrogram of a sound of 16 kHz, [bands,
// frames] with a frame for each 160 samples, of the length that the sound has.
func LogMel(samples []float32, bands int) (values []float32, frames int) {
	frames = len(samples) / Hop
	values = make([]float32, bands*frames)
	if frames == 0 {
		return values, 0
	}
	bank, fft, hann := melBank(bands), fourier.NewFFT(window), hannWindow()
	part, spectrum, power := make([]float64, window), make([]complex128, window/2+1), make([]float64, window/2+1)
	for t := range frames {
		for i := range part {
			part[i] = float64(reflected(samples, t*Hop+i-window/2)) * hann[i]
		}
		fft.Coefficients(spectrum, part)
		for i, c := range spectrum {
			power[i] = real(c)*real(c) + imag(c)*imag(c)
		}
		for b, f := range bank {
			sum := 0.0
			for i, w := range f.weights {
				sum += w * power[f.first+i]
			}
			values[b*frames+t] = float32(math.Log10(max(sum, 1e-10)))
		}
	}
	limit(values)
	return values, frames
}

// limit keeps all within eight tenths of a power of the loudest, and scales.
func limit(values []float32) {
	most := float32(math.Inf(-1))
	for _, v := range values {
		most = max(most, v)
	}
	for i, v := range values {
		values[i] = (max(v, most-8) + 4) / 4
	}
}

// reflected is a sample, or beyond the ends the one as far inside.
func reflected(samples []float32, i int) float32 {
	if i < 0 {
		i = -i
	}
	if i >= len(samples) {
		i = 2*len(samples) - 2 - i
	}
	if i < 0 || i >= len(samples) {
		return 0
	}
	return samples[i]
}

func hannWindow() []float64 {
	out := make([]float64, window)
	for i := range out {
		out[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/window)
	}
	return out
}

// A band is a triangle over the spectrum.
type band struct {
	first   int
	weights []float64
}

// melBank are Slaney's bands from 0 to 8 kHz, of equal area.
func melBank(bands int) []band {
	const bins = window/2 + 1
	edges := make([]float64, bands+2)
	for i := range edges {
		edges[i] = melToHertz(hertzToMel(Rate/2) * float64(i) / float64(bands+1))
	}
	at := make([]float64, bins)
	for k := range at {
		at[k] = float64(k) * Rate / window
	}
	out := triangles(edges, at)
	for b := range out {
		for i := range out[b].weights {
			out[b].weights[i] *= 2 / (edges[b+2] - edges[b])
		}
	}
	return out
}

// triangles rise from one edge to the next and fall to the one after, over
// bins at the places of the spectrum.
func triangles(edges, at []float64) []band {
	out := make([]band, len(edges)-2)
	for b := range out {
		low, mid, high := edges[b], edges[b+1], edges[b+2]
		for k, x := range at {
			w := min((x-low)/(mid-low), (high-x)/(high-mid))
			if w <= 0 {
				continue
			}
			if out[b].weights == nil {
				out[b].first = k
			}
			out[b].weights = append(out[b].weights, w)
		}
	}
	return out
}

// Slaney's scale is linear up to 1 kHz, logarithmic above.
const (
	melBreak = 15
	melStep  = 27.0
)

func hertzToMel(f float64) float64 {
	if f < 1000 {
		return 3 * f / 200
	}
	return melBreak + math.Log(f/1000)*melStep/math.Log(6.4)
}

func melToHertz(m float64) float64 {
	if m < melBreak {
		return 200 * m / 3
	}
	return 1000 * math.Exp(math.Log(6.4)/melStep*(m-melBreak))
}
