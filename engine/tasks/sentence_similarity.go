package tasks

import (
	"context"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// SentenceSimilarity returns the task "sentence-similarity": how alike a
// sentence and others are, by the model of a feature-extraction.
func SentenceSimilarity() engine.Task { return sentenceSimilarity{} }

type sentenceSimilarity struct{}

var _ engine.Documenter = sentenceSimilarity{}

func (sentenceSimilarity) Name() string { return "sentence-similarity" }

// Doc describes the parameters.
func (sentenceSimilarity) Doc() string {
	return `# sentence-similarity

How alike a sentence and others are. Each input is a record {"source_sentence": "…", "sentences": ["…", "…"]}.

Parameters are those of feature-extraction: pooling, dimensions, prompt, prompt_name and max_length.

Each output has item, index (which of the sentences) and score, the cosine: 1 for the same meaning, around 0 for nothing in common. Outputs are
in the order of the sentences. The model is one for feature-extraction.

` + aSentenceEncoder
}

// Load reads the tokenizer and settings.
func (sentenceSimilarity) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	e, err := loadEmbedder(m)
	return &comparer{e}, err
}

type comparer struct{ *embedder }

// similarityRecord is an input.
type similarityRecord struct {
	Source    string   `json:"source_sentence"`
	Sentences []string `json:"sentences"`
}

// Run compares the sentences.
func (p *comparer) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := p.settings
	compared := newComparison(len(r.Items), &o)
	return p.serve(ctx, s, r, textWork{
		parameters: &o,
		encode: func(item engine.Item) ([]tokenizer.Encoding, error) {
			record, err := similarityOf(item)
			out := []tokenizer.Encoding{p.tok.Encode(o.Prompt+record.Source, o.MaxLength)}
			for _, text := range record.Sentences {
				out = append(out, p.tok.Encode(o.Prompt+text, o.MaxLength))
			}
			return out, err
		},
		wants: []want{{output: p.output}},
		take:  compared.take,
		finish: func(a *engine.Answer) error {
			for i := range r.Items {
				scores, err := compared.scores(i)
				if err != nil {
					return err
				}
				for k, score := range scores {
					a.Outputs = append(a.Outputs, engine.Output{Item: i, Index: &k, Score: score6(score)})
				}
			}
			return nil
		},
	})
}

// A comparison is of the first passage of each input with its others.
type comparison struct {
	settings *embedding
	vectors  [][][]float32
}

func newComparison(inputs int, o *embedding) comparison {
	return comparison{o, make([][][]float32, inputs)}
}

// take keeps a passage's vector.
func (c comparison) take(_ int, t passage, rows []row) (err error) {
	if c.vectors[t.item] == nil {
		c.vectors[t.item] = make([][]float32, t.of)
	}
	c.vectors[t.item][t.part], err = c.settings.vector(rows[0], len(t.IDs))
	return err
}

// scores are the cosines of an input.
func (c comparison) scores(item int) ([]float64, error) {
	v := c.vectors[item]
	if err := alikeLong(v); err != nil {
		return nil, err
	}
	out := make([]float64, len(v)-1)
	for k := range out {
		out[k] = cosine(v[0], v[k+1])
	}
	return out, nil
}

// similarityOf reads an input.
func similarityOf(item engine.Item) (similarityRecord, error) {
	var record similarityRecord
	if item.Record == nil {
		return record, engine.Errorf(engine.ErrInvalidArgument, "the input is a text").
			WithHint("pass records: [{\"source_sentence\":\"…\",\"sentences\":[\"…\"]}], or feature-extraction with {\"similarity\":true}")
	}
	if err := readRecord(item.Record, &record); err != nil {
		return record, err
	}
	if record.Source == "" || len(record.Sentences) == 0 {
		return record, engine.Errorf(engine.ErrInvalidArgument, "a record needs both source_sentence and sentences")
	}
	return record, nil
}
