package tasks

import (
	"context"
	"math"
	"slices"
)

// whisperDecoder decodes one window.
type whisperDecoder struct {
	*whisper
	*recall
}

// decode takes the likeliest token each time until the end.
func (d *whisperDecoder) decode(ctx context.Context, prompt []int64, times bool) ([]int64, error) {
	var tokens []int64
	logits, err := d.begin(ctx, prompt)
	for err == nil {
		d.forbid(logits, tokens, times)
		next := int64(likeliest(logits))
		if next == d.config.End {
			return tokens, nil
		}
		if tokens = append(tokens, next); len(prompt)+len(tokens) >= d.config.MaxLength {
			return tokens, nil
		}
		logits, err = d.read(ctx, next)
	}
	return nil, err
}

// never is the logit of what may not come.
var never = float32(math.Inf(-1))

// forbid takes out what may not come next: what the model's files suppress,
// and times that make no sense.
func (d *whisperDecoder) forbid(logits []float32, tokens []int64, times bool) {
	out := func(ids []int64) {
		for _, id := range ids {
			if id >= 0 && id < int64(len(logits)) {
				logits[id] = never
			}
		}
	}
	out(d.config.Suppress)
	if len(tokens) == 0 {
		out(d.config.BeginSuppress)
	}
	if times && int(d.firstTime) < len(logits) {
		d.keepTime(logits, tokens)
	}
}

// keepTime has times come in pairs, go forward, come first, and come where
// all together are likelier than any word.
func (d *whisperDecoder) keepTime(logits []float32, tokens []int64) {
	begin := int(d.firstTime)
	logits[d.config.NoTimestamps] = never
	n := len(tokens)
	last := n >= 1 && tokens[n-1] >= d.firstTime
	before := n < 2 || tokens[n-2] >= d.firstTime
	switch {
	case last && before:
		fill32(logits[begin:], never)
	case last:
		fill32(logits[:d.config.End], never)
	}
	for _, t := range slices.Backward(tokens) {
		if t >= d.firstTime {
			if !last || before {
				t++
			}
			fill32(logits[begin:min(int(t), len(logits))], never)
			break
		}
	}
	if n == 0 {
		fill32(logits[:begin], never)
		if most := d.config.MaxInitialTime; most != nil && *most >= 0 && *most < int64(len(logits)-begin-1) {
			fill32(logits[begin+int(*most)+1:], never)
		}
	}
	top, sum := slices.Max(logits[begin:]), 0.0
	if top == never {
		return
	}
	for _, v := range logits[begin:] {
		sum += math.Exp(float64(v - top))
	}
	if float64(top)+math.Log(sum) > float64(slices.Max(logits[:begin])) {
		fill32(logits[:begin], never)
	}
}

func fill32(values []float32, v float32) {
	for i := range values {
		values[i] = v
	}
}
