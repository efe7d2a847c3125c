package tasks

import (
	"context"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// AudioClassification returns the task "audio-classification": labels for
// sounds, by a model that hears the waveform, with logits [batch, labels].
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
ForSequenceClassification and take input_values (wav2vec 2.0, HuBERT, WavLM).
`
}

// maxClassified is the longest sound that is classified, in seconds: what the
// model needs of memory grows with its square.
const maxClassified = 5 * 60

// Load reads the settings and the labels.
func (audioClassification) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	w, err := loadWaveform(m)
	return &soundClassifier{w}, err
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
		if err == nil {
			a.Outputs = append(a.Outputs, p.config.ranked(i, logits, o.Function, o.TopK)...)
		}
		return err
	}})
}
