package tasks

import (
	"context"
	"slices"
	"sync"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A past is what a model remembers of tokens, kept in its process under a name.
type past struct {
	tokens []int64
	name   string
}

// Limits of what is kept once a text is written: so many pasts, of at least so
// many tokens, together not longer than the longest text.
const (
	maxPasts  = 4
	leastKept = 16
)

// prefixes are pasts that a later prompt may begin with: of texts that were
// written, as a conversation goes on with them, and of what several prompts
// began with, as instructions are.
type prefixes struct {
	most int // tokens, together

	mu    sync.Mutex // guards what follows
	kept  []past     // the last used one last
	asked [][]int64  // the last prompts
}

// take returns the longest past that a prompt goes on from, which nobody else
// gets until it is left again.
func (p *prefixes) take(prompt []int64) past {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i, k := range p.kept {
		if len(k.tokens) < len(prompt) && common(k.tokens, prompt) == len(k.tokens) && (best < 0 || len(k.tokens) > len(p.kept[best].tokens)) {
			best = i
		}
	}
	if best < 0 {
		return past{}
	}
	found := p.kept[best]
	p.kept = slices.Delete(p.kept, best, best+1)
	return found
}

// shared is how many tokens a prompt has in common with one of those asked
// last, and is worth keeping; 0 if none. It counts as asked from now on.
func (p *prefixes) shared(prompt []int64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := 0
	for _, other := range p.asked {
		most = max(most, min(common(other, prompt), len(prompt)-1))
	}
	if p.asked = append(p.asked, prompt); len(p.asked) > maxPasts {
		p.asked = slices.Delete(p.asked, 0, 1)
	}
	if most < leastKept {
		return 0
	}
	return most
}

// leave has pasts be found by others, and returns those that are given up.
func (p *prefixes) leave(pasts ...past) (gone []past) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range pasts {
		same := slices.ContainsFunc(p.kept, func(o past) bool { return slices.Equal(o.tokens, k.tokens) })
		if same || len(k.tokens) < leastKept {
			gone = append(gone, k)
			continue
		}
		p.kept = append(p.kept, k)
	}
	total := 0
	for _, k := range p.kept {
		total += len(k.tokens)
	}
	for len(p.kept) > maxPasts || total > p.most {
		total -= len(p.kept[0].tokens)
		gone, p.kept = append(gone, p.kept[0]), slices.Delete(p.kept, 0, 1)
	}
	return gone
}

// common is how many tokens two texts begin with both.
func common(a, b []int64) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// recallPrefix begins where an earlier text ends, if the prompt begins with
// one.
func (w *writing) recallPrefix() {
	w.from = w.p.prefixes.take(w.prompt)
	w.past, w.at = len(w.from.tokens), w.from.name
	w.shared = w.p.prefixes.shared(w.prompt)
}

// parts are what of the prompt is read at once, but for its last token: up to
// where other prompts differ, and no more than prefill tokens.
func (w *writing) parts() [][]int64 {
	var out [][]int64
	last := len(w.prompt) - 1
	for _, end := range []int{w.shared, last} {
		from := w.past
		for _, part := range out {
			from += len(part)
		}
		if end > from {
			out = append(out, slices.Collect(slices.Chunk(w.prompt[from:end], prefill))...)
		}
	}
	return out
}

// start reads the prompt, and keeps what it remembers where other prompts
// differ: the logits of what follows. The last part is read with the last token
// where the logits of all of it are few enough to be sent. It goes on from there.
func (w *writing) start(ctx context.Context) (why string, err error) {
	last := len(w.prompt) - 1
	for _, part := range w.parts() {
		as, end := w.name, w.past+len(part)
		if end == w.shared {
			as += "shared/"
			w.kept = append(w.kept, past{w.prompt[:end], as})
		} else if end == last && len(part) < w.p.memory.sent {
			break
		}
		if err := w.read(ctx, part, as); err != nil {
			return "", err
		}
	}
	return w.goOn(ctx, w.prompt[w.past:])
}

// leave hands on what is remembered, if the text was written to its end, and
// frees the rest; also when ctx is done.
func (w *writing) leave(ctx context.Context, err error) {
	var gone []past
	all := append([]past{{slices.Concat(w.prompt, w.new)[:w.past], w.name}}, w.kept...)
	all = append(all, w.from) // last: it is of use to several
	if err == nil {
		gone = w.p.prefixes.leave(all...)
	} else {
		gone = all
	}
	names := []string{w.name + "logits"}
	for _, k := range gone {
		for _, present := range w.p.memory.present {
			names = append(names, k.name+present)
		}
	}
	_ = w.s.Forget(context.WithoutCancel(ctx), names...) // a session that is gone keeps nothing
}

// lost reports whether what an earlier text left is not there any more: the
// model's process is another one.
func (w *writing) lost(err error) bool {
	return err != nil && w.past == len(w.from.tokens) && w.past > 0 && engine.Explain(err).Code == engine.ErrInvalidArgument
}
