package tasks

import (
	"context"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/audio"
)

// AudioClassification returns the task "audio-classification": labels for
// sounds, by a model that hears the waveform or sees its spectrogram, with
// logits [batch, labels].
func AudioClassification() engine.Task { return audioClassification{} }

type audioClassification struct{}

var _ engine.Documenter = audioClassification{}

func (audioClassification) Name() string { return "audio-classification" }

// Doc describes the parameters.
func (audioClassification) Doc() string {
	return `# audio-classification

What a sound is: a command, a language, a speaker's mood. ` + soundInput + `

| parameter | default | meaning |
|---|---|---|
| top_k | 5 | how many labels, the most likely first; null for all |
| function_to_apply | the model's | softmax (labels exclude each other), sigmoid or none |

Each output has item (which input), label and score. A sound may last five minutes. Models are those of transformers' classes that end in
ForSequenceClassification and take input_values (wav2vec 2.0, HuBERT, WavLM), or the Audio Spectrogram Transformer
(ASTForAudioClassification), which hears the first ten seconds; truncated_input says that there was more. Wake words of openWakeWord's shape run on raw tensors: docs://usage says how.
`
}

// maxClassified is the longest sound that is classified, in seconds: what the
// model needs of memory grows with its square.
const maxClassified = 5 * 60

// Load reads the settings and the labels.
func (audioClassification) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	g, err := graphOf(m)
	if err != nil {
		return nil, err
	}
	if len(g.Inputs) == 1 && len(g.Inputs[0].Shape) == 3 {
		return loadSpectrogram(m, g)
	}
	w, err := loadWaveform(m)
	return &soundClassifier{w}, err
}

// A spectrogram classifier is an Audio Spectrogram Transformer (Gong et al.,
// 2021).
type spectrogramClassifier struct {
	stateless
	input, logits string
	config        headConfig
	features      spectrogramConfig
}

// spectrogramConfig is preprocessor_config.json of ASTFeatureExtractor.
type spectrogramConfig struct {
	Bands     int     `json:"num_mel_bins"`
	Frames    int     `json:"max_length"`
	Rate      int     `json:"sampling_rate"`
	Normalize bool    `json:"do_normalize"`
	Mean      float64 `json:"mean"`
	Deviation float64 `json:"std"`
}

func loadSpectrogram(m *engine.Model, g engine.Graph) (engine.Pipeline, error) {
	p := &spectrogramClassifier{input: g.Inputs[0].Name, features: spectrogramConfig{Bands: 128, Frames: 1024, Rate: audio.Rate, Normalize: true, Mean: -4.2677393, Deviation: 4.5689974}}
	var err error
	if p.logits, err = output(g, "logits"); err != nil {
		return nil, err
	}
	if _, err := readJSON(m, "preprocessor_config.json", &p.features); err != nil {
		return nil, err
	}
	c := p.features
	if c.Bands < 1 || c.Bands > 512 || c.Frames < 1 || c.Frames > 1<<14 || c.Rate != audio.Rate || c.Deviation == 0 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "preprocessor_config.json: %d bands and %d frames of %d Hz can't be made", c.Bands, c.Frames, c.Rate)
	}
	_, err = readJSON(m, "config.json", &p.config)
	return p, err
}

// see makes the spectrogram, padded or cut to the model's length.
func (c spectrogramConfig) see(samples []float32) (values []float32, cut bool) {
	found, frames := audio.FilterBank(samples, c.Bands)
	values = make([]float32, c.Frames*c.Bands)
	copy(values, found)
	if c.Normalize {
		for i, v := range values {
			values[i] = float32((float64(v) - c.Mean) / (2 * c.Deviation))
		}
	}
	return values, frames > c.Frames
}

// Run classifies the sounds.
func (p *spectrogramClassifier) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	five := 5
	o := labelling{TopK: &five}
	return serveSounds(ctx, s, r, hearing{&o, audio.Rate, []string{""}, func(i int, samples []float32, a *engine.Answer) error {
		session, err := s.Open(ctx, "")
		if err != nil {
			return err
		}
		values, cut := p.features.see(samples)
		out, err := session.Run(ctx, engine.Tensors{p.input: engine.NewTensor([]int64{1, int64(p.features.Frames), int64(p.features.Bands)}, values)})
		if err != nil {
			return err
		}
		logits, _, err := floats(out, p.logits, 1, -1)
		if err != nil {
			return err
		}
		found, err := p.config.ranked(i, logits, o.Function, o.TopK)
		for _, label := range found {
			label.TruncatedInput = &cut
			a.Outputs = append(a.Outputs, label)
		}
		return err
	}})
}

type soundClassifier struct{ waveform }

// Run classifies the sounds.
func (p *soundClassifier) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	five := 5
	o := labelling{TopK: &five}
	return serveSounds(ctx, s, r, hearing{&o, p.rate, []string{""}, func(i int, samples []float32, a *engine.Answer) error {
		if len(samples) > maxClassified*p.rate {
			return engine.Errorf(engine.ErrTooLarge, "the sound is longer than %d seconds", maxClassified).WithHint("cut it into parts")
		}
		out, err := p.run(ctx, s, samples)
		if err != nil {
			return err
		}
		logits, _, err := floats(out, p.logits, 1, -1)
		if err != nil {
			return err
		}
		found, err := p.config.ranked(i, logits, o.Function, o.TopK)
		a.Outputs = append(a.Outputs, found...)
		return err
	}})
}
