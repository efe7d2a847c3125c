package tasks

import (
	"cmp"
	"context"
	"slices"
	"time"

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
| pooling | the model's | mean, cls or max: how the token vectors become one |
| normalize | the model's | scale each vector to length 1 |
| max_length | the model's | tokens beyond this are cut off, and truncated_input says so |

Each output has dim, norm (length before normalisation), truncated_input, and preview or, with detail full, embedding.
output_file keeps all vectors as one float32 array [inputs, dim].
`
}

// Limits on a model's small files, in bytes.
const (
	maxTokenizer = 64 << 20
	maxConfig    = 1 << 20
)

// tokenBudget is how many tokens go through the model in one run: more gains
// nothing on a processor and costs memory.
const tokenBudget = 512

// Load reads the tokenizer and settings.
func (featureExtraction) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	g, err := graphOf(m)
	if err != nil {
		return nil, err
	}
	data, err := m.ReadFile("tokenizer.json", maxTokenizer)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(data)
	if err != nil {
		return nil, engine.Errorf(engine.ErrModelInvalid, "tokenizer.json: %w", err)
	}
	settings, err := embeddingSettings(m)
	if err != nil {
		return nil, err
	}
	p := &embedder{tok: tok, settings: settings, inputs: g.Inputs}
	if p.output, err = embeddingOutput(g.Outputs); err != nil {
		return nil, err
	}
	return p, p.checkInputs()
}

// embedder is the pipeline of feature-extraction.
type embedder struct {
	tok      *tokenizer.Tokenizer
	settings embedding
	inputs   []engine.ValueInfo
	output   engine.ValueInfo
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

func (p *embedder) checkInputs() error {
	for _, v := range p.inputs {
		if !slices.Contains([]string{"input_ids", "attention_mask", "token_type_ids"}, v.Name) || v.DType != engine.Int64 {
			return engine.Errorf(engine.ErrModelInvalid, "the model takes %s %q, which no text gives", v.DType, v.Name).
				WithHint("it is no text encoder; pass raw tensors")
		}
	}
	return nil
}

func (p *embedder) Close() error { return nil }

// Run embeds the texts.
func (p *embedder) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := p.settings
	if err := readParameters(r.Parameters, &o); err != nil {
		return engine.Answer{}, err
	}
	if err := o.check(); err != nil {
		return engine.Answer{}, err
	}
	session, err := s.Open(ctx, "")
	if err != nil {
		return engine.Answer{}, err
	}
	var a engine.Answer
	began := time.Now()
	encoded := make([]tokenizer.Encoding, len(r.Items))
	for i, item := range r.Items {
		encoded[i] = p.tok.Encode(item.Text, o.MaxLength)
		if ctx.Err() != nil {
			return a, ctx.Err()
		}
	}
	a.Timings.Preprocess = since(&began)
	vectors := make([][]float32, len(encoded))
	for _, batch := range batches(encoded, r.BatchSize) {
		if err := p.runBatch(ctx, session, o, encoded, batch, vectors); err != nil {
			return a, err
		}
	}
	a.Timings.Run = since(&began)
	p.finish(&a, o, encoded, vectors, r.Full)
	a.Timings.Postprocess = since(&began)
	return a, nil
}

// since returns the milliseconds since *t and sets it to now.
func since(t *time.Time) float64 {
	now := time.Now()
	d := now.Sub(*t)
	*t = now
	return float64(d) / float64(time.Millisecond)
}

// batches groups the texts for runs: of like length, so that little is
// padding, and within the token budget. size bounds a batch if it is positive.
func batches(encoded []tokenizer.Encoding, size int) [][]int {
	order := make([]int, len(encoded))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(encoded[a].IDs), len(encoded[b].IDs)) })
	var out [][]int
	for len(order) > 0 {
		n := 1
		for n < len(order) && (size <= 0 && (n+1)*len(encoded[order[n]].IDs) <= tokenBudget || n < size) {
			n++
		}
		out, order = append(out, order[:n]), order[n:]
	}
	return out
}

// runBatch runs the texts whose numbers are in batch and puts their vectors
// in place.
func (p *embedder) runBatch(ctx context.Context, s engine.Session, o embedding, encoded []tokenizer.Encoding, batch []int, vectors [][]float32) error {
	length := 0
	for _, i := range batch {
		length = max(length, len(encoded[i].IDs))
	}
	out, err := s.Run(ctx, p.tensors(encoded, batch, length))
	if err != nil {
		return err
	}
	t := out[p.output.Name]
	if t == nil {
		return engine.Errorf(engine.ErrModelInvalid, "the model gave no %q", p.output.Name)
	}
	values, err := engine.Values[float32](t)
	if err != nil {
		return err
	}
	return pool(o.Pooling, t.Shape, values, encoded, batch, length, vectors)
}

// tensors makes the model's inputs [batch, length], padded at the end.
func (p *embedder) tensors(encoded []tokenizer.Encoding, batch []int, length int) engine.Tensors {
	n := len(batch) * length
	ids, mask, types := make([]int64, n), make([]int64, n), make([]int64, n)
	for row, i := range batch {
		at := row * length
		copy(ids[at:], encoded[i].IDs)
		copy(types[at:], encoded[i].TypeIDs)
		for j := range length {
			if j < len(encoded[i].IDs) {
				mask[at+j] = 1
			} else {
				ids[at+j] = p.tok.PadID()
			}
		}
	}
	all := map[string][]int64{"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
	in := engine.Tensors{}
	for _, v := range p.inputs {
		in[v.Name] = engine.NewTensor([]int64{int64(len(batch)), int64(length)}, all[v.Name])
	}
	return in
}

// finish turns vectors into the answer.
func (p *embedder) finish(a *engine.Answer, o embedding, encoded []tokenizer.Encoding, vectors [][]float32, full bool) {
	const preview = 8
	norms := make([]float64, len(vectors))
	for i, v := range vectors {
		norms[i] = norm(v)
		if o.Normalize && norms[i] > 0 {
			for d := range v {
				v[d] = float32(float64(v[d]) / norms[i])
			}
		}
		out := engine.Output{Item: i, Dim: len(v), Norm: &norms[i], TruncatedInput: &encoded[i].Truncated}
		if full {
			out.Embedding = v
		} else {
			out.Preview = v[:min(preview, len(v))]
		}
		a.Outputs = append(a.Outputs, out)
	}
	a.Vectors = vectors
	if o.Similarity {
		a.Similarity = cosines(vectors)
	}
}
