package tasks

import (
	"cmp"
	"context"
	"path"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// An encoder is what tasks on text encoders share: tokens in, padded batches
// through the model, rows of outputs out.
type encoder struct {
	stateless
	tok    *tokenizer.Tokenizer
	inputs []engine.ValueInfo
}

// loadEncoder reads the tokenizer, and checks that the model takes what text
// gives.
func loadEncoder(m *engine.Model) (encoder, engine.Graph, error) {
	g, err := graphOf(m)
	if err != nil {
		return encoder{}, g, err
	}
	tok, err := loadTokenizer(m)
	e := encoder{tok: tok, inputs: g.Inputs}
	if err == nil {
		err = e.check()
	}
	return e, g, err
}

// check reports whether the inputs are what text gives.
func (e encoder) check() error {
	for _, v := range e.inputs {
		if !slices.Contains([]string{"input_ids", "attention_mask", "token_type_ids"}, v.Name) || v.DType != engine.Int64 {
			return engine.Errorf(engine.ErrModelInvalid, "the model takes %s %q, which no text gives", v.DType, v.Name).
				WithHint("it is no text encoder; pass raw tensors")
		}
	}
	return nil
}

// loadTokenizer reads tokenizer.json, or where there is none the older files.
func loadTokenizer(m *engine.Model) (*tokenizer.Tokenizer, error) {
	name := "tokenizer.json"
	switch {
	case m.Has(name):
	case m.Has("vocab.txt"):
		name = "vocab.txt"
	case m.Has("vocab.json") && m.Has("merges.txt"):
		name = "vocab.json"
	case m.Has("vocab.json") && m.Has("source.spm"):
		name = "source.spm"
	default:
		name = pieceFile(m, name)
	}
	data, err := m.ReadFile(name, maxTokenizer)
	if err != nil {
		return nil, err
	}
	var tok *tokenizer.Tokenizer
	if name == "tokenizer.json" {
		tok, err = tokenizer.Load(data)
	} else {
		tok, err = olderTokenizer(m, name, data)
	}
	if err != nil {
		return nil, engine.Errorf(engine.ErrModelInvalid, "%s: %w", name, err)
	}
	return tok, nil
}

// pieceFile is the model's file of SentencePiece, or else the name given.
func pieceFile(m *engine.Model, otherwise string) string {
	for _, name := range []string{"spiece.model", "tokenizer.model", "sentencepiece.bpe.model"} {
		if m.Has(name) {
			return name
		}
	}
	return otherwise
}

// olderTokenizer makes a tokenizer of a vocabulary and settings.
func olderTokenizer(m *engine.Model, name string, vocab []byte) (*tokenizer.Tokenizer, error) {
	var s tokenizer.Settings
	for _, file := range []string{"special_tokens_map.json", "tokenizer_config.json"} {
		if _, err := readJSON(m, file, &s); err != nil {
			return nil, err
		}
	}
	switch {
	case name == "vocab.txt":
		return tokenizer.FromWordPiece(vocab, s)
	case path.Ext(name) == ".model":
		return tokenizer.FromSentencePiece(vocab, s)
	case name == "source.spm":
		if m.Has("target_vocab.json") {
			return nil, engine.Errorf(engine.ErrUnsupported, "the model has a vocabulary of its own for what it writes (target_vocab.json)").WithHint("save the tokenizer as tokenizer.json")
		}
		ids, err := m.ReadFile("vocab.json", maxTokenizer)
		if err != nil {
			return nil, err
		}
		return tokenizer.FromMarian(vocab, ids, s)
	}
	merges, err := m.ReadFile("merges.txt", maxTokenizer)
	if err != nil {
		return nil, err
	}
	return tokenizer.FromBytePairs(vocab, merges, s)
}

// output returns the output of a name, or else the only one of float32.
func output(g engine.Graph, name string) (string, error) {
	var found []string
	for _, v := range g.Outputs {
		if v.Name == name {
			return name, nil
		}
		if v.DType == engine.Float32 {
			found = append(found, v.Name)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return "", engine.Errorf(engine.ErrModelInvalid, "the model has no output %q", name).WithHint("it may be for another task; pass raw tensors")
}

// batches groups the texts for runs: of like length, so that little is
// padding, or of the same where the model can't tell what is, and within the
// token budget. size bounds a batch if it is positive.
func (e encoder) batches(encoded []passage, size int) [][]int {
	order := make([]int, len(encoded))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(encoded[a].IDs), len(encoded[b].IDs)) })
	var out [][]int
	for len(order) > 0 {
		n := 1
		for n < len(order) && e.fits(len(encoded[order[0]].IDs), len(encoded[order[n]].IDs), n+1, size) {
			n++
		}
		out, order = append(out, order[:n]), order[n:]
	}
	return out
}

