package enginetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

// ModelFile is the name of the file in the folders that [WriteModel] makes.
const ModelFile = "model.onnx"

// WriteModel puts a model into a new folder.
func WriteModel(t testing.TB, m om.Model) *engine.Model {
	t.Helper()
	return WriteModelFile(t, m.Marshal())
}

// WriteModelFile puts data into a new folder as a model's file, whatever it is.
func WriteModelFile(t testing.TB, data []byte) *engine.Model {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ModelFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return &engine.Model{
		Dir: dir, Name: t.Name(),
		Files: []engine.ModelFile{{Name: ModelFile, Bytes: int64(len(data))}},
	}
}

// Identity is the graph y = x.
func Identity(dtype om.DType, shape ...int64) om.Model {
	return om.Model{Graph: om.Graph{
		Inputs:  []om.Value{om.Dims("x", dtype, shape...)},
		Outputs: []om.Value{om.Dims("y", dtype, shape...)},
		Nodes:   []om.Node{{Op: "Identity", Inputs: []string{"x"}, Outputs: []string{"y"}}},
	}}
}

// Add is the graph sum = left + right over float32 of shape [batch, 3].
func Add() om.Model {
	value := func(name string) om.Value {
		return om.Value{Name: name, DType: om.Float, Shape: []om.Dim{{Symbol: "batch"}, {Size: 3}}}
	}
	return om.Model{Graph: om.Graph{
		Inputs:  []om.Value{value("left"), value("right")},
		Outputs: []om.Value{value("sum")},
		Nodes:   []om.Node{{Op: "Add", Inputs: []string{"left", "right"}, Outputs: []string{"sum"}}},
	}}
}

// Endless is a graph over the float32 x of shape [1] whose loop never ends.
func Endless() om.Model {
	body := om.Graph{
		Name:         "body",
		Initializers: []om.Tensor{om.Floats("one", []int64{1}, 1)},
		Inputs:       []om.Value{om.Dims("i", om.Int64), om.Dims("go", om.Bool), om.Dims("v", om.Float, 1)},
		Outputs:      []om.Value{om.Dims("go_on", om.Bool), om.Dims("next", om.Float, 1)},
		Nodes: []om.Node{
			{Op: "Identity", Inputs: []string{"go"}, Outputs: []string{"go_on"}},
			{Op: "Add", Inputs: []string{"v", "one"}, Outputs: []string{"next"}},
		},
	}
	return om.Model{Graph: om.Graph{
		Initializers: []om.Tensor{om.Bools("always", nil, true)},
		Inputs:       []om.Value{om.Dims("x", om.Float, 1)},
		Outputs:      []om.Value{om.Dims("y", om.Float, 1)},
		Nodes: []om.Node{{
			Op: "Loop", Inputs: []string{"", "always", "x"}, Outputs: []string{"y"},
			Attributes: []om.Attribute{om.Attr("body", body)},
		}},
	}}
}

// External is a graph y = x + w whose w, length bytes of float32, lies at
// location.
func External(location string, length int64) om.Model {
	n := length / 4
	return om.Model{Graph: om.Graph{
		Initializers: []om.Tensor{{Name: "w", DType: om.Float, Shape: []int64{n}, External: &om.External{Location: location, Length: length}}},
		Inputs:       []om.Value{om.Dims("x", om.Float, n)},
		Outputs:      []om.Value{om.Dims("y", om.Float, n)},
		Nodes:        []om.Node{{Op: "Add", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}},
	}}
}

// Conv is a model of side x side x 3 pixels whose rounds of 3x3 convolutions
// with 16 channels take some time to compute: about BlazeFace's, 1.3 ms on one
// core, with side 128 and 2 rounds.
func Conv(side int64, rounds int) om.Model {
	g := om.Graph{Inputs: []om.Value{om.Dims("input", om.Float, 1, 3, side, side)}}
	last, channels := "input", int64(3)
	for i := range rounds {
		w, y := "w"+string(rune('a'+i)), "y"+string(rune('a'+i))
		values := make([]float32, 16*channels*9)
		for j := range values {
			values[j] = float32(j%7-3) / 16
		}
		stride := 1
		if i == 0 {
			stride = 2
		}
		g.Initializers = append(g.Initializers, om.Floats(w, []int64{16, channels, 3, 3}, values...))
		g.Nodes = append(g.Nodes, om.Node{
			Op: "Conv", Inputs: []string{last, w}, Outputs: []string{y},
			Attributes: []om.Attribute{om.Attr("pads", []int{1, 1, 1, 1}), om.Attr("strides", []int{stride, stride})},
		})
		last, channels = y, 16
	}
	g.Nodes = append(g.Nodes, om.Node{Op: "GlobalAveragePool", Inputs: []string{last}, Outputs: []string{"features"}})
	g.Outputs = []om.Value{om.Dims("features", om.Float, 1, 16, 1, 1)}
	return om.Model{Graph: g}
}
