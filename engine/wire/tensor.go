package wire

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// maxTensors bounds the tensors of one frame.
const maxTensors = 1024

// alignment is that of the payload and of every tensor in it: a cache line,
// and the widest vector register.
const alignment = 64

// zeros is what padding is made of.
var zeros [alignment]byte

// pad returns how many bytes bring n up to the alignment.
func pad(n int64) int64 { return -n & (alignment - 1) }

// layOut places tensors in a payload: their headers, in order of name, and
// the parts that follow one another on the wire, padding included. Numbers are
// not copied.
func layOut(tensors engine.Tensors, limit int64) ([]tensorHeader, [][]byte, int64, error) {
	if len(tensors) > maxTensors {
		return nil, nil, 0, engine.Errorf(engine.ErrTooLarge, "%d tensors are over the limit of %d", len(tensors), maxTensors)
	}
	headers := make([]tensorHeader, 0, len(tensors))
	parts := make([][]byte, 0, 2*len(tensors))
	var end int64
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		data, err := dataOf(name, tensors[name])
		if err != nil {
			return nil, nil, 0, err
		}
		gap := pad(end)
		if int64(len(data)) > limit-end-gap {
			return nil, nil, 0, engine.Errorf(engine.ErrTooLarge, "tensors are over the limit of %d bytes per run", limit)
		}
		t := tensors[name]
		headers = append(headers, tensorHeader{Name: name, DType: t.DType, Shape: shapeOf(t), Offset: end + gap, Length: int64(len(data))})
		parts = append(parts, zeros[:gap], data)
		end += gap + int64(len(data))
	}
	return headers, parts, end, nil
}

// shapeOf keeps a rank of 0 from becoming null.
func shapeOf(t *engine.Tensor) []int64 {
	if t.Shape == nil {
		return []int64{}
	}
	return t.Shape
}

func dataOf(name string, t *engine.Tensor) ([]byte, error) {
	if t == nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "tensor %q is missing", name)
	}
	if err := t.Check(); err != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "tensor %q: %w", name, err)
	}
	if t.DType == engine.String {
		return packStrings(name, t.Strings)
	}
	return t.Data, nil
}

func packStrings(name string, values []string) ([]byte, error) {
	var n int64
	for _, s := range values {
		if len(s) > math.MaxUint32 {
			return nil, engine.Errorf(engine.ErrTooLarge, "tensor %q has a string of %d bytes", name, len(s))
		}
		n += 4 + int64(len(s))
	}
	out := make([]byte, 0, n)
	for _, s := range values {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(s)))
		out = append(out, s...)
	}
	return out, nil
}

// checkLayout verifies headers from the other side against the length of the
// payload that is to come, before any of it is read.
func checkLayout(headers []tensorHeader, payload int64) error {
	if len(headers) > maxTensors {
		return protocolError("%d tensors are over the limit of %d", len(headers), maxTensors)
	}
	seen := make(map[string]bool, len(headers))
	var end int64
	for _, h := range headers {
		if seen[h.Name] {
			return protocolError("tensor %q is there twice", h.Name)
		}
		seen[h.Name] = true
		if h.Offset < end || h.Offset%alignment != 0 || h.Offset > payload || h.Length < 0 || h.Length > payload-h.Offset {
			return protocolError("tensor %q at %d+%d does not lie in a payload of %d", h.Name, h.Offset, h.Length, payload)
		}
		if err := h.checkLength(); err != nil {
			return err
		}
		end = h.Offset + h.Length
	}
	return nil
}

// checkLength verifies that the shape names as many elements as are there.
func (h tensorHeader) checkLength() error {
	n, err := engine.Elements(h.Shape)
	if err != nil {
		return protocolError("tensor %q: %v", h.Name, err)
	}
	size := int64(h.DType.Size())
	switch {
	case h.DType == engine.String && n <= h.Length/4: // each string has a length of 4 bytes
		return nil
	case size != 0 && h.Length%size == 0 && n == h.Length/size:
		return nil
	}
	return protocolError("tensor %q: %d bytes are not %v of %s", h.Name, h.Length, h.Shape, h.DType)
}

// tensorsOf gives the tensors that lie in payload, which they keep. The
// headers have passed checkLayout.
func tensorsOf(headers []tensorHeader, payload []byte) (engine.Tensors, error) {
	out := make(engine.Tensors, len(headers))
	for _, h := range headers {
		t := &engine.Tensor{DType: h.DType, Shape: h.Shape}
		data := payload[h.Offset : h.Offset+h.Length : h.Offset+h.Length]
		if h.DType == engine.String {
			var err error
			if t.Strings, err = unpackStrings(h, data); err != nil {
				return nil, err
			}
		} else {
			t.Data = data
		}
		out[h.Name] = t
	}
	return out, nil
}

func unpackStrings(h tensorHeader, data []byte) ([]string, error) {
	n, err := engine.Elements(h.Shape)
	if err != nil {
		return nil, err
	}
	out := make([]string, n)
	for i := range out {
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			return nil, protocolError("tensor %q: string %d is cut off", h.Name, i)
		}
		n := binary.LittleEndian.Uint32(data)
		out[i], data = string(data[4:4+n]), data[4+n:]
	}
	if len(data) != 0 {
		return nil, protocolError("tensor %q: %d bytes follow the last string", h.Name, len(data))
	}
	return out, nil
}