// fits reports whether a text of a length makes the n-th of a batch.
func (e encoder) fits(shortest, length, n, size int) bool {
	if shortest < length && !e.masked() {
		return false
	}
	if size > 0 {
		return n <= size
	}
	return n*length <= tokenBudget
}

// A row is what an output has for one text: its numbers, and the shape of
// them. Where there is a dimension of tokens, padding is not among them.
type row struct {
	values []float32
	shape  []int64
}

// A want is the name of an output, and whether one of two dimensions is for
// texts and tokens; one of three always is.
type want struct {
	output string
	tokens bool
}

// texts encodes an input of one text or two.
func (e encoder) texts(item engine.Item, o tokenizer.Options) ([]tokenizer.Encoding, error) {
	r, err := textOf(item)
	if err != nil {
		return nil, err
	}
	return []tokenizer.Encoding{e.tok.EncodeWith(o, r.texts()...)}, nil
}

// run puts the texts through the model, and hands on the rows of the wanted
// outputs text by text.
func (e encoder) run(ctx context.Context, s engine.Session, encoded []passage, size int, wants []want, take func(i int, p passage, rows []row) error) error {
	for _, batch := range e.batches(encoded, size) {
		length := 0
		for _, i := range batch {
			length = max(length, len(encoded[i].IDs))
		}
		out, err := engine.RunJoined(ctx, s, e.tensors(encoded, batch, length), e.join())
		if err != nil {
			return err
		}
		for at, i := range batch {
			rows := make([]row, len(wants))
			for k, w := range wants {
				if rows[k], err = w.row(out[w.output], at, len(batch), len(encoded[i].IDs)); err != nil {
					return err
				}
			}
			if err := take(i, encoded[i], rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// join lets runs of several callers be one, if the model knows what is padding.
func (e encoder) join() engine.Join {
	j := engine.Join{Budget: tokenBudget}
	if e.masked() {
		j.Pad = map[string]int64{"input_ids": e.tok.PadID(), "attention_mask": 0, "token_type_ids": 0}
	}
	return j
}

// masked reports whether the model is told what is padding.
func (e encoder) masked() bool {
	return slices.ContainsFunc(e.inputs, func(v engine.ValueInfo) bool { return v.Name == "attention_mask" })
}

// row cuts one text's part out of an output.
func (w want) row(t *engine.Tensor, at, batch, tokens int) (row, error) {
	if t == nil {
		return row{}, engine.Errorf(engine.ErrModelInvalid, "the model gave no %q", w.output)
	}
	values, err := engine.Values[float32](t)
	if err != nil {
		return row{}, err
	}
	if len(t.Shape) < 1 || t.Shape[0] != int64(batch) || len(values) == 0 {
		return row{}, engine.Errorf(engine.ErrModelInvalid, "the model's output %q has shape %v for a batch of %d", w.output, t.Shape, batch)
	}
	width := len(values) / batch
	r := row{values[at*width : (at+1)*width], slices.Clone(t.Shape[1:])}
	if w.tokens || len(t.Shape) > 2 {
		if tokens == 0 {
			return row{}, engine.Errorf(engine.ErrInvalidArgument, "the text has no tokens")
		}
		if len(t.Shape) < 2 || t.Shape[1] < int64(tokens) {
			return row{}, engine.Errorf(engine.ErrModelInvalid, "the model's output %q has shape %v for a text of %d tokens", w.output, t.Shape, tokens)
		}
		r.values, r.shape[0] = r.values[:width/int(t.Shape[1])*tokens], int64(tokens)
	}
	return r, nil
}

// tensors makes the model's inputs [batch, length], padded at the end.
func (e encoder) tensors(encoded []passage, batch []int, length int) engine.Tensors {
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
				ids[at+j] = e.tok.PadID()
			}
		}
	}
	all := map[string][]int64{"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
	in := engine.Tensors{}
	for _, v := range e.inputs {
		in[v.Name] = engine.NewTensor([]int64{int64(len(batch)), int64(length)}, all[v.Name])
	}
	return in
}
