package tasks

import (
	"context"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// FillMask returns the task "fill-mask": what may stand in the place of a mask,
// by a masked language model (logits [batch, tokens, vocabulary]).
func FillMask() engine.Task { return fillMask{} }

type fillMask struct{}

var _ engine.Documenter = fillMask{}

func (fillMask) Name() string { return "fill-mask" }

// Doc describes the parameters.
func (fillMask) Doc() string {
	return `# fill-mask

What may stand where a text has the model's mask token, [MASK] or <mask>.

| parameter | default | meaning |
|---|---|---|
| top_k | 5 | how many proposals for each mask |
| targets | | only these words, if the vocabulary has them as one token each |
| max_length | the model's | tokens beyond this are cut off |

Each output has token_str, token, score, the text with it as sequence, and the place of the mask among the tokens as index.
`
}

// Load reads the tokenizer and finds the mask.
func (fillMask) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	e, g, err := loadEncoder(m)
	if err != nil {
		return nil, err
	}
	p := &filler{encoder: e}
	if p.logits, err = output(g, "logits"); err != nil {
		return nil, err
	}
	if p.limit, err = textLimit(m); err != nil {
		return nil, err
	}
	for _, mask := range []string{"[MASK]", "<mask>"} {
		if id, ok := e.tok.ID(mask); ok {
			p.mask, p.maskText = id, mask
			return p, nil
		}
	}
	return nil, engine.Errorf(engine.ErrModelInvalid, "the tokenizer has neither [MASK] nor <mask>").WithHint("the model is not for fill-mask")
}

type filler struct {
	encoder
	logits   string
	limit    int
	mask     int64
	maskText string
}

// filling are the parameters.
type filling struct {
	TopK      int      `json:"top_k"`
	Targets   []string `json:"targets"`
	MaxLength int      `json:"max_length"`
}

// Example has the mask that the model knows.
func (p *filler) Example() engine.Example {
	return engine.Example{Inputs: []string{"Paris is a big " + p.maskText + "."}}
}

// Run fills the masks of each text.
func (p *filler) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := filling{TopK: 5, MaxLength: p.limit}
	found := make([][]engine.Output, len(r.Items))
	return p.serve(ctx, s, r, textWork{
		parameters: &o,
		encode:     func(item engine.Item) ([]tokenizer.Encoding, error) { return p.masked(item, o) },
		wants:      []want{{p.logits, true}},
		take: func(i int, t passage, rows []row) error {
			if len(rows[0].shape) != 2 || rows[0].shape[1] < int64(p.tok.Size()) {
				return engine.Errorf(engine.ErrModelInvalid, "the model's output has shape [batch %v]; it needs [batch, tokens, vocabulary]", rows[0].shape)
			}
			targets, err := p.targets(o.Targets)
			if slices.ContainsFunc(targets, func(id int64) bool { return id < 0 || id >= rows[0].shape[1] }) {
				return engine.Errorf(engine.ErrModelInvalid, "a target is a token of which the model's %d say nothing", rows[0].shape[1])
			}
			found[i] = p.fill(i, t.IDs, rows[0], o.TopK, targets)
			return err
		},
		finish: func(a *engine.Answer) error { a.Outputs = slices.Concat(found...); return nil },
	})
}

// masked encodes a text that has a mask.
func (p *filler) masked(item engine.Item, o filling) ([]tokenizer.Encoding, error) {
	if _, err := p.targets(o.Targets); err != nil {
		return nil, err
	}
	encoded, err := p.texts(item, tokenizer.Options{Limit: o.MaxLength})
	if err == nil && !slices.Contains(encoded[0].IDs, p.mask) {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the text has no %s", p.maskText).WithHint("put %s where the word is missing", p.maskText)
	}
	return encoded, err
}

// targets are the ids of the words that alone are wanted.
func (p *filler) targets(words []string) ([]int64, error) {
	var out []int64
	for _, w := range words {
		e := p.tok.EncodeWith(tokenizer.Options{Plain: true}, w)
		if id, ok := p.tok.ID(w); ok {
			out = append(out, id)
		} else if len(e.IDs) == 1 {
			out = append(out, e.IDs[0])
		} else {
			return nil, engine.Errorf(engine.ErrInvalidArgument, "the target %q is not one token of the vocabulary", w)
		}
	}
	return out, nil
}

// fill proposes tokens for each mask of a text.
func (p *filler) fill(item int, ids []int64, r row, topK int, targets []int64) []engine.Output {
	width := int(r.shape[1])
	masks := 0
	for _, id := range ids {
		if id == p.mask {
			masks++
		}
	}
	var out []engine.Output
	for at, id := range ids {
		if id != p.mask {
			continue
		}
		scores := softmax(r.values[at*width : (at+1)*width])
		for _, token := range chosen(scores, targets, max(topK, 1)) {
			filled := slices.Clone(ids)
			filled[at] = int64(token)
			id := int64(token)
			out = append(out, engine.Output{
				Item: item, Score: score6(scores[token]), Token: &id, TokenStr: strings.TrimSpace(p.tok.Decode([]int64{id}, true)),
				Sequence: p.tok.Decode(filled, masks > 1), Index: &at,
			})
		}
	}
	return out
}

// chosen are the n best tokens, of targets if there are any.
func chosen(scores []float64, targets []int64, n int) []int {
	if len(targets) == 0 {
		return best(scores, n)
	}
	few := make([]float64, len(targets))
	for i, id := range targets {
		few[i] = scores[id]
	}
	out := best(few, n)
	for i := range out {
		out[i] = int(targets[out[i]])
	}
	return out
}
