package tasks

import (
	"cmp"
	"context"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// QuestionAnswering returns the task "question-answering": the part of a text
// that answers a question, by an encoder that scores where an answer starts and
// ends (start_logits and end_logits [batch, tokens]).
func QuestionAnswering() engine.Task { return questionAnswering{} }

type questionAnswering struct{}

var _ engine.Documenter = questionAnswering{}

func (questionAnswering) Name() string { return "question-answering" }

// Doc describes the parameters.
func (questionAnswering) Doc() string {
	return `# question-answering

The part of a text that answers a question. Each input is a record {"question": "…", "context": "…"}.

| parameter | default | meaning |
|---|---|---|
| top_k | 1 | how many answers |
| max_answer_len | 15 | tokens of an answer |
| handle_impossible_answer | false | also an empty answer, where the model thinks there is none |
| max_seq_len | 384 or the model's | tokens of question and context at once; a longer context is read in windows |
| doc_stride | half of that, at most 128 | tokens that windows share |

Each output has answer, score, and start and end in code points of the context.
`
}

// Load reads the tokenizer.
func (questionAnswering) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	e, g, err := loadEncoder(m)
	if err != nil {
		return nil, err
	}
	p := &answerer{encoder: e}
	for _, name := range []string{"start_logits", "end_logits"} {
		if !slices.ContainsFunc(g.Outputs, func(v engine.ValueInfo) bool { return v.Name == name }) {
			return nil, engine.Errorf(engine.ErrModelInvalid, "the model has no output %q", name).WithHint("it is not for question-answering")
		}
		p.wants = append(p.wants, want{name, true})
	}
	p.limit, err = textLimit(m)
	return p, err
}

type answerer struct {
	encoder
	wants []want
	limit int
}

// answering are the parameters.
type answering struct {
	TopK       int  `json:"top_k"`
	MaxAnswer  int  `json:"max_answer_len"`
	Impossible bool `json:"handle_impossible_answer"`
	MaxLength  int  `json:"max_seq_len"`
	Stride     int  `json:"doc_stride"`
}

func (o *answering) check() error {
	if o.Stride == 0 {
		o.Stride = min(o.MaxLength/2, 128)
	}
	if o.TopK < 1 || o.MaxAnswer < 1 || o.MaxLength < 8 || o.Stride < 0 || o.Stride >= o.MaxLength {
		return engine.Errorf(engine.ErrInvalidArgument, "top_k and max_answer_len are at least 1, max_seq_len at least 8 and above doc_stride")
	}
	return nil
}

// questionRecord is an input.
type questionRecord struct {
	Question string `json:"question"`
	Context  string `json:"context"`
}

// Run answers the questions.
func (p *answerer) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := answering{TopK: 1, MaxAnswer: 15, MaxLength: min(p.limit, 384)}
	found := make([]replies, len(r.Items))
	for i := range found {
		found[i].none = certain
	}
	return p.serve(ctx, s, r, textWork{
		parameters: &o,
		encode:     func(item engine.Item) ([]tokenizer.Encoding, error) { return p.windows(item, o) },
		wants:      p.wants,
		take: func(_ int, w passage, rows []row) error {
			for k, r := range rows {
				if len(r.shape) != 1 {
					return engine.Errorf(engine.ErrModelInvalid, "the model's output %q has shape [batch %v]; it needs [batch, tokens]", p.wants[k].output, r.shape)
				}
			}
			found[w.item].add(w, rows, o)
			return nil
		},
		finish: func(a *engine.Answer) error {
			for i, item := range r.Items {
				record, err := questionOf(item)
				if err != nil {
					return err
				}
				a.Outputs = append(a.Outputs, found[i].best(i, []rune(record.Context), o)...)
			}
			return nil
		},
	})
}

