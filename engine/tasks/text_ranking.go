package tasks

import (
	"context"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// TextRanking returns the task "text-ranking": how well each text answers a
// query, by a cross-encoder, which reads both together.
func TextRanking() engine.Task { return textRanking{} }

type textRanking struct{}

var _ engine.Documenter = textRanking{}

func (textRanking) Name() string { return "text-ranking" }

// Doc describes the parameters.
func (textRanking) Doc() string {
	return `# text-ranking

How well each input answers a query. The model is a cross-encoder (reranker): text-classification with one label.

| parameter | default | meaning |
|---|---|---|
| query | needed | what the inputs are to answer |
| function_to_apply | sigmoid | sigmoid (scores from 0 to 1) or none (the model's own) |
| max_length | the model's | tokens of query and input; the longer is cut |

Each output has score; outputs are in the order of the inputs, and index is the rank, 0 for the best.
`
}

// Load reads the tokenizer.
func (textRanking) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	c, err := loadClassifier(m)
	return &ranker{c}, err
}

type ranker struct{ *classifier }

// rankingParameters are the parameters.
type rankingParameters struct {
	Query     string `json:"query"`
	Function  string `json:"function_to_apply"`
	MaxLength int    `json:"max_length"`
}

func (o rankingParameters) check() error {
	if o.Query == "" {
		return engine.Errorf(engine.ErrInvalidArgument, "no query").WithHint("pass parameters {\"query\":\"…\"}, and what is to be ranked as inputs")
	}
	return among("function_to_apply", o.Function, "none", "sigmoid")
}

// Run scores the texts.
func (p *ranker) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := rankingParameters{Function: "sigmoid", MaxLength: p.limit}
	logits := make([][]float32, len(r.Items))
	return p.serve(ctx, s, r, textWork{
		parameters: &o,
		encode: func(item engine.Item) ([]tokenizer.Encoding, error) {
			t, err := textOf(item)
			return []tokenizer.Encoding{p.tok.EncodePair(tokenizer.Options{Limit: o.MaxLength}, o.Query, t.Text)}, err
		},
		wants:  []want{{output: p.logits}},
		take:   func(i int, _ passage, rows []row) (err error) { logits[i], err = labelScores(rows[0]); return err },
		finish: func(a *engine.Answer) error { return p.rank(a, logits, o.Function) },
	})
}

func (p *ranker) rank(a *engine.Answer, logits [][]float32, function string) error {
	scores := make([]float64, len(logits))
	for i, l := range logits {
		if len(l) != 1 {
			return engine.Errorf(engine.ErrModelInvalid, "the model has %d labels; one that ranks has one", len(l)).
				WithHint("use it for text-classification")
		}
		scores[i] = apply(function, l)[0]
	}
	ranks := make([]int, len(scores))
	for rank, i := range best(scores, 0) {
		ranks[i] = rank
	}
	for i := range scores {
		a.Outputs = append(a.Outputs, engine.Output{Item: i, Score: score6(scores[i]), Index: &ranks[i]})
	}
	return nil
}
