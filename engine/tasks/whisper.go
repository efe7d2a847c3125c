package tasks

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/audio"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// Whisper hears half a minute at once, as 3000 frames of 10 ms; a timestamp
// stands for two of them.
const (
	whisperSeconds = 30
	whisperFrames  = whisperSeconds * audio.Rate / audio.Hop
	whisperStep    = 2
)

// maxToken bounds the numbers of tokens.
const maxToken = math.MaxInt32

// whisper is a model of Radford et al., Robust Speech Recognition via
// Large-Scale Weak Supervision, 2022, as three graphs.
type whisper struct {
	stateless
	encoder   string // a file
	decoder   crossDecoder
	bands     int
	tok       *tokenizer.Tokenizer
	config    whisperConfig
	firstTime int64 // the token of 0 seconds
	smooth    int   // moments that times of words are smoothed over
}

// whisperConfig is generation_config.json.
type whisperConfig struct {
	Start          int64            `json:"decoder_start_token_id"`
	End            int64            `json:"eos_token_id"`
	NoTimestamps   int64            `json:"no_timestamps_token_id"`
	Suppress       []int64          `json:"suppress_tokens"`
	BeginSuppress  []int64          `json:"begin_suppress_tokens"`
	Multilingual   bool             `json:"is_multilingual"`
	Languages      map[string]int64 `json:"lang_to_id"`
	Tasks          map[string]int64 `json:"task_to_id"`
	MaxLength      int              `json:"max_length"`
	MaxInitialTime *int64           `json:"max_initial_timestamp_index"`
	AlignmentHeads [][2]int         `json:"alignment_heads"`
}

func loadWhisper(m *engine.Model) (engine.Pipeline, error) {
	p := &whisper{bands: 80, encoder: roleFile(m, "encoder")}
	if p.encoder == "" {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model lacks encoder_model.onnx").WithHint("see docs://tasks/automatic-speech-recognition")
	}
	var err error
	if p.decoder, err = loadCrossDecoder(m); err != nil {
		return nil, err
	}
	var features struct {
		Bands int `json:"feature_size"`
	}
	if _, err := readJSON(m, "preprocessor_config.json", &features); err != nil {
		return nil, err
	}
	if features.Bands > 0 && features.Bands <= 512 {
		p.bands = features.Bands
	}
	if p.smooth, err = smoothing(m); err != nil {
		return nil, err
	}
	found, err := readJSON(m, "generation_config.json", &p.config)
	if err != nil {
		return nil, err
	}
	if !found || p.config.NoTimestamps == 0 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model has no generation_config.json with no_timestamps_token_id").WithHint("it is not Whisper")
	}
	if err := p.config.check(); err != nil {
		return nil, err
	}
	if p.config.MaxLength <= 0 || p.config.MaxLength > 448 {
		p.config.MaxLength = 448
	}
	p.firstTime = p.config.NoTimestamps + 1
	p.tok, err = loadTokenizer(m)
	return p, err
}

// check refuses tokens whose numbers none can have: those of times are the last.
func (c whisperConfig) check() error {
	if c.NoTimestamps < 0 || c.NoTimestamps > maxToken || c.End < 0 || c.End > c.NoTimestamps {
		return engine.Errorf(engine.ErrModelInvalid, "generation_config.json: the eos_token_id %d and the no_timestamps_token_id %d are not numbers of tokens, the lower first", c.End, c.NoTimestamps)
	}
	return nil
}

// smoothing is how many moments times of words are smoothed over.
func smoothing(m *engine.Model) (int, error) {
	c := struct {
		Width int `json:"median_filter_width"`
	}{7}
	if _, err := readJSON(m, "config.json", &c); err != nil {
		return 0, err
	}
	if c.Width <= 0 || c.Width%2 == 0 || c.Width > 99 {
		return 0, engine.Errorf(engine.ErrModelInvalid, "config.json: the median_filter_width is %d, which is not odd and below 100", c.Width)
	}
	return c.Width, nil
}

// Run transcribes the sounds.
func (p *whisper) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := speech{Task: "transcribe"}
	return serveSounds(ctx, s, r, hearing{&o, audio.Rate, []string{p.encoder, p.decoder.first.file, p.decoder.next.file}, func(i int, samples []float32, a *engine.Answer) error {
		if o.Timestamps == byLetter {
			return engine.Errorf(engine.ErrUnsupported, "Whisper's times are those of sentences and words").WithHint("pass return_timestamps true or \"word\"")
		}
		said, err := p.transcribe(ctx, s, o, samples, r.Progress)
		if err != nil {
			return err
		}
		text := p.text(said)
		out := engine.Output{Item: i, Text: &text}
		if o.Timestamps != "" {
			out.Chunks = p.chunks(said, o.Timestamps)
		}
		a.Outputs = append(a.Outputs, out)
		return nil
	}})
}

