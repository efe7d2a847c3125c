package engine

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// noise returns a run of the raw model on made-up input: numbers uniform in
// [0, 1), of half precision in [1, 2), integers 0 or 1, so that they are valid ids and masks. An open first
// dimension is the batch size, other open ones are 1.
func noise(g Graph, file string, batch int) (targetRun, error) {
	in := Tensors{}
	r := rand.New(rand.NewPCG(1, 2)) // the same input each time, so that runs can be compared
	for _, v := range g.Inputs {
		t := &Tensor{DType: v.DType, Shape: make([]int64, len(v.Shape))}
		for i, d := range v.Shape {
			switch {
			case d >= 0:
				t.Shape[i] = d
			case i == 0:
				t.Shape[i] = int64(batch)
			default:
				t.Shape[i] = 1
			}
		}
		n, err := Elements(t.Shape)
		if err != nil {
			return nil, err
		}
		size := int64(t.DType.Size())
		if size == 0 || t.DType == BFloat16 {
			return nil, Errorf(ErrUnsupported, "input %q is %q, for which no noise is made", v.Name, v.DType).WithHint("pass \"inputs\"")
		}
		if n > maxTensor/size {
			return nil, Errorf(ErrTooLarge, "input %q of shape %v is over %d bytes", v.Name, t.Shape, maxTensor)
		}
		if batch > 1 && (len(v.Shape) == 0 || v.Shape[0] >= 0) {
			return nil, Errorf(ErrInvalidArgument, "the model's input %q has no open batch dimension", v.Name).WithHint("use batch_sizes [1]")
		}
		t.Data = noiseBytes(r, t.DType, n)
		in[v.Name] = t
	}
	return (&repeated{file: file, in: in, outputs: g.Outputs}).run, nil
}

func noiseBytes(r *rand.Rand, d DataType, n int64) []byte {
	out := make([]byte, 0, n*int64(d.Size()))
	for range n {
		switch d {
		case Float32:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(r.Float32()))
		case Float16: // in [1, 2): the exponent of 1, and any fraction
			out = binary.LittleEndian.AppendUint16(out, 0x3c00|uint16(r.Uint64()&0x3ff))
		case Float64:
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(r.Float64()))
		default:
			var word [8]byte
			word[0] = byte(r.Uint64() & 1)
			out = append(out, word[:d.Size()]...)
		}
	}
	return out
}
