package tasks

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/audio"
)

// soundInput says how inputs of tasks on sounds are given.
const soundInput = "An input is the path of a " + audio.Formats + " file in an allowed folder, ipfs://CID/file, or a data: URI."

// readSound decodes the sound of an item.
func readSound(ctx context.Context, item engine.Item, rate int) ([]float32, error) {
	if item.Open == nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the input is a record, not a sound").WithHint("pass inputs: [\"path/of/sound.wav\"]")
	}
	r, err := item.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return audio.Decode(ctx, r, rate)
}

// seconds is how long so many samples of 16 kHz take.
func seconds(samples int) *float64 { return secondsAt(samples, audio.Rate) }

// secondsAt is how long so many samples of a rate take.
func secondsAt(samples, rate int) *float64 {
	s := math.Round(float64(samples)/float64(rate)*1000) / 1000
	return &s
}

// openAll opens the models that work will use, so that opening them is not
// part of its time.
func openAll(ctx context.Context, s engine.Sessions, files ...string) error {
	for _, file := range files {
		if _, err := s.Open(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// A hearing is what differs between the pipelines of sounds.
type hearing struct {
	parameters any // holds the defaults, then what the caller wants
	rate       int
	files      []string // the models it uses
	hear       func(i int, samples []float32, a *engine.Answer) error
}

// serveSounds does one input after another: the sound is read, then what hear
// does with it counts as running.
func serveSounds(ctx context.Context, s engine.Sessions, r engine.Request, w hearing) (engine.Answer, error) {
	if err := settle(r, w.parameters); err != nil {
		return engine.Answer{}, err
	}
	if err := openAll(ctx, s, w.files...); err != nil {
		return engine.Answer{}, err
	}
	var a engine.Answer
	for i, item := range r.Items {
		began := time.Now()
		samples, err := readSound(ctx, item, w.rate)
		if err != nil {
			return a, inInput(r, i, err)
		}
		a.Timings.Preprocess += since(&began)
		if err := w.hear(i, samples, &a); err != nil {
			return a, inInput(r, i, err)
		}
		a.Timings.Run += since(&began)
	}
	return a, numbers(a)
}

// A waveform is what models share that hear the sound itself: wav2vec 2.0 and
// its relatives.
type waveform struct {
	stateless
	input     string
	mask      bool // the model takes an attention_mask
	logits    string
	rate      int
	normalize bool
	config    headConfig
}

// loadWaveform reads preprocessor_config.json and config.json.
func loadWaveform(m *engine.Model) (waveform, error) {
	g, err := graphOf(m)
	if err != nil {
		return waveform{}, err
	}
	w := waveform{}
	for _, in := range g.Inputs {
		switch {
		case in.DType == engine.Float32 && len(in.Shape) == 2 && w.input == "":
			w.input = in.Name
		case in.Name == "attention_mask" && in.DType == engine.Int64:
			w.mask = true
		default:
			return w, engine.Errorf(engine.ErrModelInvalid, "the model takes %s %q, which no sound gives", in.DType, in.Name).WithHint("pass raw tensors")
		}
	}
	if w.logits, err = output(g, "logits"); err != nil {
		return w, err
	}
	c := struct {
		Rate      int  `json:"sampling_rate"`
		Normalize bool `json:"do_normalize"`
	}{Rate: audio.Rate}
	if _, err := readJSON(m, "preprocessor_config.json", &c); err != nil {
		return w, err
	}
	if c.Rate < 1000 || c.Rate > 192_000 {
		return w, engine.Errorf(engine.ErrModelInvalid, "preprocessor_config.json: the sampling_rate is %d", c.Rate)
	}
	w.rate, w.normalize = c.Rate, c.Normalize
	_, err = readJSON(m, "config.json", &w.config)
	return w, err
}

// run puts samples through the model.
func (w waveform) run(ctx context.Context, s engine.Sessions, samples []float32) (engine.Tensors, error) {
	session, err := s.Open(ctx, "")
	if err != nil {
		return nil, err
	}
	if w.normalize {
		samples = normalized(samples)
	}
	shape := []int64{1, int64(len(samples))}
	in := engine.Tensors{w.input: engine.NewTensor(shape, samples)}
	if w.mask {
		in["attention_mask"] = engine.NewTensor(shape, slices.Repeat([]int64{1}, len(samples)))
	}
	return session.Run(ctx, in)
}

// normalized has a mean of 0 and a variance of 1.
func normalized(samples []float32) []float32 {
	mean, variance := 0.0, 0.0
	for _, v := range samples {
		mean += float64(v)
	}
	mean /= float64(len(samples))
	for _, v := range samples {
		variance += (float64(v) - mean) * (float64(v) - mean)
	}
	scale := math.Sqrt(variance/float64(len(samples)) + 1e-7)
	out := make([]float32, len(samples))
	for i, v := range samples {
		out[i] = float32((float64(v) - mean) / scale)
	}
	return out
}
