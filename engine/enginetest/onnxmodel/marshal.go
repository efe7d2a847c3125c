package onnxmodel

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Marshal returns the model as an .onnx file.
func (m Model) Marshal() []byte {
	ir, opsets := m.IRVersion, m.Opsets
	if ir == 0 {
		ir = 8
	}
	if opsets == nil {
		opsets = []Opset{{Version: 17}}
	}
	var b message
	b.number(1, ir)
	b.text(2, m.Producer)
	b.message(7, m.Graph.marshal())
	for _, o := range opsets {
		var e message
		e.text(1, o.Domain)
		e.number(2, o.Version)
		b.message(8, e)
	}
	for _, k := range slices.Sorted(maps.Keys(m.Metadata)) {
		b.message(14, entry(k, m.Metadata[k]))
	}
	return b
}

func (g Graph) marshal() message {
	name := g.Name
	if name == "" {
		name = "graph"
	}
	var b message
	for _, n := range g.Nodes {
		b.message(1, n.marshal())
	}
	b.text(2, name)
	for _, t := range g.Initializers {
		b.message(5, t.marshal())
	}
	for _, v := range g.Inputs {
		b.message(11, v.marshal())
	}
	for _, v := range g.Outputs {
		b.message(12, v.marshal())
	}
	return b
}

func (n Node) marshal() message {
	var b message
	for _, s := range n.Inputs {
		b.bytes(1, []byte(s))
	}
	for _, s := range n.Outputs {
		b.bytes(2, []byte(s))
	}
	b.text(3, n.Name)
	b.text(4, n.Op)
	for _, a := range n.Attributes {
		b.message(5, a.marshal())
	}
	b.text(7, n.Domain)
	return b
}

// The values of AttributeProto.type, and the fields they go with.
const (
	attrFloat   = 1
	attrInt     = 2
	attrString  = 3
	attrTensor  = 4
	attrGraph   = 5
	attrFloats  = 6
	attrInts    = 7
	attrStrings = 8
)

func (a Attribute) marshal() message {
	var b message
	var kind int64
	b.text(1, a.Name)
	switch v := a.Value.(type) {
	case float32:
		kind = attrFloat
		b.float(2, v)
	case int64:
		kind = attrInt
		b.number(3, v)
	case string:
		kind = attrString
		b.bytes(4, []byte(v))
	case Tensor:
		kind = attrTensor
		b.message(5, v.marshal())
	case Graph:
		kind = attrGraph
		b.message(6, v.marshal())
	case []float32:
		kind = attrFloats
		for _, f := range v {
			b.float(7, f)
		}
	case []int64:
		kind = attrInts
		for _, n := range v {
			b.number(8, n)
		}
	case []string:
		kind = attrStrings
		for _, s := range v {
			b.bytes(9, []byte(s))
		}
	case nil: // which a broken model may have
	default:
		panic(fmt.Sprintf("onnxmodel: attribute %s has type %T", a.Name, a.Value))
	}
	b.number(20, kind)
	return b
}

func (v Value) marshal() message {
	var tensor message
	tensor.number(1, int64(v.DType))
	if !v.NoShape {
		var shape message
		for _, d := range v.Shape {
			shape.message(1, d.marshal())
		}
		tensor.message(2, shape)
	}
	var kind, b message
	kind.message(1, tensor)
	b.text(1, v.Name)
	b.message(2, kind)
	return b
}

func (d Dim) marshal() message {
	var b message
	switch {
	case d.Symbol != "":
		b.text(2, d.Symbol)
	case d.Size >= 0:
		b.number(1, d.Size)
	}
	return b
}

func (t Tensor) marshal() message {
	var b message
	for _, d := range t.Shape {
		b.number(1, d)
	}
	b.number(2, int64(t.DType))
	for _, s := range t.Strings {
		b.bytes(6, []byte(s))
	}
	b.text(8, t.Name)
	switch {
	case t.External != nil:
		b.message(13, entry("location", t.External.Location))
		b.message(13, entry("offset", strconv.FormatInt(t.External.Offset, 10)))
		if t.External.Length != 0 {
			b.message(13, entry("length", strconv.FormatInt(t.External.Length, 10)))
		}
		b.number(14, 1)
	case t.DType != String:
		b.bytes(9, t.Raw)
	}
	return b
}

// entry is a StringStringEntryProto.
func entry(key, value string) message {
	var b message
	b.text(1, key)
	b.text(2, value)
	return b
}

// A message is a protobuf message being written.
type message []byte

func (b *message) number(field protowire.Number, v int64) {
	*b = protowire.AppendVarint(protowire.AppendTag(*b, field, protowire.VarintType), uint64(v))
}

func (b *message) float(field protowire.Number, v float32) {
	*b = protowire.AppendFixed32(protowire.AppendTag(*b, field, protowire.Fixed32Type), math.Float32bits(v))
}

func (b *message) bytes(field protowire.Number, v []byte) {
	*b = protowire.AppendBytes(protowire.AppendTag(*b, field, protowire.BytesType), v)
}

// text leaves an empty string out, as proto3 does.
func (b *message) text(field protowire.Number, v string) {
	if v != "" {
		b.bytes(field, []byte(v))
	}
}

func (b *message) message(field protowire.Number, v message) { b.bytes(field, v) }
