package onnx

// #include "shim.h"
import "C"

import (
	"errors"
	"runtime"
	"slices"
	"unsafe"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// alignment is what ONNX Runtime's own allocator gives, for wide vectors.
const alignment = 64

// maxRank bounds the dimensions of an output.
const maxRank = 64

// values are the tensors of one run, as ONNX Runtime sees them. Memory of Go
// that they lie over is pinned until release.
type values struct {
	in, out []*C.OrtValue
	own     []*C.OrtValue    // the inputs that were made for the run
	ready   []*engine.Tensor // per output, what it is written to, or nil
	pinner  runtime.Pinner
	host    *C.OrtAllocator // of inputs that stay; nil is the usual
	lent    **C.OrtValue    // gets the logits, which are not copied then; nil is to copy them
}

func (v *values) release() {
	for _, list := range [][]*C.OrtValue{v.own, v.out} {
		for _, value := range list {
			C.shim_release(value)
		}
	}
	v.pinner.Unpin()
}

// addInput adds a tensor; one that stays after the run gets memory of its own.
func (v *values) addInput(t *engine.Tensor, stays bool) error {
	var value *C.OrtValue
	var err error
	switch {
	case t.DType == engine.String:
		value, err = newStrings(t)
	case stays:
		value, err = newCopy(t, v.host)
	default:
		value, err = v.wrap(t.DType, t.Shape, aligned(t))
	}
	v.in, v.own = append(v.in, value), append(v.own, value)
	return err
}

// keep has an input that was made for the run outlive it.
func (v *values) keep(value *C.OrtValue) *C.OrtValue {
	v.own = slices.DeleteFunc(v.own, func(o *C.OrtValue) bool { return o == value })
	return value
}

// newCopy makes a tensor with the same numbers in C.
func newCopy(t *engine.Tensor, where *C.OrtAllocator) (*C.OrtValue, error) {
	var value *C.OrtValue
	var data unsafe.Pointer
	err := check(C.shim_new(where, (*C.int64_t)(first(t.Shape)), C.size_t(len(t.Shape)), elementTypes[t.DType], &value, &data))
	if err == nil && len(t.Data) > 0 {
		copy(unsafe.Slice((*byte)(data), len(t.Data)), t.Data)
	}
	return value, err
}

// aligned returns t's data where an element of its type may lie.
func aligned(t *engine.Tensor) []byte {
	if len(t.Data) == 0 || uintptr(unsafe.Pointer(&t.Data[0]))%uintptr(t.DType.Size()) == 0 {
		return t.Data
	}
	b := alignedBuffer(len(t.Data))
	copy(b, t.Data)
	return b
}

func alignedBuffer(n int) []byte {
	b := make([]byte, n+alignment-1)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & (alignment - 1))
	return b[skip : skip+n : skip+n]
}

// addOutput makes memory for an output ready if all of its shape is known.
// Otherwise ONNX Runtime makes its own.
func (v *values) addOutput(info engine.ValueInfo, ready bool) error {
	var n int64
	if ready {
		n = fixedElements(info)
	}
	if n == 0 {
		v.out, v.ready = append(v.out, nil), append(v.ready, nil)
		return nil
	}
	data, err := outputBuffer(int(n) * info.DType.Size())
	if err != nil {
		v.out, v.ready = append(v.out, nil), append(v.ready, nil)
		return err
	}
	t := &engine.Tensor{DType: info.DType, Shape: info.Shape, Data: data}
	value, err := v.wrap(t.DType, t.Shape, t.Data)
	v.out, v.ready = append(v.out, value), append(v.ready, t)
	return err
}

// result is the output i: as it was made ready, lent, or a copy.
func (v *values) result(i int, name string) (*engine.Tensor, error) {
	switch {
	case v.ready != nil && v.ready[i] != nil:
		return v.ready[i], nil
	case v.lent != nil && name == logits:
		*v.lent, v.out[i] = v.out[i], nil
		return view(*v.lent)
	}
	return copyOut(v.out[i])
}

