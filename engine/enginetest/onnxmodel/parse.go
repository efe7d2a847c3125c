package onnxmodel

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxDepth bounds how deep graphs nest in attributes.
const maxDepth = 8

var errBroken = errors.New("onnxmodel: not a model")

// Parse reads an .onnx file. Fields that this package does not write are
// skipped; tensors must have their numbers in raw_data or another file.
func Parse(data []byte) (Model, error) {
	m := Model{Metadata: map[string]string{}}
	found := false
	err := fields(data, func(f field) error {
		var err error
		switch f.number {
		case 1:
			m.IRVersion = f.varint
		case 2:
			m.Producer = string(f.bytes)
		case 7:
			found = true
			m.Graph, err = parseGraph(f.bytes, 0)
		case 8:
			var o Opset
			o, err = parseOpset(f.bytes)
			m.Opsets = append(m.Opsets, o)
		case 14:
			var k, v string
			k, v, err = parseEntry(f.bytes)
			m.Metadata[k] = v
		}
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("%w: it has no graph", errBroken)
	}
	return m, err
}

func parseOpset(data []byte) (o Opset, err error) {
	err = fields(data, func(f field) error {
		switch f.number {
		case 1:
			o.Domain = string(f.bytes)
		case 2:
			o.Version = f.varint
		}
		return nil
	})
	return o, err
}

func parseGraph(data []byte, depth int) (g Graph, err error) {
	if depth > maxDepth {
		return g, fmt.Errorf("%w: its graphs nest deeper than %d", errBroken, maxDepth)
	}
	err = fields(data, func(f field) error {
		switch f.number {
		case 1:
			n, err := parseNode(f.bytes, depth)
			g.Nodes = append(g.Nodes, n)
			return err
		case 2:
			g.Name = string(f.bytes)
		case 5:
			t, err := parseTensor(f.bytes)
			g.Initializers = append(g.Initializers, t)
			return err
		case 11:
			v, err := parseValue(f.bytes)
			g.Inputs = append(g.Inputs, v)
			return err
		case 12:
			v, err := parseValue(f.bytes)
			g.Outputs = append(g.Outputs, v)
			return err
		}
		return nil
	})
	return g, err
}

func parseNode(data []byte, depth int) (n Node, err error) {
	err = fields(data, func(f field) error {
		switch f.number {
		case 1:
			n.Inputs = append(n.Inputs, string(f.bytes))
		case 2:
			n.Outputs = append(n.Outputs, string(f.bytes))
		case 3:
			n.Name = string(f.bytes)
		case 4:
			n.Op = string(f.bytes)
		case 5:
			a, err := parseAttribute(f.bytes, depth)
			n.Attributes = append(n.Attributes, a)
			return err
		case 7:
			n.Domain = string(f.bytes)
		}
		return nil
	})
	return n, err
}

func parseAttribute(data []byte, depth int) (a Attribute, err error) {
	var (
		ints    []int64
		floats  []float32
		strings []string
		kind    int64
	)
	err = fields(data, func(f field) error {
		var err error
		switch f.number {
		case 1:
			a.Name = string(f.bytes)
		case 2:
			a.Value = f.float
		case 3:
			a.Value = f.varint
		case 4:
			a.Value = string(f.bytes)
		case 5:
			a.Value, err = parseTensor(f.bytes)
		case 6:
			a.Value, err = parseGraph(f.bytes, depth+1)
		case 7:
			floats = append(floats, f.float)
		case 8:
			ints = append(ints, f.varint)
		case 9:
			strings = append(strings, string(f.bytes))
		case 20:
			kind = f.varint
		}
		return err
	})
	switch kind {
	case attrFloats:
		a.Value = floats
	case attrInts:
		a.Value = ints
	case attrStrings:
		a.Value = strings
	}
	return a, err
}

func parseValue(data []byte) (v Value, err error) {
	v.NoShape = true
	err = fields(data, func(f field) error {
		switch f.number {
		case 1:
			v.Name = string(f.bytes)
		case 2:
			return fields(f.bytes, func(f field) error {
				if f.number != 1 {
					return fmt.Errorf("%w: %s is no tensor", errBroken, v.Name)
				}
				return v.parseTensorType(f.bytes)
			})
		}
		return nil
	})
	return v, err
}

func (v *Value) parseTensorType(data []byte) error {
	return fields(data, func(f field) error {
		switch f.number {
		case 1:
			v.DType = DType(f.varint)
		case 2:
			v.NoShape = false
			return fields(f.bytes, func(f field) error {
				d, err := parseDim(f.bytes)
				v.Shape = append(v.Shape, d)
				return err
			})
		}
		return nil
	})
}

func parseDim(data []byte) (Dim, error) {
	d := Dim{Size: -1}
	err := fields(data, func(f field) error {
		switch f.number {
		case 1:
			d.Size = f.varint
		case 2:
			d.Symbol = string(f.bytes)
		}
		return nil
	})
	return d, err
}

func parseTensor(data []byte) (t Tensor, err error) {
	err = fields(data, func(f field) error {
		switch f.number {
		case 1:
			t.Shape = append(t.Shape, f.varint)
		case 2:
			t.DType = DType(f.varint)
		case 6:
			t.Strings = append(t.Strings, string(f.bytes))
		case 8:
			t.Name = string(f.bytes)
		case 9:
			t.Raw = f.bytes
		case 13:
			return t.parseExternal(f.bytes)
		}
		return nil
	})
	return t, err
}

func (t *Tensor) parseExternal(data []byte) error {
	if t.External == nil {
		t.External = new(External)
	}
	key, value, err := parseEntry(data)
	switch key {
	case "location":
		t.External.Location = value
	case "offset":
		t.External.Offset, err = strconv.ParseInt(value, 10, 64)
	case "length":
		t.External.Length, err = strconv.ParseInt(value, 10, 64)
	}
	return err
}

func parseEntry(data []byte) (key, value string, err error) {
	err = fields(data, func(f field) error {
		switch f.number {
		case 1:
			key = string(f.bytes)
		case 2:
			value = string(f.bytes)
		}
		return nil
	})
	return key, value, err
}

// A field is one of a message: its number, and the value of its kind.
type field struct {
	number protowire.Number
	varint int64
	float  float32
	bytes  []byte
}

// fields calls f for each field of a message.
func fields(data []byte, f func(field) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("%w: %w", errBroken, protowire.ParseError(n))
		}
		data = data[n:]
		v := field{number: number}
		switch kind {
		case protowire.VarintType:
			var u uint64
			u, n = protowire.ConsumeVarint(data)
			v.varint = int64(u)
		case protowire.Fixed32Type:
			var u uint32
			u, n = protowire.ConsumeFixed32(data)
			v.float = math.Float32frombits(u)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", errBroken, protowire.ParseError(n))
		}
		data = data[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}
