package engine

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// eachField calls visit for each length-delimited or varint field of a small
// message in memory.
func eachField(data []byte, visit func(num protowire.Number, varint uint64, bytes []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errOnnx
		}
		data = data[n:]
		var v uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(num, typ, data)
		}
		if n < 0 {
			return errOnnx
		}
		if err := visit(num, v, b); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// stringPair reads a StringStringEntryProto.
func stringPair(data []byte) (key, value string, err error) {
	err = eachField(data, func(num protowire.Number, _ uint64, b []byte) error {
		switch num {
		case 1:
			key = string(b)
		case 2:
			value = string(b)
		}
		return nil
	})
	return key, value, err
}

// KeysOf is the output beside one that is a map, or a sequence of maps with the
// same keys: those keys.
func KeysOf(output string, keys DataType) ValueInfo {
	return ValueInfo{Name: output + ".keys", DType: keys, Shape: []int64{-1}, Names: []string{""}}
}

// composite reads a TypeProto of a sequence of tensors, a map to tensors, or a
// sequence of such maps, as providers make tensors of them: one, and the type of
// the keys.
func composite(num protowire.Number, data []byte, v *ValueInfo) (keys DataType, err error) {
	err = eachField(data, func(field protowire.Number, n uint64, inner []byte) error {
		switch {
		case num == mapType && field == 1:
			keys = onnxTypes[n]
		case num == sequenceType && field == 1, num == mapType && field == 2: // a TypeProto
			return eachField(inner, func(field protowire.Number, _ uint64, b []byte) error {
				var err error
				switch {
				case field == tensorTypeField:
					err = tensorType(b, v)
				case field == mapType && num == sequenceType:
					keys, err = composite(mapType, b, v)
				}
				return err
			})
		}
		return nil
	})
	switch {
	case num == sequenceType && keys != "":
		v.Shape, v.Names = []int64{-1, -1}, []string{"", ""}
	case num == mapType:
		v.Shape, v.Names = []int64{-1}, []string{""}
	default:
		v.Shape, v.Names = nil, nil
	}
	return keys, err
}

// Fields of TypeProto.
const (
	tensorTypeField = 1
	sequenceType    = 4
	mapType         = 5
)

// valueInfo reads a ValueInfoProto. What is no tensor has data type "", unless
// it is an output that tensors are made of; maps have keys then.
func valueInfo(data []byte, output bool) (v ValueInfo, keys DataType, err error) {
	err = eachField(data, func(num protowire.Number, _ uint64, b []byte) error {
		switch num {
		case 1:
			v.Name = string(b)
		case 2: // TypeProto
			return eachField(b, func(num protowire.Number, _ uint64, b []byte) error {
				var err error
				switch {
				case num == tensorTypeField:
					err = tensorType(b, &v)
				case output && (num == sequenceType || num == mapType):
					keys, err = composite(num, b, &v)
				}
				return err
			})
		}
		return nil
	})
	return v, keys, err
}

func tensorType(data []byte, v *ValueInfo) error {
	return eachField(data, func(num protowire.Number, n uint64, b []byte) error {
		switch num {
		case 1:
			v.DType = onnxTypes[n]
		case 2: // TensorShapeProto; without one the rank is unknown
			v.Shape = []int64{}
			return eachField(b, func(num protowire.Number, _ uint64, dim []byte) error {
				if num == 1 {
					return dimension(dim, v)
				}
				return nil
			})
		}
		return nil
	})
}

func dimension(data []byte, v *ValueInfo) error {
	size, symbol := int64(-1), ""
	err := eachField(data, func(num protowire.Number, n uint64, b []byte) error {
		switch num {
		case 1:
			size = int64(n)
		case 2:
			symbol = string(b)
		}
		return nil
	})
	v.Shape = append(v.Shape, max(size, -1))
	v.Names = append(v.Names, symbol)
	return err
}

// onnxTypes are the numbers of TensorProto.DataType.
var onnxTypes = map[uint64]DataType{
	1: Float32, 2: Uint8, 3: Int8, 4: Uint16, 5: Int16, 6: Int32, 7: Int64, 8: String, 9: Bool, 10: Float16,
	11: Float64, 12: Uint32, 13: Uint64, 16: BFloat16,
}