// slack is what Go's collector needs beyond a large buffer.
const slack = 8 << 20

// outputBuffer returns n aligned bytes. A large buffer is tried for in C first:
// where memory is limited C gets an answer, but Go dies.
func outputBuffer(n int) ([]byte, error) {
	if n >= 1<<20 && C.shim_fits(C.size_t(n+n/8+slack)) == 0 {
		return nil, errors.New("out of memory for the outputs")
	}
	return alignedBuffer(n), nil
}

// maxReady bounds the elements that are believed a model on its word.
const maxReady = 1 << 24

// fixedElements returns how many elements an output has, 0 if that is open or
// memory can't be made ready for them.
func fixedElements(info engine.ValueInfo) int64 {
	n, err := engine.Elements(info.Shape) // fails where a dimension is open
	if err != nil || n > maxReady || info.DType == engine.String {
		return 0
	}
	return n
}

// wrap makes a tensor over data, which it pins.
func (v *values) wrap(dtype engine.DataType, shape []int64, data []byte) (*C.OrtValue, error) {
	var at unsafe.Pointer
	if len(data) > 0 {
		at = unsafe.Pointer(&data[0])
		v.pinner.Pin(at)
	} else {
		at = unsafe.Pointer(&nothing)
	}
	var value *C.OrtValue
	err := check(C.shim_wrap(at, C.size_t(len(data)), (*C.int64_t)(first(shape)), C.size_t(len(shape)), elementTypes[dtype], &value))
	return value, err
}

// nothing is where tensors without elements lie: ONNX Runtime refuses NULL.
// A global does not move.
var nothing byte

func newStrings(t *engine.Tensor) (*C.OrtValue, error) {
	var value *C.OrtValue
	if err := check(C.shim_new_strings((*C.int64_t)(first(t.Shape)), C.size_t(len(t.Shape)), &value)); err != nil {
		return nil, err
	}
	for i, s := range t.Strings {
		if err := check(C.shim_set_string(value, C.size_t(i), (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s)))); err != nil {
			return value, err
		}
	}
	return value, nil
}

// copyOut copies an output that ONNX Runtime made.
func copyOut(value *C.OrtValue) (*engine.Tensor, error) {
	t, err := view(value)
	if err != nil || len(t.Data) == 0 {
		return t, err
	}
	lent := t.Data
	if t.Data, err = outputBuffer(len(lent)); err != nil {
		return nil, err
	}
	copy(t.Data, lent)
	return t, nil
}

// view is an output that ONNX Runtime made, where it lies: good until it is
// released. Only strings are copied.
func view(value *C.OrtValue) (*engine.Tensor, error) {
	var (
		dtype C.int
		shape [maxRank]int64
		rank  C.size_t
		data  unsafe.Pointer
	)
	if err := check(C.shim_tensor(value, &dtype, (*C.int64_t)(&shape[0]), maxRank, &rank, &data)); err != nil {
		return nil, err
	}
	t := &engine.Tensor{DType: dtypeOf(dtype), Shape: append([]int64{}, shape[:rank]...)}
	n, err := engine.Elements(t.Shape)
	switch {
	case err != nil:
		return nil, err
	case t.DType == engine.String:
		t.Strings, err = copyStrings(value, int(n))
	case n > 0:
		t.Data = unsafe.Slice((*byte)(data), int(n)*t.DType.Size())
	}
	return t, err
}

func copyStrings(value *C.OrtValue, n int) ([]string, error) {
	out := make([]string, n)
	for i := range out {
		var length C.size_t
		if err := check(C.shim_string_length(value, C.size_t(i), &length)); err != nil {
			return nil, err
		}
		buffer := make([]byte, length+1) // never empty: C wants an address
		if err := check(C.shim_get_string(value, C.size_t(i), (*C.char)(unsafe.Pointer(&buffer[0])), length)); err != nil {
			return nil, err
		}
		out[i] = string(buffer[:length])
	}
	return out, nil
}