// An utterance is what was said from one frame to another; to is negative
// where its end was not heard.
type utterance struct {
	spoken
	from, to int
}

// spoken are tokens, and if times of words are wanted the seconds at which each
// begins, and at which the last ends unless a limit ended it.
type spoken struct {
	tokens    []int64
	times     []float64
	spaceless bool // the language has no spaces between words
}

// part are the tokens from one up to another.
func (s spoken) part(from, to int) spoken {
	s.tokens = s.tokens[from:to]
	if s.times != nil {
		s.times = s.times[from:min(to+1, len(s.times))]
	}
	return s
}

// transcribe hears a sound: at once if it is short, else window by window.
func (p *whisper) transcribe(ctx context.Context, s engine.Sessions, o speech, samples []float32, progress func(engine.Progress)) ([]utterance, error) {
	if len(samples) <= whisperSeconds*audio.Rate {
		padded := make([]float32, whisperSeconds*audio.Rate)
		copy(padded, samples)
		features, _ := audio.LogMel(padded, p.bands)
		all, err := p.window(ctx, s, o, features, 0, len(samples)/audio.Hop)
		if err != nil || o.Timestamps == "" {
			return []utterance{{spoken: all, to: -1}}, err
		}
		said, _, rest := p.utterances(all, 0, whisperFrames)
		if len(rest.tokens) > 0 {
			said = append(said, utterance{spoken: rest, from: said[len(said)-1].to, to: -1})
		}
		return said, nil
	}
	all, frames := audio.LogMel(samples, p.bands)
	var out []utterance
	for at := 0; at < frames; {
		n := min(whisperFrames, frames-at)
		features := make([]float32, p.bands*whisperFrames)
		for b := range p.bands {
			copy(features[b*whisperFrames:], all[b*frames+at:b*frames+at+n])
		}
		if o.Timestamps == "" {
			o.Timestamps = bySentence // which say where the next window begins
		}
		window, err := p.window(ctx, s, o, features, at, n)
		if err != nil {
			return nil, err
		}
		said, heard, _ := p.utterances(window, at, n)
		out = append(out, said...)
		at = min(at+max(heard, leastHeard), frames)
		if progress != nil {
			const perSecond = audio.Rate / audio.Hop
			progress(engine.Progress{Done: int64(at / perSecond), Total: int64(frames / perSecond), Unit: "seconds", Message: p.text(out)})
		}
	}
	return out, nil
}

// leastHeard are the frames that a window goes on at least, however early the
// model thinks that the last sentence ended.
const leastHeard = 100

// utterances cuts a window's tokens where one time follows another, and says
// how many of its frames were heard to their end, and what came after that.
func (p *whisper) utterances(all spoken, at, frames int) (out []utterance, heard int, rest spoken) {
	tokens := all.tokens
	isTime := func(i int) bool { return i >= 0 && i < len(tokens) && tokens[i] >= p.firstTime }
	frame := func(i int) int { return at + int(tokens[i]-p.firstTime)*whisperStep }
	n := len(tokens)
	endsOnce := n >= 2 && !isTime(n-2) && isTime(n-1)
	start := 0
	for i := 1; i <= n; i++ {
		between, atEnd := isTime(i-1) && isTime(i), i == n && endsOnce && start < n
		if !between && !atEnd {
			continue
		}
		u := utterance{spoken: all.part(start, i), from: at, to: -1}
		if isTime(start) {
			u.from = frame(start)
		}
		if isTime(i - 1) {
			u.to = frame(i - 1)
		}
		out, start = append(out, u), i
	}
	switch {
	case len(out) == 0: // no pair: all of it is one
		u := utterance{spoken: all, from: at, to: -1}
		if isTime(0) {
			u.from = frame(0)
		}
		for i := range tokens {
			if isTime(i) && i > 0 {
				u.to = frame(i)
			}
		}
		return []utterance{u}, frames, spoken{}
	case endsOnce:
		return out, frames, spoken{}
	}
	return out, out[len(out)-1].to - at, all.part(start, n)
}

// text joins utterances.
func (p *whisper) text(said []utterance) string {
	var words []int64
	for _, u := range said {
		words = append(words, p.words(u.tokens)...)
	}
	return strings.TrimSpace(p.tok.Decode(words, false))
}

