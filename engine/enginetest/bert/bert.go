// Package bert makes an .onnx model of BERT weights as safetensors, for tests
// that need a real text encoder in fp32.
package bert

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"

	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

// A Config is what of a BERT model's config.json decides its graph.
type Config struct {
	Hidden  int64   `json:"hidden_size"`
	Heads   int64   `json:"num_attention_heads"`
	Layers  int     `json:"num_hidden_layers"`
	Epsilon float32 `json:"layer_norm_eps"`
}

// Convert reads BERT weights and returns the graph that computes the hidden
// states of the last layer (Devlin et al., BERT, 2018): inputs input_ids,
// attention_mask and token_type_ids [batch, sequence] of int64, output
// last_hidden_state [batch, sequence, hidden] of float32.
func Convert(safetensors string, c Config) (om.Model, error) {
	weights, err := read(safetensors)
	if err != nil {
		return om.Model{}, err
	}
	b := &builder{c: c, weights: weights}
	b.embeddings()
	for i := range c.Layers {
		b.layer(fmt.Sprintf("encoder.layer.%d.", i))
	}
	b.node("Identity", []string{b.x}, "last_hidden_state")
	for _, name := range []string{"input_ids", "attention_mask", "token_type_ids"} {
		b.g.Inputs = append(b.g.Inputs, om.Symbols(name, om.Int64, "batch", "sequence"))
	}
	b.g.Outputs = []om.Value{{Name: "last_hidden_state", DType: om.Float, Shape: []om.Dim{{Symbol: "batch"}, {Symbol: "sequence"}, {Size: c.Hidden}}}}
	return om.Model{Graph: b.g}, b.err
}

// builder adds nodes one after the other; x is the tensor that flows.
type builder struct {
	c       Config
	weights map[string]om.Tensor
	g       om.Graph
	x       string
	n       int
	err     error
}

// node adds a node with one output, named or numbered, and returns its name.
func (b *builder) node(op string, inputs []string, output string, attributes ...om.Attribute) string {
	if output == "" {
		b.n++
		output = fmt.Sprintf("t%d", b.n)
	}
	b.g.Nodes = append(b.g.Nodes, om.Node{Op: op, Inputs: inputs, Outputs: []string{output}, Attributes: attributes})
	return output
}

// weight makes an initialiser of a tensor of the file.
func (b *builder) weight(name string) string {
	t, ok := b.weights[name]
	if !ok {
		b.err = errors.Join(b.err, fmt.Errorf("the weights have no %s", name))
		return name
	}
	t.Name = name
	b.g.Initializers = append(b.g.Initializers, t)
	return name
}

func (b *builder) constant(t om.Tensor) string {
	b.n++
	t.Name = fmt.Sprintf("c%d", b.n)
	b.g.Initializers = append(b.g.Initializers, t)
	return t.Name
}

func (b *builder) ints(values ...int64) string {
	return b.constant(om.Int64s("", []int64{int64(len(values))}, values...))
}

func (b *builder) scalar(v float32) string { return b.constant(om.Floats("", nil, v)) }

func (b *builder) embeddings() {
	words := b.node("Gather", []string{b.weight("embeddings.word_embeddings.weight"), "input_ids"}, "")
	types := b.node("Gather", []string{b.weight("embeddings.token_type_embeddings.weight"), "token_type_ids"}, "")
	shape := b.node("Shape", []string{"input_ids"}, "")
	length := b.node("Gather", []string{shape, b.constant(om.Int64s("", nil, 1))}, "")
	positions := b.node("Range", []string{b.constant(om.Int64s("", nil, 0)), length, b.constant(om.Int64s("", nil, 1))}, "")
	places := b.node("Gather", []string{b.weight("embeddings.position_embeddings.weight"), positions}, "")
	sum := b.node("Add", []string{b.node("Add", []string{words, types}, ""), places}, "")
	b.x = b.norm("embeddings.LayerNorm.", sum)

	// 0 where there is a token, a very negative number where there is padding.
	mask := b.node("Cast", []string{b.node("Unsqueeze", []string{"attention_mask", b.ints(1, 2)}, "")}, "", om.Attr("to", int64(om.Float)))
	b.node("Mul", []string{b.node("Sub", []string{b.scalar(1), mask}, ""), b.scalar(-math.MaxFloat32)}, "mask")
}

