package engine

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

var update = flag.Bool("update", false, "rewrite testdata")

// buildCanary makes the canary model from the functions that say its weights.
func buildCanary() []byte {
	var w, b []float32
	for i := range canaryIn {
		for o := range canaryOut {
			w = append(w, canaryWeight(i, o))
		}
	}
	for o := range canaryOut {
		b = append(b, canaryBias(o))
	}
	m := onnxmodel.Model{Graph: onnxmodel.Graph{
		Name:         "canary",
		Inputs:       []onnxmodel.Value{onnxmodel.Dims("x", onnxmodel.Float, canaryRows, canaryIn)},
		Outputs:      []onnxmodel.Value{onnxmodel.Dims("y", onnxmodel.Float, canaryRows, canaryOut)},
		Initializers: []onnxmodel.Tensor{onnxmodel.Floats("w", []int64{canaryIn, canaryOut}, w...), onnxmodel.Floats("b", []int64{canaryOut}, b...)},
		Nodes: []onnxmodel.Node{
			{Op: "MatMul", Inputs: []string{"x", "w"}, Outputs: []string{"xw"}},
			{Op: "Add", Inputs: []string{"xw", "b"}, Outputs: []string{"z"}},
			{Op: "Relu", Inputs: []string{"z"}, Outputs: []string{"y"}},
		},
	}}
	return m.Marshal()
}

func TestCanary_modelIsWhatItsFunctionsSay(t *testing.T) {
	want := buildCanary()
	if *update {
		if err := os.WriteFile("testdata/canary.onnx", want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(canaryModel, want) {
		t.Error("testdata/canary.onnx differs; run the test with -update")
	}
	g, err := ReadGraph(bytes.NewReader(canaryModel), int64(len(canaryModel)))
	if err != nil || g.Precision != "fp32" || len(g.Inputs) != 1 || g.Inputs[0].Name != "x" || g.Inputs[0].Shape[1] != canaryIn {
		t.Errorf("graph %+v, %v", g, err)
	}
}

func TestCanaryDiff_findsWrongResults(t *testing.T) {
	x := make([]float32, canaryRows*canaryIn)
	for i := range x {
		x[i] = canaryInput(i)
	}
	y := NewTensor([]int64{canaryRows, canaryOut}, make([]float32, canaryRows*canaryOut))
	if d, err := canaryDiff(x, y); err != nil || d < 0.1 {
		t.Errorf("zeros are %g off, %v", d, err)
	}
	if _, err := canaryDiff(x, nil); err == nil {
		t.Error("no result passed")
	}
}
