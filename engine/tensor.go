package engine

import (
	"fmt"
	"math"
	"unsafe"
)

// A DataType names the elements of a tensor, in the words of the ONNX
// standard that the tools use.
type DataType string

// The data types that cross the wire. Numbers are little-endian.
const (
	Float32  DataType = "float32"
	Float64  DataType = "float64"
	Float16  DataType = "float16"
	BFloat16 DataType = "bfloat16"
	Int8     DataType = "int8"
	Int16    DataType = "int16"
	Int32    DataType = "int32"
	Int64    DataType = "int64"
	Uint8    DataType = "uint8"
	Uint16   DataType = "uint16"
	Uint32   DataType = "uint32"
	Uint64   DataType = "uint64"
	Bool     DataType = "bool"
	String   DataType = "string"
)

// Size returns the bytes of one element, or 0 for strings and unknown types.
func (d DataType) Size() int {
	switch d {
	case Int8, Uint8, Bool:
		return 1
	case Float16, BFloat16, Int16, Uint16:
		return 2
	case Float32, Int32, Uint32:
		return 4
	case Float64, Int64, Uint64:
		return 8
	}
	return 0
}

// A Tensor is a dense array in row-major order. Numbers lie in Data as
// little-endian bytes; strings lie in Strings, and Data is nil. A rank of 0
// (no Shape) is one element.
type Tensor struct {
	DType   DataType
	Shape   []int64
	Data    []byte
	Strings []string
}

// Tensors are the inputs or outputs of a model, by name. (ONNX-ML graphs also
// have sequences and maps; a session that meets one says ErrUnsupported.)
type Tensors map[string]*Tensor

// Elements returns the number of elements that a shape names. It refuses
// negative dimensions and products over the largest int64.
func Elements(shape []int64) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, Errorf(ErrInvalidArgument, "shape %v has a negative dimension", shape)
		}
		if d > 0 && n > math.MaxInt64/d {
			return 0, Errorf(ErrInvalidArgument, "shape %v has more elements than can be counted", shape)
		}
		n *= d
	}
	return n, nil
}

// Check reports whether the data is as long as the shape and type say.
func (t *Tensor) Check() error {
	n, err := Elements(t.Shape)
	if err != nil {
		return err
	}
	if t.DType == String {
		if int64(len(t.Strings)) != n {
			return Errorf(ErrInvalidArgument, "shape %v wants %d strings, not %d", t.Shape, n, len(t.Strings))
		}
		return nil
	}
	size := int64(t.DType.Size())
	if size == 0 {
		return Errorf(ErrInvalidArgument, "unknown data type %q", t.DType)
	}
	if n > math.MaxInt64/size || int64(len(t.Data)) != n*size {
		return Errorf(ErrInvalidArgument, "shape %v of %s does not fit %d bytes", t.Shape, t.DType, len(t.Data))
	}
	return nil
}

// A Number is a Go type with a [DataType] of its own.
type Number interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// NewTensor returns a tensor over values, without copying them: the caller
// leaves them alone while the tensor is in use. It panics if shape does not
// fit, which is a mistake in the program.
func NewTensor[T Number](shape []int64, values []T) *Tensor {
	t := &Tensor{DType: dataTypeOf[T](), Shape: shape, Data: bytesOf(values)}
	if err := t.Check(); err != nil {
		panic(fmt.Sprintf("engine: %v", err))
	}
	return t
}

// Values returns t's elements as a slice over the same memory where it is
// aligned, else as a copy. It fails if t is not of type T.
func Values[T Number](t *Tensor) ([]T, error) {
	if want := dataTypeOf[T](); t.DType != want {
		return nil, Errorf(ErrInvalidArgument, "tensor is %s, not %s", t.DType, want)
	}
	size := int(unsafe.Sizeof(*new(T)))
	n := len(t.Data) / size
	if n == 0 {
		return nil, nil
	}
	if uintptr(unsafe.Pointer(&t.Data[0]))%uintptr(size) == 0 {
		return unsafe.Slice((*T)(unsafe.Pointer(&t.Data[0])), n), nil
	}
	out := make([]T, n)
	copy(bytesOf(out), t.Data)
	return out, nil
}

// bytesOf views values as bytes. Every platform this program builds for is
// little-endian, which the wire and ONNX Runtime expect.
func bytesOf[T Number](values []T) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))
}

func dataTypeOf[T Number]() DataType {
	switch any(*new(T)).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	case uint16:
		return Uint16
	case uint32:
		return Uint32
	default:
		return Uint64
	}
}
