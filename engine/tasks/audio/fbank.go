package audio

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// FilterBank is Kaldi's log-mel filter bank of a sound of 16 kHz, as the Audio
// Spectrogram Transformer takes it: [frames, bands], a frame of 25 ms for each
// 10 ms, none where the sound ends within it.
func FilterBank(samples []float32, bands int) (values []float32, frames int) {
	const size, bins, floor = 512, 256, 1.192092955078125e-07
	if len(samples) < window {
		return nil, 0
	}
	frames = 1 + (len(samples)-window)/Hop
	values = make([]float32, 0, frames*bands)
	bank, fft := kaldiBank(bands, bins), fourier.NewFFT(size)
	hann := make([]float64, window)
	for i := range hann {
		hann[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/(window-1))
	}
	part, spectrum := make([]float64, size), make([]complex128, size/2+1)
	for t := range frames {
		emphasized(part[:window], samples[t*Hop:], hann)
		fft.Coefficients(spectrum, part)
		for _, f := range bank {
			sum := 0.0
			for i, w := range f.weights {
				c := spectrum[f.first+i]
				sum += w * (real(c)*real(c) + imag(c)*imag(c))
			}
			values = append(values, float32(math.Log(max(sum, floor))))
		}
	}
	return values, frames
}

// emphasized is a window of samples about their mean, high tones first.
func emphasized(into []float64, samples []float32, hann []float64) {
	const emphasis = 0.97
	mean := 0.0
	for i := range into {
		mean += float64(samples[i])
	}
	mean /= float64(len(into))
	last := float64(samples[0]) - mean
	for i := range into {
		now := float64(samples[i]) - mean
		into[i], last = (now-emphasis*last)*hann[i], now
	}
}

// kaldiBank are bands from 20 Hz to 8 kHz, triangles on Kaldi's mel scale.
func kaldiBank(bands, bins int) []band {
	mel := func(hertz float64) float64 { return 1127 * math.Log(1+hertz/700) }
	edges, at := make([]float64, bands+2), make([]float64, bins)
	low, high := mel(20), mel(Rate/2)
	for i := range edges {
		edges[i] = low + (high-low)*float64(i)/float64(bands+1)
	}
	for k := range at {
		at[k] = mel(float64(k) * Rate / float64(2*bins))
	}
	return triangles(edges, at)
}
