package tasks

import (
	"context"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// ZeroShotClassification returns the task "zero-shot-classification": which of
// the caller's labels fit a text, by a model that was trained to tell whether
// one sentence follows from another (NLI).
func ZeroShotClassification() engine.Task { return zeroShot{} }

type zeroShot struct{}

var _ engine.Documenter = zeroShot{}

func (zeroShot) Name() string { return "zero-shot-classification" }

// Doc describes the parameters.
func (zeroShot) Doc() string {
	return `# zero-shot-classification

Which of your own labels fit each text. The model is one for natural language inference (text-classification with a label
"entailment"), or one for sentence embeddings, which compares the text with each label.

| parameter | default | meaning |
|---|---|---|
| candidate_labels | needed | the labels, as a list |
| hypothesis_template | "This example is {}.", or "{}" for embeddings | the sentence that each label is put in |
| multi_label | false | several may fit: each is scored by itself |
| max_length | the model's | tokens of text and sentence; the text is cut |

Each output has label and score, the best first. With embeddings the score is the cosine, which multi_label does not change.

` + aSentenceEncoder
}

// Load reads the tokenizer and finds the label that means yes.
func (zeroShot) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	if embeds(m) {
		e, err := loadEmbedder(m)
		return &zeroShotEmbedder{e}, err
	}
	c, err := loadClassifier(m)
	if err != nil {
		return nil, err
	}
	p := &zeroShotPipeline{c, -1}
	for i := range len(c.config.Labels) {
		if strings.HasPrefix(strings.ToLower(c.config.label(i)), "entail") {
			p.entailment = i
		}
	}
	if p.entailment < 0 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "none of the model's labels is \"entailment\"").
			WithHint("zero-shot-classification needs a model for natural language inference or for sentence embeddings")
	}
	return p, nil
}

type zeroShotPipeline struct {
	*classifier
	entailment int
}

// candidates are the parameters.
type candidates struct {
	Labels    []string `json:"candidate_labels"`
	Template  string   `json:"hypothesis_template"`
	Multi     bool     `json:"multi_label"`
	MaxLength int      `json:"max_length"`
}

func (o candidates) check() error {
	switch {
	case len(o.Labels) == 0:
		return engine.Errorf(engine.ErrInvalidArgument, "no candidate_labels").WithHint("pass parameters {\"candidate_labels\":[\"sport\",\"politics\"]}")
	case !strings.Contains(o.Template, "{}"):
		return engine.Errorf(engine.ErrInvalidArgument, "hypothesis_template has no {} for the label")
	}
	return nil
}

// Run asks of each label whether it follows from the text.
func (p *zeroShotPipeline) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := candidates{Template: "This example is {}.", MaxLength: p.limit}
	logits := make([][][]float32, len(r.Items)) // of each text, of each label
	return p.serve(ctx, s, r, textWork{
		parameters: &o,
		encode:     func(item engine.Item) ([]tokenizer.Encoding, error) { return p.hypotheses(item, o) },
		wants:      []want{{output: p.logits}},
		take: func(_ int, t passage, rows []row) error {
			if logits[t.item] == nil {
				logits[t.item] = make([][]float32, t.of)
			}
			l, err := labelScores(rows[0])
			if err == nil && len(l) <= p.entailment {
				return engine.Errorf(engine.ErrModelInvalid, "the model gives %d labels, and config.json has \"entailment\" as number %d", len(l), p.entailment)
			}
			logits[t.item][t.part] = l
			return err
		},
		finish: func(a *engine.Answer) error {
			for i := range logits {
				scores := p.likely(logits[i], o.Multi)
				for _, k := range best(scores, 0) {
					a.Outputs = append(a.Outputs, engine.Output{Item: i, Label: o.Labels[k], Score: score6(scores[k])})
				}
			}
			return nil
		},
	})
}

// hypotheses encodes a text with the sentence of each label.
func (p *zeroShotPipeline) hypotheses(item engine.Item, o candidates) ([]tokenizer.Encoding, error) {
	t, err := textOf(item)
	out := make([]tokenizer.Encoding, len(o.Labels))
	for i, label := range o.Labels {
		hypothesis := strings.Replace(o.Template, "{}", label, 1)
		out[i] = p.tok.EncodePair(tokenizer.Options{Limit: o.MaxLength, OnlyFirst: true}, t.Text, hypothesis)
	}
	return out, err
}

// likely scores labels: against "contradiction" each by itself, or against
// each other.
func (p *zeroShotPipeline) likely(logits [][]float32, multi bool) []float64 {
	out := make([]float64, len(logits))
	yes := make([]float32, len(logits))
	for i, l := range logits {
		yes[i] = l[p.entailment]
		contradiction := 0
		if p.entailment == 0 {
			contradiction = len(l) - 1
		}
		out[i] = softmax([]float32{l[contradiction], yes[i]})[1]
	}
	if multi || len(logits) == 1 {
		return out
	}
	return softmax(yes)
}

// embeds reports whether a model's files say that it is for sentence
// embeddings.
func embeds(m *engine.Model) bool {
	return m.Manifest.Task == "feature-extraction" || m.Has("modules.json") || m.Has("1_Pooling/config.json")
}

// zeroShotEmbedder compares texts with labels by their vectors.
type zeroShotEmbedder struct{ *embedder }

// Run compares each text with each label.
func (p *zeroShotEmbedder) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := candidates{Template: "{}", MaxLength: p.settings.MaxLength}
	set := p.settings
	compared := newComparison(len(r.Items), &set)
	return p.serve(ctx, s, r, textWork{
		parameters: &o,
		encode: func(item engine.Item) ([]tokenizer.Encoding, error) {
			t, err := textOf(item)
			out := []tokenizer.Encoding{p.tok.Encode(t.Text, o.MaxLength)}
			for _, label := range o.Labels {
				out = append(out, p.tok.Encode(strings.Replace(o.Template, "{}", label, 1), o.MaxLength))
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
				for _, k := range best(scores, 0) {
					a.Outputs = append(a.Outputs, engine.Output{Item: i, Label: o.Labels[k], Score: score6(scores[k])})
				}
			}
			return nil
		},
	})
}
