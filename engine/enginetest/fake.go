package enginetest

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// An Op computes the outputs of one node from its inputs, of which optional
// ones that were left out are nil.
type Op func(ctx context.Context, in []*engine.Tensor) ([]*engine.Tensor, error)

// A Fake is an execution provider in pure Go. It really evaluates the graphs
// it is given, but knows only Identity, Add, Constant and Loop, and Ops.
type Fake struct {
	// Ops are further operators, which tests use to misbehave.
	Ops map[string]Op
}

var _ engine.ExecutionProvider = (*Fake)(nil)

// maxFakeModel bounds the size of a model that a Fake reads.
const maxFakeModel = 64 << 20

// Name returns "fake".
func (f *Fake) Name() string { return "fake" }

// Devices returns the one device "cpu".
func (f *Fake) Devices(context.Context) ([]hardware.Device, error) {
	return []hardware.Device{{ID: "cpu", Kind: hardware.CPU, Name: "Go", Precisions: []string{"fp32"}}}, nil
}

// NewSession loads a model whose operators f knows.
func (f *Fake) NewSession(ctx context.Context, m *engine.Model, file string, p engine.Plan) (engine.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, contextError(err)
	}
	data, err := m.ReadFile(file, maxFakeModel)
	if err != nil {
		return nil, err
	}
	model, err := onnxmodel.Parse(data)
	if err != nil {
		return nil, engine.Errorf(engine.ErrModelInvalid, "%s is not an ONNX model: %w", file, err)
	}
	s := &fakeSession{fake: f, model: m, graph: model.Graph}
	if s.constants, err = constants(m, model.Graph, p.Memory); err != nil {
		return nil, err
	}
	if err := f.checkOps(model.Graph); err != nil {
		return nil, err
	}
	s.info.Inputs, s.info.Outputs, s.info.Sandbox = valueInfos(model.Graph.Inputs), valueInfos(model.Graph.Outputs), "none"
	return s, nil
}

// constants reads the initialisers of a graph.
func constants(m *engine.Model, g onnxmodel.Graph, limit int64) (engine.Tensors, error) {
	out := engine.Tensors{}
	for _, t := range g.Initializers {
		if limit > 0 {
			if limit -= int64(len(t.Raw)); limit <= 0 {
				return nil, engine.Errorf(engine.ErrOutOfMemory, "initialiser %s does not fit the memory limit", t.Name)
			}
		}
		v, err := constant(m, t)
		if err != nil {
			return nil, err
		}
		out[t.Name] = v
	}
	return out, nil
}

func constant(m *engine.Model, t onnxmodel.Tensor) (*engine.Tensor, error) {
	v := &engine.Tensor{DType: dtypes[t.DType], Shape: t.Shape, Data: t.Raw, Strings: t.Strings}
	if t.External != nil {
		if !filepath.IsLocal(t.External.Location) {
			return nil, engine.Errorf(engine.ErrModelInvalid, "the data of %s lies outside of the model's folder", t.Name)
		}
		data, err := m.ReadFile(t.External.Location, maxFakeModel)
		if err != nil {
			return nil, err
		}
		v.Data = data[min(t.External.Offset, int64(len(data))):]
		if t.External.Length > 0 {
			v.Data = v.Data[:min(t.External.Length, int64(len(v.Data)))]
		}
	}
	if err := v.Check(); err != nil {
		return nil, engine.Errorf(engine.ErrModelInvalid, "initialiser %s: %w", t.Name, err)
	}
	return v, nil
}

// checkOps finds operators that can't be evaluated.
func (f *Fake) checkOps(g onnxmodel.Graph) error {
	for _, n := range g.Nodes {
		if f.Ops[n.Op] == nil && !builtin[n.Op] {
			return engine.Errorf(engine.ErrModelInvalid, "operator %q is not known", n.Op)
		}
		for _, a := range n.Attributes {
			if body, ok := a.Value.(onnxmodel.Graph); ok {
				if err := f.checkOps(body); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// dtypes translates the numbers of element types.
var dtypes = map[onnxmodel.DType]engine.DataType{
	onnxmodel.Float: engine.Float32, onnxmodel.Double: engine.Float64,
	onnxmodel.Float16: engine.Float16, onnxmodel.BFloat16: engine.BFloat16,
	onnxmodel.Int8: engine.Int8, onnxmodel.Int16: engine.Int16, onnxmodel.Int32: engine.Int32, onnxmodel.Int64: engine.Int64,
	onnxmodel.Uint8: engine.Uint8, onnxmodel.Uint16: engine.Uint16, onnxmodel.Uint32: engine.Uint32, onnxmodel.Uint64: engine.Uint64,
	onnxmodel.Bool: engine.Bool, onnxmodel.String: engine.String,
}

func valueInfos(values []onnxmodel.Value) []engine.ValueInfo {
	out := make([]engine.ValueInfo, len(values))
	for i, v := range values {
		out[i] = engine.ValueInfo{Name: v.Name, DType: dtypes[v.DType]}
		if v.NoShape {
			continue
		}
		out[i].Shape = []int64{}
		for _, d := range v.Shape {
			out[i].Shape = append(out[i].Shape, d.Size)
			out[i].Names = append(out[i].Names, d.Symbol)
		}
	}
	return out
}

// contextError says in the engine's words why a context is done.
func contextError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return engine.Errorf(engine.ErrDeadline, "the run took longer than allowed: %w", err)
	}
	return engine.Errorf(engine.ErrCancelled, "the run was cancelled: %w", err)
}
