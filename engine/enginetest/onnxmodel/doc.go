// Package onnxmodel writes .onnx files: small graphs for tests, canaries and
// hostile models. It writes what it is told and checks nothing, so that broken
// models can be made as easily as sound ones.
//
//	m := onnxmodel.Model{Graph: onnxmodel.Graph{
//		Inputs:  []onnxmodel.Value{onnxmodel.Dims("x", onnxmodel.Float, 1, 4)},
//		Outputs: []onnxmodel.Value{onnxmodel.Dims("y", onnxmodel.Float, 1, 4)},
//		Initializers: []onnxmodel.Tensor{onnxmodel.Floats("b", []int64{4}, 1, 2, 3, 4)},
//		Nodes: []onnxmodel.Node{{Op: "Add", Inputs: []string{"x", "b"}, Outputs: []string{"y"}}},
//	}}
//	os.WriteFile("model.onnx", m.Marshal(), 0o600)
//
// [Parse] reads such a file back; it knows the fields that this package writes.
package onnxmodel
