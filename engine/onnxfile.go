package engine

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Graph is what the engine reads of an .onnx file without a runtime: its
// signature, how precise its weights are, and which other files it needs.
type Graph struct {
	Inputs    []ValueInfo
	Outputs   []ValueInfo
	Precision string   // of most of the weights' bytes: fp32, fp16, bf16, int8, int4 or fp64
	External  []string // files with weights, relative to the .onnx file's folder
	Operators []string // that the graph itself uses, each once, in order of name; those within others' bodies are not among them
}

// Limits on what is read into memory of a file that may come from a stranger.
const (
	maxValueInfo = 1 << 20
	maxIO        = 4096
	maxExternal  = 4096
	maxOperators = 1024
)

var errOnnx = errors.New("not an ONNX model")

// ReadGraph reads the parts of a ModelProto that describe it (onnx.proto of
// the ONNX project) and skips the weights, so memory stays small however
// large the file is. An external file that is absolute or leads out of the
// model's folder makes the model invalid.
func ReadGraph(r io.ReaderAt, size int64) (Graph, error) {
	p := graphReader{bytes: map[string]int64{}, initial: map[string]bool{}}
	err := eachProto(r, 0, size, func(num protowire.Number, f protoField) error {
		if num == 7 && f.isBytes { // ModelProto.graph
			p.seen = true
			return p.graph(r, f.off, f.off+f.n)
		}
		return nil
	})
	if err == nil && !p.seen {
		err = errOnnx
	}
	if err != nil {
		if _, ok := errors.AsType[*Error](err); ok {
			return Graph{}, err
		}
		return Graph{}, Errorf(ErrModelInvalid, "the file can't be read as an ONNX model: %w", err).
			WithHint("check that the file is complete and was exported as .onnx")
	}
	return p.result(), nil
}

type graphReader struct {
	g       Graph
	seen    bool
	initial map[string]bool  // names of weights, which old models list as inputs too
	bytes   map[string]int64 // precision to bytes of weights
	packed  bool             // bytes hold two weights of 4 bits
}

func (p *graphReader) graph(r io.ReaderAt, from, to int64) error {
	return eachProto(r, from, to, func(num protowire.Number, f protoField) error {
		if !f.isBytes {
			return nil
		}
		switch num {
		case 1: // node
			return p.node(r, f)
		case 5: // initializer
			return p.tensor(r, f.off, f.off+f.n)
		case 11, 12: // input, output
			return p.value(r, f, num == 11)
		}
		return nil
	})
}

// node looks for weights that are packed: MatMulNBits has several in a byte.
func (p *graphReader) node(r io.ReaderAt, f protoField) error {
	packed, bits := false, int64(4) // the operator's default
	err := eachProto(r, f.off, f.off+f.n, func(num protowire.Number, f protoField) error {
		if num != 4 && num != 5 || !f.isBytes || f.n > maxSmall {
			return nil
		}
		data, err := f.read(r)
		switch {
		case err != nil:
			return err
		case num == 4: // op_type
			packed = string(data) == "MatMulNBits"
			return p.operator(string(data))
		default:
			if n, ok := bitsAttribute(data); ok {
				bits = n
			}
		}
		return nil
	})
	if packed && bits == 4 {
		p.packed = true
	}
	return err
}

// operator notes that the graph uses one.
func (p *graphReader) operator(name string) error {
	i, known := slices.BinarySearch(p.g.Operators, name)
	switch {
	case known:
		return nil
	case len(p.g.Operators) == maxOperators:
		return Errorf(ErrModelInvalid, "the model uses over %d operators", maxOperators)
	}
	p.g.Operators = slices.Insert(p.g.Operators, i, name)
	return nil
}

// maxSmall bounds what of a node is read: names and numbers.
const maxSmall = 64

// bitsAttribute reads an AttributeProto, if it is called "bits".
func bitsAttribute(data []byte) (bits int64, ok bool) {
	for len(data) > 0 {
		num, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return 0, false
		}
		data = data[n:]
		switch {
		case num == 1 && kind == protowire.BytesType:
			name, n := protowire.ConsumeBytes(data)
			if n < 0 || string(name) != "bits" {
				return 0, false
			}
			ok, data = true, data[n:]
		case num == 3 && kind == protowire.VarintType:
			v, n := protowire.ConsumeVarint(data)
			if n < 0 {
				return 0, false
			}
			bits, data = int64(v), data[n:]
		default:
			n := protowire.ConsumeFieldValue(num, kind, data)
			if n < 0 {
				return 0, false
			}
			data = data[n:]
		}
	}
	return bits, ok
}

// tensor reads a TensorProto's type, shape, name and external location.
func (p *graphReader) tensor(r io.ReaderAt, from, to int64) error {
	var dtype, elems int64 = 0, 1
	err := eachProto(r, from, to, func(num protowire.Number, f protoField) error {
		switch {
		case num == 1 && !f.isBytes: // dims, unpacked
			elems = saturate(elems, int64(f.varint))
		case num == 1:
			data, err := f.read(r)
			if err != nil {
				return err
			}
			for len(data) > 0 {
				v, n := protowire.ConsumeVarint(data)
				if n < 0 {
					return errOnnx
				}
				elems, data = saturate(elems, int64(v)), data[n:]
			}
		case num == 2 && !f.isBytes:
			dtype = int64(f.varint)
		case num == 8 && f.isBytes:
			name, err := f.read(r)
			p.initial[string(name)] = true
			return err
		case num == 13 && f.isBytes:
			return p.external(r, f)
		}
		return nil
	})
	if name, bits := weightPrecision(dtype); name != "" {
		p.bytes[name] = saturateAdd(p.bytes[name], saturate(elems, bits)/8)
	}
	return err
}

