package engine

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

// readBytes reads a graph that lies in memory.
func readBytes(data []byte) (Graph, error) { return ReadGraph(bytes.NewReader(data), int64(len(data))) }

func sampleGraph() om.Graph {
	return om.Graph{
		Inputs:       []om.Value{om.Symbols("ids", om.Int64, "batch", ""), om.Dims("w", om.Int8, 4)},
		Outputs:      []om.Value{om.Dims("scalar", om.Float), {Name: "open", DType: om.Float16, NoShape: true}},
		Initializers: []om.Tensor{om.Int8s("w", []int64{4}, 1, 2, 3, 4), om.Int64s("index", []int64{1}, 7), om.Floats("scale", nil, 1)},
	}
}

func TestReadGraph(t *testing.T) {
	g, err := readBytes(om.Model{Graph: sampleGraph()}.Marshal())
	must(t, err)
	if len(g.Inputs) != 1 || g.Inputs[0].Name != "ids" || !slices.Equal(g.Inputs[0].Shape, []int64{-1, -1}) || g.Inputs[0].Names[0] != "batch" {
		t.Errorf("inputs %+v", g.Inputs)
	}
	if s := g.Outputs[0].Shape; s == nil || len(s) != 0 {
		t.Errorf("a scalar has shape %v", s)
	}
	if g.Outputs[1].Shape != nil || g.Outputs[1].DType != Float16 {
		t.Errorf("an output without a shape: %+v", g.Outputs[1])
	}
	if g.Precision != "int8" && g.Precision != "fp32" { // four bytes each
		t.Errorf("precision %s", g.Precision)
	}
}

func TestReadGraph_precision(t *testing.T) {
	for want, w := range map[string]om.Tensor{
		"fp32": om.Floats("w", []int64{64}, make([]float32, 64)...), "int8": om.Int8s("w", []int64{64}, make([]int8, 64)...),
		"fp16": {Name: "w", DType: om.Float16, Shape: []int64{64}, Raw: make([]byte, 128)},
	} {
		g, err := readBytes(om.Model{Graph: om.Graph{Initializers: []om.Tensor{w}}}.Marshal())
		if err != nil || g.Precision != want {
			t.Errorf("%s: %q, %v", want, g.Precision, err)
		}
	}
}

// Packed weights lie in bytes; the operator says how many bits each has.
func TestReadGraph_packed(t *testing.T) {
	for want, attributes := range map[string][]om.Attribute{
		"int4": {om.Attr("K", 32), om.Attr("bits", 4)}, "int8": {om.Attr("bits", 8), om.Attr("K", 32)},
	} {
		g, err := readBytes(om.Model{Graph: om.Graph{
			Initializers: []om.Tensor{om.Int8s("w", []int64{64}, make([]int8, 64)...)},
			Nodes:        []om.Node{{Op: "MatMulNBits", Inputs: []string{"x", "w"}, Outputs: []string{"y"}, Attributes: attributes}},
		}}.Marshal())
		if err != nil || g.Precision != want {
			t.Errorf("%s: %q, %v", want, g.Precision, err)
		}
	}
}

func TestReadGraph_externalData(t *testing.T) {
	model := func(location string) []byte {
		w := om.Tensor{Name: "w", DType: om.Float, Shape: []int64{4}, External: &om.External{Location: location, Length: 16}}
		return om.Model{Graph: om.Graph{Initializers: []om.Tensor{w, w}}}.Marshal()
	}
	for _, outside := range []string{"../../etc/passwd", "/etc/passwd", "..", "a/../../b", `..\secret`, `C:\secret`, "//host/share"} {
		if _, err := readBytes(model(outside)); !errors.Is(err, ErrModelInvalid) || !strings.Contains(err.Error(), "outside its folder") {
			t.Errorf("%s: %v", outside, err)
		}
	}
	g, err := readBytes(model("sub/model.onnx_data"))
	if err != nil || !slices.Equal(g.External, []string{"sub/model.onnx_data"}) {
		t.Errorf("%v, %v", g.External, err)
	}
}

func TestReadGraph_hostile(t *testing.T) {
	sound := om.Model{Graph: sampleGraph()}.Marshal()
	cases := map[string][]byte{
		"empty": nil, "text": []byte("not a model"), "zeros": make([]byte, 4096), "no graph": {0x08, 0x08},
		"length past the end": {0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f}, "endless varint": bytes.Repeat([]byte{0xff}, 64),
		"truncated": sound[:len(sound)-3],
	}
	for name, data := range cases {
		if _, err := readBytes(data); !errors.Is(err, ErrModelInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		data := slices.Clone(sound)
		data[r.IntN(len(data))] ^= byte(1 << r.IntN(8))
		if _, err := readBytes(data); err != nil && !errors.Is(err, ErrModelInvalid) {
			t.Fatalf("a flipped bit: %v", err)
		}
	}
}

func TestElements_overflow(t *testing.T) {
	for _, shape := range [][]int64{{1 << 62, 4}, {-1}, {1 << 32, 1 << 32}, {3, -2}} {
		if n, err := Elements(shape); err == nil {
			t.Errorf("%v has %d elements", shape, n)
		}
	}
	if n, err := Elements([]int64{1 << 40, 0, 1 << 40}); err != nil || n != 0 {
		t.Errorf("an empty tensor: %d, %v", n, err)
	}
	huge := &Tensor{DType: Float64, Shape: []int64{1 << 61}}
	if err := huge.Check(); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("bytes beyond the largest int64: %v", err)
	}
}

func FuzzReadGraph(f *testing.F) {
	f.Add(om.Model{Graph: sampleGraph()}.Marshal())
	f.Add([]byte{0x3a, 0x02, 0x2a, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := readBytes(data); err != nil && !errors.Is(err, ErrModelInvalid) {
			t.Errorf("%v", err)
		}
	})
}
