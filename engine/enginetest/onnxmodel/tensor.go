package onnxmodel

import (
	"bytes"
	"encoding/binary"
)

// Floats makes a float tensor.
func Floats(name string, shape []int64, values ...float32) Tensor {
	return Tensor{Name: name, DType: Float, Shape: shape, Raw: raw(values)}
}

// Doubles makes a double tensor.
func Doubles(name string, shape []int64, values ...float64) Tensor {
	return Tensor{Name: name, DType: Double, Shape: shape, Raw: raw(values)}
}

// Int64s makes an int64 tensor.
func Int64s(name string, shape []int64, values ...int64) Tensor {
	return Tensor{Name: name, DType: Int64, Shape: shape, Raw: raw(values)}
}

// Int32s makes an int32 tensor.
func Int32s(name string, shape []int64, values ...int32) Tensor {
	return Tensor{Name: name, DType: Int32, Shape: shape, Raw: raw(values)}
}

// Int8s makes an int8 tensor.
func Int8s(name string, shape []int64, values ...int8) Tensor {
	return Tensor{Name: name, DType: Int8, Shape: shape, Raw: raw(values)}
}

// Uint8s makes a uint8 tensor.
func Uint8s(name string, shape []int64, values ...uint8) Tensor {
	return Tensor{Name: name, DType: Uint8, Shape: shape, Raw: values}
}

// Bools makes a bool tensor.
func Bools(name string, shape []int64, values ...bool) Tensor {
	return Tensor{Name: name, DType: Bool, Shape: shape, Raw: raw(values)}
}

// Strings makes a string tensor.
func Strings(name string, shape []int64, values ...string) Tensor {
	return Tensor{Name: name, DType: String, Shape: shape, Strings: values}
}

// raw encodes fixed-size values; that can't fail for the types used here.
func raw(values any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, values); err != nil {
		panic(err)
	}
	return b.Bytes()
}
