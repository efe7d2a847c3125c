package tasks

import (
	"context"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A rewritten text, as it is written.
type rewritten struct {
	p      *rewriter
	o      rewriting
	tokens []int64 // with the one it starts with
	report func(engine.Progress)
}

// full reports whether so many tokens are all that may be.
func (w *rewritten) full(tokens []int64) bool {
	return len(tokens) > w.o.MaxNewTokens || len(tokens) == w.o.config.Positions
}

// write goes on until the text ends, and says why it did.
func (w *rewritten) write(ctx context.Context, text *recall) (string, error) {
	if w.o.Beams > 1 {
		return w.search(ctx, text)
	}
	choose := newSampler(w.o.sampling, w.tokens)
	logits, err := text.begin(ctx, w.tokens)
	for err == nil {
		w.forbid(logits, w.tokens)
		next := int64(choose.next(logits))
		if slices.Contains(w.o.config.End, next) {
			return "stop", nil
		}
		w.tokens = append(w.tokens, next)
		if w.full(w.tokens) {
			return "length", nil
		}
		tell(w.report, w.p.tok.Decode(w.tokens[1:], false), len(w.tokens)-1, w.o.MaxNewTokens)
		logits, err = text.read(ctx, next)
	}
	return "", err
}

// forbid takes out what may not come next in a text, by the model's settings.
func (w *rewritten) forbid(logits []float32, tokens []int64) {
	c := w.o.config
	out := func(id int64) {
		if id >= 0 && id < int64(len(logits)) {
			logits[id] = never
		}
	}
	for _, id := range c.Suppress {
		out(id)
	}
	for _, words := range c.Bad {
		if n := len(words) - 1; n >= 0 && len(tokens) >= n && slices.Equal(tokens[len(tokens)-n:], words[:n]) {
			out(words[n])
		}
	}
	for _, id := range repeats(tokens, w.o.NoRepeat) {
		out(id)
	}
	if len(tokens) < c.MinLength {
		for _, id := range c.End {
			out(id)
		}
	}
	if c.FirstID != nil && len(tokens) == 1 {
		only(logits, *c.FirstID)
	}
	if len(c.LastIDs) > 0 && len(tokens) == w.o.MaxNewTokens {
		only(logits, c.LastIDs...)
	}
}

// only leaves nothing else to be chosen.
func only(logits []float32, ids ...int64) {
	fill32(logits, never)
	for _, id := range ids {
		if id >= 0 && id < int64(len(logits)) {
			logits[id] = 0
		}
	}
}

// repeats are the tokens that would have n come in a row that were there
// before.
func repeats(tokens []int64, n int) []int64 {
	var out []int64
	if n <= 0 || len(tokens) < n {
		return nil
	}
	last := tokens[len(tokens)-n+1:]
	for i := 0; i+n <= len(tokens); i++ {
		if slices.Equal(tokens[i:i+n-1], last) {
			out = append(out, tokens[i+n-1])
		}
	}
	return out
}