// words are the tokens that are no times.
func (p *whisper) words(tokens []int64) []int64 {
	return slices.DeleteFunc(slices.Clone(tokens), func(id int64) bool { return id >= p.firstTime })
}

func (p *whisper) chunks(said []utterance, by granularity) []engine.Chunk {
	var out []engine.Chunk
	for _, u := range said {
		if by == byWord {
			out = append(out, p.timedWords(u)...)
			continue
		}
		words := p.words(u.tokens)
		if len(words) == 0 {
			continue
		}
		c := engine.Chunk{Text: strings.TrimSpace(p.tok.Decode(words, false))}
		c.Timestamp[0] = seconds(u.from * audio.Hop)
		if u.to >= 0 {
			c.Timestamp[1] = seconds(u.to * audio.Hop)
		}
		out = append(out, c)
	}
	return out
}

// window transcribes half a minute, which begins at a frame and of which so many
// are sound: the tokens without those it begins and ends with.
func (p *whisper) window(ctx context.Context, s engine.Sessions, o speech, features []float32, at, frames int) (all spoken, err error) {
	looks := alignment{moments: max(frames/whisperStep, 1)}
	if o.Timestamps == byWord {
		if looks.heads, err = p.alignedBy(); err != nil {
			return all, err
		}
	}
	session, err := s.Open(ctx, p.encoder)
	if err != nil {
		return all, err
	}
	in := engine.Tensors{"input_features": engine.NewTensor([]int64{1, int64(p.bands), whisperFrames}, features)}
	out, err := session.Run(ctx, in)
	if err != nil {
		return all, err
	}
	hidden := out["last_hidden_state"]
	if hidden == nil {
		return all, engine.Errorf(engine.ErrModelInvalid, "the encoder gave no last_hidden_state")
	}
	d := &whisperDecoder{p, newRecall(&p.decoder, s, engine.Tensors{hiddenStates: hidden})}
	defer d.forget(ctx)
	prompt, err := p.prompt(ctx, d, o, o.Timestamps != "")
	if err != nil {
		return all, err
	}
	if looks.heads != nil {
		d.watch = looks.take
	}
	if all.tokens, err = d.decode(ctx, prompt, o.Timestamps != ""); err != nil || looks.heads == nil {
		return all, err
	}
	all.spaceless = p.config.Multilingual && slices.Contains(spaceless, strings.Trim(p.tok.Token(prompt[1]), "<|>"))
	times, err := looks.times(ctx, p.smooth)
	if err != nil {
		return all, err
	}
	for _, t := range times[len(prompt)-1:] {
		all.times = append(all.times, float64(at)*audio.Hop/audio.Rate+t)
	}
	return all, nil
}

// prompt is what the decoder begins with.
func (p *whisper) prompt(ctx context.Context, d *whisperDecoder, o speech, times bool) ([]int64, error) {
	prompt := []int64{p.config.Start}
	if p.config.Multilingual {
		language, err := p.language(ctx, d, o.Language)
		if err != nil {
			return nil, err
		}
		task, ok := p.config.Tasks[o.Task]
		if !ok {
			if task, ok = p.tok.ID("<|" + o.Task + "|>"); !ok {
				return nil, engine.Errorf(engine.ErrModelInvalid, "the model has no token for the task %q", o.Task)
			}
		}
		prompt = append(prompt, language, task)
	} else if o.Task == "translate" || o.Language != "" && o.Language != "en" {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the model knows English only")
	}
	if !times {
		prompt = append(prompt, p.config.NoTimestamps)
	}
	return prompt, nil
}

// language is the token of a language: the one asked for, or else the
// likeliest.
func (p *whisper) language(ctx context.Context, d *whisperDecoder, name string) (int64, error) {
	if name != "" {
		if id, ok := p.config.Languages["<|"+name+"|>"]; ok {
			return id, nil
		}
		if id, ok := p.tok.ID("<|" + name + "|>"); ok {
			return id, nil
		}
		return 0, engine.Errorf(engine.ErrInvalidArgument, "the model does not know the language %q", name).WithHint("write it like en or de")
	}
	logits, err := d.begin(ctx, []int64{p.config.Start})
	if err != nil {
		return 0, err
	}
	best, found := int64(0), false
	for _, id := range p.config.Languages {
		if id >= 0 && id < int64(len(logits)) && (!found || logits[id] > logits[best] || logits[id] == logits[best] && id < best) {
			best, found = id, true
		}
	}
	if !found {
		return 0, engine.Errorf(engine.ErrModelInvalid, "generation_config.json has no lang_to_id").WithHint("name the language in the parameters")
	}
	return best, nil
}
