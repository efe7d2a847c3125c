package tasks

import (
	"context"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/audio"
)

// VoiceActivityDetection returns the task "voice-activity-detection": when
// somebody speaks in a sound, by Silero VAD.
func VoiceActivityDetection() engine.Task { return voiceActivity{} }

type voiceActivity struct{}

var _ engine.Documenter = voiceActivity{}

func (voiceActivity) Name() string { return "voice-activity-detection" }

// Doc describes the parameters.
func (voiceActivity) Doc() string {
	return `# voice-activity-detection

When somebody speaks in a sound. ` + soundInput + `

| parameter | default | meaning |
|---|---|---|
| threshold | 0.5 | how sure it must be that it is speech, 0 to 1; speech ends 0.15 below |
| min_speech_duration_ms | 250 | leave out what is shorter |
| min_silence_duration_ms | 100 | shorter pauses are part of the speech |
| speech_pad_ms | 30 | what is added before and after |

Each output has label (speech or silence: whether there is any), score (the surest moment) and chunks [{timestamp: [start, end]}] in seconds.
The model is silero_vad.onnx of version 5 or 6, as in the npm package @livekit/agents-plugin-silero, with the manifest
{"version":1,"task":"voice-activity-detection"}.
`
}

// Silero hears 32 ms at once, and the last 4 ms of what was before.
const (
	vadWindow  = 512
	vadContext = 64
	vadState   = 2 * 128
)

// Load checks that the model is one that it knows.
func (voiceActivity) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	g, err := graphOf(m)
	if err != nil {
		return nil, err
	}
	names := func(vs []engine.ValueInfo) (out []string) {
		for _, v := range vs {
			out = append(out, v.Name)
		}
		slices.Sort(out)
		return out
	}
	if !slices.Equal(names(g.Inputs), []string{"input", "sr", "state"}) || !slices.Equal(names(g.Outputs), []string{"output", "stateN"}) {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model is no Silero VAD of version 5 or 6, with inputs input, state and sr")
	}
	p := &vad{settings: listening{Threshold: 0.5, MinSpeech: 250, MinSilence: 100, Pad: 30}}
	if err := readParameters(m.Manifest.Parameters, &p.settings); err != nil {
		return nil, engine.Errorf(engine.ErrModelInvalid, "%s: %w", engine.ManifestName, err)
	}
	return p, nil
}

type vad struct {
	stateless
	settings listening
}

// listening are the parameters; durations are milliseconds.
type listening struct {
	Threshold  float64 `json:"threshold"`
	MinSpeech  int     `json:"min_speech_duration_ms"`
	MinSilence int     `json:"min_silence_duration_ms"`
	Pad        int     `json:"speech_pad_ms"`
}

func (o listening) check() error {
	const most = 60_000
	for _, ms := range []int{o.MinSpeech, o.MinSilence, o.Pad} {
		if ms < 0 || ms > most {
			return engine.Errorf(engine.ErrInvalidArgument, "a duration is %d ms; it may be 0 to %d", ms, most)
		}
	}
	if o.Threshold < 0 || o.Threshold > 1 {
		return engine.Errorf(engine.ErrInvalidArgument, "threshold %v is not between 0 and 1", o.Threshold)
	}
	return nil
}

// Run finds the speech.
func (p *vad) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := p.settings
	return serveSounds(ctx, s, r, hearing{&o, audio.Rate, []string{""}, func(i int, samples []float32, a *engine.Answer) error {
		likely, err := p.likely(ctx, s, samples)
		if err != nil {
			return err
		}
		out := engine.Output{Item: i, Label: "silence", Score: score6(float64(slices.Max(likely)))}
		for _, part := range o.speech(likely, len(samples)) {
			out.Label = "speech"
			out.Chunks = append(out.Chunks, engine.Chunk{Timestamp: [2]*float64{seconds(part[0]), seconds(part[1])}})
		}
		a.Outputs = append(a.Outputs, out)
		return nil
	}})
}

// likely is how likely each window is speech. What the model remembers goes
// from one to the next.
func (p *vad) likely(ctx context.Context, s engine.Sessions, samples []float32) ([]float32, error) {
	session, err := s.Open(ctx, "")
	if err != nil {
		return nil, err
	}
	state := engine.NewTensor([]int64{2, 1, 128}, make([]float32, vadState))
	rate := engine.NewTensor(nil, []int64{audio.Rate})
	window := make([]float32, vadContext+vadWindow)
	var out []float32
	for at := 0; at < len(samples); at += vadWindow {
		copy(window, window[vadWindow:])
		n := copy(window[vadContext:], samples[at:])
		clear(window[vadContext+n:])
		got, err := session.Run(ctx, engine.Tensors{"input": engine.NewTensor([]int64{1, vadContext + vadWindow}, window), "state": state, "sr": rate})
		if err != nil {
			return nil, err
		}
		v, _, err := floats(got, "output", 1, 1)
		if err != nil {
			return nil, err
		}
		if _, _, err := floats(got, "stateN", 2, 1, 128); err != nil {
			return nil, err
		}
		out, state = append(out, v[0]), got["stateN"]
	}
	return out, nil
}

// speech joins windows to parts, in samples from and to.
func (o listening) speech(likely []float32, samples int) [][2]int {
	const perMS = audio.Rate / 1000
	var parts [][2]int
	start, quiet := -1, -1 // where speech began, and where it went quiet since
	end := func(at int) {
		if at-start > o.MinSpeech*perMS {
			parts = append(parts, [2]int{start, at})
		}
		start, quiet = -1, -1
	}
	for i, v := range likely {
		at, speaks := i*vadWindow, float64(v) >= o.Threshold
		switch {
		case speaks:
			quiet = -1
			if start < 0 {
				start = at
			}
		case start >= 0 && float64(v) < o.Threshold-0.15:
			if quiet < 0 {
				quiet = at
			}
			if at-quiet >= o.MinSilence*perMS {
				end(quiet)
			}
		}
	}
	if start >= 0 && samples-start > o.MinSpeech*perMS {
		parts = append(parts, [2]int{start, samples})
	}
	return o.padded(parts, samples)
}

// padded lengthens the parts; two that would meet share the pause.
func (o listening) padded(parts [][2]int, samples int) [][2]int {
	pad := o.Pad * audio.Rate / 1000
	for i := range parts {
		if i == 0 {
			parts[i][0] = max(0, parts[i][0]-pad)
		}
		if i == len(parts)-1 {
			parts[i][1] = min(samples, parts[i][1]+pad)
			break
		}
		pause := parts[i+1][0] - parts[i][1]
		if pause < 2*pad {
			parts[i][1] += pause / 2
			parts[i+1][0] = max(0, parts[i+1][0]-pause/2)
		} else {
			parts[i][1] = min(samples, parts[i][1]+pad)
			parts[i+1][0] = max(0, parts[i+1][0]-pad)
		}
	}
	return parts
}
