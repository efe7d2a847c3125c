package tasks

import (
	"context"
	"time"

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

// Run scores the texts.
func (p *ranker) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := rankingParameters{Function: "sigmoid", MaxLength: p.limit}
	if err := readParameters(r.Parameters, &o); err != nil {
		return engine.Answer{}, err
	}
	if o.Query == "" {
		return engine.Answer{}, engine.Errorf(engine.ErrInvalidArgument, "no query").WithHint("pass parameters {\"query\":\"…\"}, and what is to be ranked as inputs")
	}
	if o.Function != "sigmoid" && o.Function != "none" {
		return engine.Answer{}, &engine.Error{Code: engine.ErrInvalidArgument, Message: "unknown function_to_apply \"" + o.Function + "\"", ValidValues: []string{"none", "sigmoid"}}
	}
	var a engine.Answer
	began := time.Now()
	encoded := make([]tokenizer.Encoding, len(r.Items))
	for i, item := range r.Items {
		t, err := textOf(item)
		if err != nil {
			return a, err
		}
		encoded[i] = p.tok.EncodePair(tokenizer.Options{Limit: o.MaxLength}, o.Query, t.Text)
		if ctx.Err() != nil {
			return a, ctx.Err()
		}
	}
	a.Timings.Preprocess = since(&began)
	logits, err := p.scores(ctx, s, encoded, r.BatchSize)
	if err != nil {
		return a, err
	}
	a.Timings.Run = since(&began)
	if err := p.rank(&a, logits, o.Function); err != nil {
		return a, err
	}
	a.Timings.Postprocess = since(&began)
	return a, nil
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