// external reads one key and value of a weight's location.
func (p *graphReader) external(r io.ReaderAt, f protoField) error {
	data, err := f.read(r)
	if err != nil {
		return err
	}
	key, value, err := stringPair(data)
	if err != nil || key != "location" {
		return err
	}
	clean := path.Clean(strings.ReplaceAll(value, "\\", "/"))
	if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || strings.Contains(clean, ":") {
		return Errorf(ErrModelInvalid, "the model keeps weights outside its folder, at %q", value).
			WithHint("put the file with the weights beside the .onnx file and save the model again")
	}
	if slices.Contains(p.g.External, clean) {
		return nil
	}
	if len(p.g.External) == maxExternal {
		return Errorf(ErrModelInvalid, "the model names over %d files with weights", maxExternal)
	}
	p.g.External = append(p.g.External, clean)
	return nil
}

func (p *graphReader) value(r io.ReaderAt, f protoField, input bool) error {
	data, err := f.read(r)
	if err != nil {
		return err
	}
	v, keys, err := valueInfo(data, !input)
	if err != nil {
		return err
	}
	into := &p.g.Outputs
	if input {
		into = &p.g.Inputs
	}
	if len(*into) == maxIO {
		return Errorf(ErrModelInvalid, "the model has over %d inputs or outputs", maxIO)
	}
	*into = append(*into, v)
	if keys != "" {
		*into = append(*into, KeysOf(v.Name, keys))
	}
	return nil
}

func (p *graphReader) result() Graph {
	g := p.g
	g.Inputs = nil
	for _, in := range p.g.Inputs {
		if !p.initial[in.Name] {
			g.Inputs = append(g.Inputs, in)
		}
	}
	g.Precision = "fp32"
	most := int64(0)
	for _, name := range []string{"fp32", "fp64", "fp16", "bf16", "int8", "int4"} {
		if p.bytes[name] > most {
			g.Precision, most = name, p.bytes[name]
		}
	}
	if g.Precision == "int8" && p.packed {
		g.Precision = "int4"
	}
	return g
}

// weightPrecision names TensorProto.DataType for weights; bits per element.
// Integers of 16 bits and more are indices, not weights.
func weightPrecision(dtype int64) (name string, bits int64) {
	switch dtype {
	case 1:
		return "fp32", 32
	case 10:
		return "fp16", 16
	case 16:
		return "bf16", 16
	case 11:
		return "fp64", 64
	case 2, 3:
		return "int8", 8
	case 21, 22:
		return "int4", 4
	}
	return "", 0
}

func saturate(a, b int64) int64 {
	if a < 0 || b < 0 || (b > 0 && a > (1<<62)/b) {
		return 1 << 62
	}
	return a * b
}

func saturateAdd(a, b int64) int64 {
	if a > 1<<62-b {
		return 1 << 62
	}
	return a + b
}

// A protoField is one field of a message in a file: a number, or where its
// bytes lie.
type protoField struct {
	isBytes bool
	varint  uint64
	off, n  int64
}

// read returns the field's bytes, which must be small.
func (f protoField) read(r io.ReaderAt) ([]byte, error) {
	if f.n > maxValueInfo {
		return nil, fmt.Errorf("%w: a field of %d bytes", errOnnx, f.n)
	}
	data := make([]byte, f.n)
	if _, err := r.ReadAt(data, f.off); err != nil && (!errors.Is(err, io.EOF) || f.n != 0) {
		return nil, fmt.Errorf("%w: %w", errOnnx, err)
	}
	return data, nil
}

// eachProto calls visit for each field of the message at [from, to), reading
// only tags and lengths.
func eachProto(r io.ReaderAt, from, to int64, visit func(protowire.Number, protoField) error) error {
	var buf [20]byte // a tag and a length take at most 10 bytes each
	for off := from; off < to; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), to-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		num, typ, used := protowire.ConsumeTag(buf[:n])
		if used < 0 {
			return errOnnx
		}
		var f protoField
		var size int64
		switch typ {
		case protowire.VarintType:
			v, k := protowire.ConsumeVarint(buf[used:n])
			if k < 0 {
				return errOnnx
			}
			f.varint, size = v, int64(used+k)
		case protowire.Fixed32Type:
			size = int64(used) + 4
		case protowire.Fixed64Type:
			size = int64(used) + 8
		case protowire.BytesType:
			v, k := protowire.ConsumeVarint(buf[used:n])
			if k < 0 || v > uint64(to-off) {
				return errOnnx
			}
			f = protoField{isBytes: true, off: off + int64(used+k), n: int64(v)}
			size = int64(used+k) + int64(v)
		default:
			return errOnnx
		}
		if size > to-off {
			return errOnnx
		}
		if err := visit(num, f); err != nil {
			return err
		}
		off += size
	}
	return nil
}
