package onnx

// #include "shim.h"
import "C"

import (
	"reflect"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// cSession takes the C session out of the binding's, which does not give it.
func cSession(s *ort.DynamicAdvancedSession) (*C.OrtSession, error) {
	inner := reflect.ValueOf(s).Elem().FieldByName("s")
	if inner.Kind() == reflect.Pointer {
		if field := inner.Elem().FieldByName("ortSession"); field.Kind() == reflect.Pointer {
			return (*C.OrtSession)(field.UnsafePointer()), nil
		}
	}
	return nil, engine.Errorf(engine.ErrInternal, "this version of onnxruntime_go keeps its session elsewhere")
}

// describe finds out what the session takes and gives.
func (s *session) describe() error {
	var err error
	if s.c, err = cSession(s.bound); err != nil {
		return err
	}
	var inputs, outputs C.size_t
	if err := check(C.shim_count(s.c, &inputs, &outputs)); err != nil {
		return engine.Errorf(engine.ErrInternal, "describe the model: %w", err)
	}
	if s.info.Inputs, err = s.values(false, int(inputs)); err != nil {
		return err
	}
	if s.info.Outputs, err = s.values(true, int(outputs)); err != nil {
		return err
	}
	s.outputs = s.info.Outputs
	s.info.Sandbox = "none" // as far as this package knows
	s.inNames, s.outNames = cNames(s.info.Inputs), cNames(s.outputs)
	s.info.Outputs = withKeys(s.outputs, s.composites)
	return nil
}

func (s *session) values(outputs bool, n int) ([]engine.ValueInfo, error) {
	var which C.int
	if outputs {
		which = 1
	}
	out := make([]engine.ValueInfo, n)
	for i := range out {
		var info C.shim_info
		err := check(C.shim_describe(s.c, which, C.size_t(i), &info))
		if c := compositeOf(&info); err == nil && c.kind != 0 {
			out[i], err = c.info(C.GoString(info.name))
			s.composites[out[i].Name] = c
		} else if err == nil {
			out[i], err = valueInfo(&info)
		}
		C.shim_free_info(&info)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func valueInfo(info *C.shim_info) (engine.ValueInfo, error) {
	v := engine.ValueInfo{Name: C.GoString(info.name)}
	if info.onnx_type != C.ONNX_TYPE_TENSOR {
		return v, engine.Errorf(engine.ErrUnsupported, "%q of the model is a sequence, map or other value that is no dense tensor", v.Name)
	}
	if v.DType = dtypeOf(info.dtype); v.DType == "" {
		return v, engine.Errorf(engine.ErrUnsupported, "%q of the model has element type %d, which is not supported", v.Name, int(info.dtype))
	}
	v.Shape, v.Names = []int64{}, []string{}
	for i := range int(info.rank) {
		v.Shape = append(v.Shape, int64(unsafe.Slice(info.shape, info.rank)[i]))
		v.Names = append(v.Names, C.GoString(unsafe.Slice(info.symbols, info.rank)[i]))
	}
	return v, nil
}

// cNames returns the names as C strings, which live as long as the process
// does, like the session.
func cNames(values []engine.ValueInfo) []*C.char {
	out := make([]*C.char, len(values))
	for i, v := range values {
		out[i] = C.CString(v.Name)
	}
	return out
}

// freeNames undoes cNames.
func freeNames(names []*C.char) {
	for _, n := range names {
		C.free(unsafe.Pointer(n))
	}
}

// elementTypes are ONNX Runtime's numbers of the data types.
var elementTypes = map[engine.DataType]C.int{
	engine.Float32: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, engine.Float64: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
	engine.Float16: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, engine.BFloat16: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
	engine.Int8: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, engine.Uint8: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
	engine.Int16: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, engine.Uint16: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
	engine.Int32: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, engine.Uint32: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
	engine.Int64: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, engine.Uint64: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
	engine.Bool: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, engine.String: C.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
}

// dtypeOf returns the data type of a number, "" if we have none for it.
func dtypeOf(number C.int) engine.DataType {
	for dtype, n := range elementTypes {
		if n == number {
			return dtype
		}
	}
	return ""
}
