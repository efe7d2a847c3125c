// Package onnx runs models with ONNX Runtime in this process. It is the one
// room with C in it, and only ever used inside a runner: a fault in the
// library or a model takes the process with it.
//
// The binding onnxruntime_go loads the library, keeps the environment and
// builds sessions. Running them and asking what they take goes through a small
// shim of our own over the same C API (shim.h), because the binding can't
// return outputs that are half floats or have no dimensions, leaves the memory
// of inputs to the garbage collector, copies outputs, and loads a model a
// second time to describe it.
package onnx