// windows encodes a question with as much of its context as fits, as often as
// it takes.
func (p *answerer) windows(item engine.Item, o answering) ([]tokenizer.Encoding, error) {
	record, err := questionOf(item)
	if err != nil {
		return nil, err
	}
	return p.tok.Windows(tokenizer.Options{Limit: o.MaxLength, Places: true}, o.Stride, record.Question, record.Context), nil
}

// questionOf reads an input.
func questionOf(item engine.Item) (questionRecord, error) {
	var record questionRecord
	if item.Record == nil {
		return record, engine.Errorf(engine.ErrInvalidArgument, "the input is a text").WithHint("pass records: [{\"question\":\"…\",\"context\":\"…\"}]")
	}
	if err := readRecord(item.Record, &record); err != nil {
		return record, err
	}
	if record.Question == "" || record.Context == "" {
		return record, engine.Errorf(engine.ErrInvalidArgument, "a record needs both question and context")
	}
	return record, nil
}

// replies are the answers to one question that were found in its windows, and
// how sure it is that there is none.
type replies struct {
	found []reply
	none  float64
}

// certain is more than any product of likelihoods.
const certain = 1e6

// add adds what is in a window.
func (x *replies) add(w passage, rows []row, o answering) {
	found, none := spans(w, rows[0].values, rows[1].values, o)
	x.found, x.none = append(x.found, found...), min(x.none, none)
}

// A reply is an answer that was found.
type reply struct {
	score      float64
	start, end int
}

// spans are the best answers of a window, and how sure it is that there is
// none: the product of the likelihoods of start and end, which are within the
// context and not too far apart.
func spans(w passage, starts, ends []float32, o answering) ([]reply, float64) {
	allowed := make([]bool, len(w.IDs))
	for i, s := range w.Sequences {
		allowed[i] = s == 1 || i == 0 // the first token stands for no answer
	}
	start, end := likelihoods(starts, allowed), likelihoods(ends, allowed)
	null := certain
	if o.Impossible {
		null = start[0] * end[0]
	}
	start[0], end[0] = 0, 0
	var all []reply
	var scores []float64
	for i := range start {
		for j := i; j < min(len(end), i+o.MaxAnswer); j++ {
			if w.Sequences[i] == 1 && w.Sequences[j] == 1 {
				all, scores = append(all, reply{start[i] * end[j], i, j}), append(scores, start[i]*end[j])
			}
		}
	}
	var out []reply
	for _, k := range best(scores, o.TopK) {
		r := all[k]
		out = append(out, reply{r.score, wordStart(w, r.start), wordEnd(w, r.end)})
	}
	return out, null
}

// likelihoods is the softmax over what is allowed.
func likelihoods(logits []float32, allowed []bool) []float64 {
	const never = -10_000 // as the reference has it
	masked := make([]float32, len(logits))
	for i, x := range logits {
		masked[i] = x
		if !allowed[i] {
			masked[i] = never
		}
	}
	return softmax(masked)
}

// wordStart is where the word starts that a token is of.
func wordStart(w passage, i int) int {
	for i > 0 && w.Sequences[i-1] == 1 && w.Words[i-1] == w.Words[i] {
		i--
	}
	return w.Offsets[i][0]
}

func wordEnd(w passage, i int) int {
	for i+1 < len(w.IDs) && w.Sequences[i+1] == 1 && w.Words[i+1] == w.Words[i] {
		i++
	}
	return w.Offsets[i][1]
}

// best are the surest of all windows.
func (x *replies) best(item int, context []rune, o answering) []engine.Output {
	found := x.found
	if o.Impossible {
		found = append(found, reply{score: x.none})
	}
	slices.SortStableFunc(found, func(a, b reply) int { return cmp.Compare(b.score, a.score) })
	var out []engine.Output
	for _, r := range found[:min(o.TopK, len(found))] {
		answer := string(context[r.start:r.end])
		out = append(out, engine.Output{Item: item, Score: score6(r.score), Answer: &answer, Start: &r.start, End: &r.end})
	}
	return out
}
