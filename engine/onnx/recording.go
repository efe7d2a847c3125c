package onnx

import (
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// recordable are operators of which a recorded run is as good as another: all
// that their kernels need is in the graph. Others hand a kernel what lies in
// memory of the host for the time of one run, such as GatherND its sizes: once
// that memory has other uses, the graph computes with what is there.
var recordable = []string{
	"Abs", "Add", "And", "AveragePool", "BatchNormalization", "BiasGelu", "Cast", "Clip", "Constant", "ConstantOfShape", "Conv", "Cos", "Div",
	"Elu", "Equal", "Erf", "Exp", "Expand", "FastGelu", "Flatten", "Floor", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
	"Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log",
	"MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "ReduceMean", "ReduceSum", "Relu", "Reshape",
	"Shape", "Sigmoid", "Sin", "SkipLayerNormalization", "Slice", "Softmax", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where",
}

// canRecord reports whether all of a graph may be recorded.
func canRecord(g engine.Graph) bool {
	return len(g.Operators) > 0 && !slices.ContainsFunc(g.Operators, func(name string) bool {
		return !slices.Contains(recordable, name)
	})
}

// convolves reports whether a graph has what is faster with channels last.
func convolves(g engine.Graph) bool { return slices.Contains(g.Operators, "Conv") }

// graphOf reads what a model is made of. Of one that can't be read, which
// ONNX Runtime will say better, it is nothing.
func graphOf(path string) engine.Graph { return readFile(path, engine.ReadGraph) }

// readFile reads something of a model's file, or nothing.
func readFile[T any](path string, read func(io.ReaderAt, int64) (T, error)) (out T) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return out
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return out
	}
	out, _ = read(f, info.Size()) // what is wrong with it, ONNX Runtime will say
	return out
}
