package onnx

// #include "shim.h"
import "C"

import (
	"bytes"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A composite is an output that is no tensor but made of tensors: a sequence of
// them, a map of numbers or texts to numbers, or a sequence of such maps, as
// classifiers of ONNX-ML have (ZipMap). It becomes a tensor, and for maps another
// one with the keys.
type composite struct {
	kind  compositeKind
	dtype engine.DataType
	keys  engine.DataType // of maps
}

type compositeKind int

const (
	sequence compositeKind = iota + 1
	mapping
	mappings
)

// compositeOf is what an output is; its kind is 0 if it is no composite that is
// known.
func compositeOf(info *C.shim_info) composite {
	c := composite{dtype: dtypeOf(info.dtype), keys: dtypeOf(info.key)}
	switch {
	case c.dtype == "":
	case info.onnx_type == C.ONNX_TYPE_MAP && c.keys != "":
		c.kind = mapping
	case info.onnx_type == C.ONNX_TYPE_SEQUENCE && info.element == C.ONNX_TYPE_MAP && c.keys != "":
		c.kind = mappings
	case info.onnx_type == C.ONNX_TYPE_SEQUENCE && info.element == C.ONNX_TYPE_TENSOR:
		c.kind = sequence
	}
	return c
}

// info is what the tensor is.
func (c composite) info(name string) (engine.ValueInfo, error) {
	v := engine.ValueInfo{Name: name, DType: c.dtype}
	switch c.kind {
	case mapping:
		v.Shape, v.Names = []int64{-1}, []string{""}
	case mappings:
		v.Shape, v.Names = []int64{-1, -1}, []string{"", ""}
	}
	return v, nil
}

// withKeys are outputs, each map with its keys behind it.
func withKeys(outputs []engine.ValueInfo, composites map[string]composite) []engine.ValueInfo {
	var all []engine.ValueInfo
	for _, v := range outputs {
		all = append(all, v)
		if c := composites[v.Name]; c.kind == mapping || c.kind == mappings {
			all = append(all, engine.KeysOf(v.Name, c.keys))
		}
	}
	return all
}

// copyOut makes tensors of an output.
func (c composite) copyOut(value *C.OrtValue, name string, out engine.Tensors) error {
	if c.kind == mapping {
		keys, values, err := copyMap(value)
		if err == nil {
			out[name], out[engine.KeysOf(name, c.keys).Name] = values, keys
		}
		return err
	}
	var first *engine.Tensor
	var all, keys *engine.Tensor
	err := eachValue(value, func(element *C.OrtValue) error {
		var k *engine.Tensor
		t, err := copyElement(c.kind, element, &k)
		if err != nil {
			return err
		}
		if first == nil {
			first, keys = t, k
			all = &engine.Tensor{DType: t.DType, Shape: append([]int64{0}, t.Shape...)}
		}
		if !slices.Equal(t.Shape, first.Shape) || k != nil && (!bytes.Equal(k.Data, keys.Data) || !slices.Equal(k.Strings, keys.Strings)) {
			return engine.Errorf(engine.ErrUnsupported, "the elements of the output %q differ in shape or keys, so they are no tensor", name)
		}
		all.Shape[0]++
		all.Data, all.Strings = append(all.Data, t.Data...), append(all.Strings, t.Strings...)
		return nil
	})
	if err != nil {
		return err
	}
	if all == nil { // of no element
		all, keys = &engine.Tensor{DType: c.dtype, Shape: []int64{0}}, &engine.Tensor{DType: c.keys, Shape: []int64{0}}
		if c.kind == mappings {
			all.Shape = []int64{0, 0}
		}
	}
	if out[name] = all; c.kind == mappings {
		out[engine.KeysOf(name, c.keys).Name] = keys
	}
	return nil
}

// copyElement copies what a sequence has, and the keys of a map.
func copyElement(kind compositeKind, element *C.OrtValue, keys **engine.Tensor) (t *engine.Tensor, err error) {
	if kind == sequence {
		return copyOut(element)
	}
	*keys, t, err = copyMap(element)
	return t, err
}

// copyMap copies the keys of a map and what they lead to.
func copyMap(value *C.OrtValue) (keys, values *engine.Tensor, err error) {
	err = eachValue(value, func(part *C.OrtValue) error {
		t, err := copyOut(part)
		if keys == nil {
			keys = t
		} else {
			values = t
		}
		return err
	})
	if err == nil && values == nil {
		err = engine.Errorf(engine.ErrInternal, "a map has no values")
	}
	return keys, values, err
}

// eachValue calls f with each value that one is made of, in order.
func eachValue(value *C.OrtValue, f func(*C.OrtValue) error) error {
	var n C.size_t
	if err := check(C.shim_count_values(value, &n)); err != nil {
		return err
	}
	for i := range n {
		var part *C.OrtValue
		if err := check(C.shim_value(value, i, &part)); err != nil {
			return err
		}
		err := f(part)
		C.shim_release(part)
		if err != nil {
			return err
		}
	}
	return nil
}
