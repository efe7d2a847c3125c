package engine

import (
	"encoding/binary"
	"math"
)

// floating are the data types of numbers that are rounded.
var floating = []DataType{Float32, Float64, Float16, BFloat16}

// floats are a tensor's numbers; nil for strings.
func floats(t *Tensor) []float64 {
	size := t.DType.Size()
	if size == 0 {
		return nil
	}
	out := make([]float64, 0, len(t.Data)/size)
	for data := t.Data; len(data) >= size; data = data[size:] {
		var word [8]byte
		copy(word[:], data[:size])
		out = append(out, float(t.DType, binary.LittleEndian.Uint64(word[:])))
	}
	return out
}

// float is the number that the bits of a type stand for.
func float(d DataType, bits uint64) float64 {
	switch d {
	case Float32:
		return float64(math.Float32frombits(uint32(bits)))
	case Float64:
		return math.Float64frombits(bits)
	case Float16:
		return half(uint16(bits))
	case BFloat16: // the upper half of a float32
		return float64(math.Float32frombits(uint32(bits) << 16))
	case Int8:
		return float64(int8(bits))
	case Int16:
		return float64(int16(bits))
	case Int32:
		return float64(int32(bits))
	case Int64:
		return float64(int64(bits))
	}
	return float64(bits)
}

// half is an IEEE 754 binary16: 1 bit of sign, 5 of exponent with a bias of
// 15, 10 of fraction.
func half(bits uint16) float64 {
	sign := 1.0
	if bits>>15 != 0 {
		sign = -1
	}
	exponent, fraction := int(bits>>10&0x1f), float64(bits&0x3ff)/1024
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -14)
	case 0x1f:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1+fraction, exponent-15)
}