func (b *builder) norm(prefix, x string) string {
	return b.node("LayerNormalization", []string{x, b.weight(prefix + "weight"), b.weight(prefix + "bias")}, "",
		om.Attr("axis", -1), om.Attr("epsilon", b.c.Epsilon))
}

// dense is x·Wᵀ + b.
func (b *builder) dense(prefix, x string) string {
	w := b.node("Transpose", []string{b.weight(prefix + "weight")}, "", om.Attr("perm", []int64{1, 0}))
	return b.node("Add", []string{b.node("MatMul", []string{x, w}, ""), b.weight(prefix + "bias")}, "")
}

// heads splits the hidden numbers among the heads: [batch, heads, sequence, size].
func (b *builder) heads(x string, perm ...int64) string {
	split := b.node("Reshape", []string{x, b.ints(0, 0, b.c.Heads, b.c.Hidden/b.c.Heads)}, "")
	return b.node("Transpose", []string{split}, "", om.Attr("perm", perm))
}

func (b *builder) layer(prefix string) {
	query := b.heads(b.dense(prefix+"attention.self.query.", b.x), 0, 2, 1, 3)
	key := b.heads(b.dense(prefix+"attention.self.key.", b.x), 0, 2, 3, 1)
	value := b.heads(b.dense(prefix+"attention.self.value.", b.x), 0, 2, 1, 3)
	scores := b.node("Div", []string{b.node("MatMul", []string{query, key}, ""), b.scalar(float32(math.Sqrt(float64(b.c.Hidden / b.c.Heads))))}, "")
	weights := b.node("Softmax", []string{b.node("Add", []string{scores, "mask"}, "")}, "", om.Attr("axis", -1))
	mixed := b.node("Transpose", []string{b.node("MatMul", []string{weights, value}, "")}, "", om.Attr("perm", []int64{0, 2, 1, 3}))
	joined := b.node("Reshape", []string{mixed, b.ints(0, 0, b.c.Hidden)}, "")
	attended := b.dense(prefix+"attention.output.dense.", joined)
	b.x = b.norm(prefix+"attention.output.LayerNorm.", b.node("Add", []string{attended, b.x}, ""))
	out := b.dense(prefix+"output.dense.", b.gelu(b.dense(prefix+"intermediate.dense.", b.x)))
	b.x = b.norm(prefix+"output.LayerNorm.", b.node("Add", []string{out, b.x}, ""))
}

// gelu is x·(1 + erf(x/√2))/2.
func (b *builder) gelu(x string) string {
	erf := b.node("Erf", []string{b.node("Div", []string{x, b.scalar(math.Sqrt2)}, "")}, "")
	return b.node("Mul", []string{b.node("Mul", []string{x, b.node("Add", []string{erf, b.scalar(1)}, "")}, ""), b.scalar(0.5)}, "")
}

// read reads the float32 tensors of a safetensors file: a length, a JSON
// header with where each tensor lies, and the bytes.
func read(path string) (map[string]om.Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) < 8 || binary.LittleEndian.Uint64(data) > uint64(len(data)-8) {
		return nil, errors.New("not a safetensors file")
	}
	n := binary.LittleEndian.Uint64(data)
	body := data[8+n:]
	var header map[string]struct {
		DType   string  `json:"dtype"`
		Shape   []int64 `json:"shape"`
		Offsets []int64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		return nil, err
	}
	out := map[string]om.Tensor{}
	for name, h := range header {
		if h.DType != "F32" {
			continue
		}
		if len(h.Offsets) != 2 || h.Offsets[0] < 0 || h.Offsets[0] > h.Offsets[1] || h.Offsets[1] > int64(len(body)) {
			return nil, fmt.Errorf("%s lies outside the file", name)
		}
		out[name] = om.Tensor{DType: om.Float, Shape: h.Shape, Raw: body[h.Offsets[0]:h.Offsets[1]]}
	}
	return out, nil
}
