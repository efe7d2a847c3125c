package tasks

import (
	"context"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// TokenClassification returns the task "token-classification": what words of a
// text are, such as names, by an encoder with a head on each token (logits
// [batch, tokens, labels]).
func TokenClassification() engine.Task { return tokenClassification{} }

type tokenClassification struct{}

var _ engine.Documenter = tokenClassification{}

func (tokenClassification) Name() string { return "token-classification" }

// Doc describes the parameters.
func (tokenClassification) Doc() string {
	return `# token-classification

What the words of a text are: names of persons, places and the like.

| parameter | default | meaning |
|---|---|---|
| aggregation_strategy | simple | none: each token; simple: neighbours of one label together; first, average, max: whole words, by their first, mean or surest token |
| ignore_labels | ["O"] | labels that are left out |
| max_length | the model's | tokens beyond this are cut off |

Each output has entity_group (or entity and index), score, word, and start and end in code points of the text.
`
}

// Load reads the tokenizer and the labels.
func (tokenClassification) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	c, err := loadClassifier(m)
	return &tagger{c}, err
}

type tagger struct{ *classifier }

// tagging are the parameters.
type tagging struct {
	Strategy  string   `json:"aggregation_strategy"`
	Ignore    []string `json:"ignore_labels"`
	MaxLength int      `json:"max_length"`
}

var strategies = []string{"none", "simple", "first", "average", "max"}

func (o tagging) check() error { return among("aggregation_strategy", o.Strategy, strategies...) }

// Run tags the texts.
func (p *tagger) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := tagging{Strategy: "simple", Ignore: []string{"O"}, MaxLength: p.limit}
	found := make([][]engine.Output, len(r.Items))
	return p.serve(ctx, s, r, textWork{
		parameters: &o,
		encode: func(item engine.Item) ([]tokenizer.Encoding, error) {
			return p.texts(item, tokenizer.Options{Limit: o.MaxLength, Places: true})
		},
		wants: []want{{p.logits, true}},
		take: func(i int, t passage, rows []row) error {
			if len(rows[0].shape) != 2 {
				return engine.Errorf(engine.ErrModelInvalid, "the model's output has shape [batch %v]; it needs [batch, tokens, labels]", rows[0].shape)
			}
			text, err := textOf(r.Items[i])
			if err == nil {
				found[i] = p.outputs(i, o, p.tagged(text, t.Encoding, rows[0]))
			}
			return err
		},
		finish: func(a *engine.Answer) error { a.Outputs = slices.Concat(found...); return nil },
	})
}

// A tag is a token, or several together, with the scores of its labels.
type tag struct {
	word       string
	scores     []float64
	start, end int
	index      int
	continues  bool // a word that began before
	label      string
	score      float64
}

// tagged are the tokens of a text or of two, special ones left out.
func (p *tagger) tagged(record textRecord, e tokenizer.Encoding, r row) []tag {
	texts := [][]rune{[]rune(record.Text), []rune(record.Pair)}
	var out []tag
	width := int(r.shape[1])
	for i, id := range e.IDs {
		if e.Sequences[i] < 0 {
			continue
		}
		text, start, end := texts[e.Sequences[i]], e.Offsets[i][0], e.Offsets[i][1]
		t := tag{word: p.tok.Token(id), scores: softmax(r.values[i*width : (i+1)*width]), start: start, end: end, index: i}
		at := string(text[start:end])
		if id == p.tok.UnknownID() {
			t.word = at
		} else if p.tok.HasPrefix() {
			t.continues = len([]rune(t.word)) != end-start
		} else {
			t.continues = start > 0 && !strings.ContainsRune(string(text[start-1:min(start+1, len(text))]), ' ')
		}
		out = append(out, t)
	}
	return out
}

// outputs joins tokens as the strategy has it.
func (p *tagger) outputs(item int, o tagging, tags []tag) []engine.Output {
	if o.Strategy != "none" && o.Strategy != "simple" {
		tags = p.words(tags, o.Strategy)
	} else {
		for i := range tags {
			p.decide(&tags[i], tags[i].scores)
		}
	}
	if o.Strategy != "none" {
		tags = p.groups(tags)
	}
	var out []engine.Output
	for _, t := range tags {
		if slices.Contains(o.Ignore, t.label) {
			continue
		}
		shown := engine.Output{Item: item, Score: score6(t.score), Word: t.word, Start: &t.start, End: &t.end}
		if o.Strategy == "none" {
			shown.Entity, shown.Index = t.label, &t.index
		} else {
			shown.EntityGroup = t.label
		}
		out = append(out, shown)
	}
	return out
}

// decide labels a tag by its greatest score.
func (p *tagger) decide(t *tag, scores []float64) {
	k := best(scores, 1)[0]
	t.label, t.score = p.config.label(k), scores[k]
}

// words joins the tokens of each word.
func (p *tagger) words(tags []tag, strategy string) []tag {
	var out []tag
	for i := 0; i < len(tags); {
		j := i + 1
		for j < len(tags) && tags[j].continues {
			j++
		}
		word := tags[i]
		word.word, word.end = p.joined(tags[i:j]), tags[j-1].end
		p.decide(&word, wordScores(tags[i:j], strategy))
		out = append(out, word)
		i = j
	}
	return out
}

// wordScores are the scores of a word, out of those of its tokens.
func wordScores(tags []tag, strategy string) []float64 {
	switch strategy {
	case "first":
		return tags[0].scores
	case "max":
		return slices.MaxFunc(tags, func(a, b tag) int {
			x, y := slices.Max(a.scores), slices.Max(b.scores)
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		}).scores
	}
	mean := make([]float64, len(tags[0].scores))
	for _, t := range tags {
		for k, s := range t.scores {
			mean[k] += s / float64(len(tags))
		}
	}
	return mean
}

// groups joins neighbours of one label. B- begins another group, I- goes on
// with the last.
func (p *tagger) groups(tags []tag) []tag {
	var out []tag
	for i := 0; i < len(tags); {
		j := i + 1
		for j < len(tags) && !begins(tags[j].label) && kind(tags[j].label) == kind(tags[j-1].label) {
			j++
		}
		group := tags[i]
		group.label, group.word, group.end, group.score = kind(group.label), p.joined(tags[i:j]), tags[j-1].end, 0
		for _, t := range tags[i:j] {
			group.score += t.score / float64(j-i)
		}
		out = append(out, group)
		i = j
	}
	return out
}

func begins(label string) bool { return strings.HasPrefix(label, "B-") }

// kind is a label without its B- or I-.
func kind(label string) string {
	if begins(label) || strings.HasPrefix(label, "I-") {
		return label[2:]
	}
	return label
}

func (p *tagger) joined(tags []tag) string {
	words := make([]string, len(tags))
	for i, t := range tags {
		words[i] = t.word
	}
	return p.tok.Join(words)
}
