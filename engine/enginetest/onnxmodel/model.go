package onnxmodel

// A DType is the number of an element type in TensorProto.
type DType int32

// The element types of the standard.
const (
	Undefined DType = iota
	Float
	Uint8
	Int8
	Uint16
	Int16
	Int32
	Int64
	String
	Bool
	Float16
	Double
	Uint32
	Uint64
	Complex64
	Complex128
	BFloat16
)

// A Model is a ModelProto. Zero fields get values that ONNX Runtime takes: IR
// version 8 and operator set 17.
type Model struct {
	IRVersion int64
	Opsets    []Opset
	Producer  string
	Graph     Graph
	Metadata  map[string]string
}

// An Opset says which version of a domain's operators the model uses.
type Opset struct {
	Domain  string // "" is the standard's own
	Version int64
}

// A Graph is a GraphProto.
type Graph struct {
	Name         string
	Nodes        []Node
	Initializers []Tensor
	Inputs       []Value
	Outputs      []Value
}

// A Node is a NodeProto. An empty name among its inputs means that the
// optional input is left out.
type Node struct {
	Op         string
	Domain     string
	Name       string
	Inputs     []string
	Outputs    []string
	Attributes []Attribute
}

// An Attribute is an AttributeProto. Value is an int64, float32, string,
// []int64, []float32, []string, Tensor or Graph.
type Attribute struct {
	Name  string
	Value any
}

// Attr is short for an [Attribute]; an int becomes an int64, and a []int a
// []int64.
func Attr(name string, value any) Attribute {
	switch v := value.(type) {
	case int:
		return Attribute{name, int64(v)}
	case []int:
		out := make([]int64, len(v))
		for i, n := range v {
			out[i] = int64(n)
		}
		return Attribute{name, out}
	}
	return Attribute{name, value}
}

// A Value is the ValueInfoProto of a tensor. With NoShape it has no shape at
// all, which is less than a rank of 0.
type Value struct {
	Name    string
	DType   DType
	Shape   []Dim
	NoShape bool
}

// A Dim is one dimension: a size, or a symbol if that is not empty.
type Dim struct {
	Size   int64
	Symbol string
}

// Dims describes a tensor of fixed shape.
func Dims(name string, t DType, shape ...int64) Value {
	v := Value{Name: name, DType: t}
	for _, d := range shape {
		v.Shape = append(v.Shape, Dim{Size: d})
	}
	return v
}

// Symbols describes a tensor whose dimensions are symbols; one that is empty
// is wholly unknown.
func Symbols(name string, t DType, symbols ...string) Value {
	v := Value{Name: name, DType: t}
	for _, s := range symbols {
		v.Shape = append(v.Shape, Dim{Size: -1, Symbol: s})
	}
	return v
}

// A Tensor is a TensorProto: an initialiser, or the value of an attribute. Its
// elements are in Raw, little-endian, or for strings in Strings. If External
// is set they lie in another file instead.
type Tensor struct {
	Name     string
	DType    DType
	Shape    []int64
	Raw      []byte
	Strings  []string
	External *External
}

// External says where the elements of a tensor lie.
type External struct {
	Location string // path relative to the model's folder
	Offset   int64
	Length   int64 // 0 leaves it out
}
