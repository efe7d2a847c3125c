package enginetest

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

// A fakeSession evaluates one graph.
type fakeSession struct {
	fake      *Fake
	model     *engine.Model
	graph     onnxmodel.Graph
	constants engine.Tensors
	info      engine.SessionInfo
	closed    atomic.Bool

	mu   sync.Mutex // guards kept
	kept engine.Tensors
}

var (
	_ engine.Describer = (*fakeSession)(nil)
	_ engine.Keeper    = (*fakeSession)(nil)
)

// RunKept runs with what is kept.
func (s *fakeSession) RunKept(ctx context.Context, in engine.Tensors, k engine.Kept) (engine.Tensors, error) {
	if err := engine.CheckKept(s.info.Inputs, s.info.Outputs, in, k); err != nil {
		return nil, err
	}
	all := maps.Clone(in)
	if all == nil {
		all = engine.Tensors{}
	}
	s.mu.Lock()
	err := k.CheckRoom(len(s.kept))
	for input, name := range k.Take {
		if all[input] = s.kept[name]; all[input] == nil {
			err = engine.NotKept(name)
		}
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	out, err := s.Run(ctx, all)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = engine.Tensors{}
	}
	for input, name := range k.Hold {
		s.kept[name] = clone(in[input])
	}
	for output, name := range k.Keep {
		s.kept[name] = out[output]
		delete(out, output)
	}
	return out, nil
}

// Forget drops what is kept.
func (s *fakeSession) Forget(_ context.Context, names ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		delete(s.kept, name)
	}
	return nil
}

func (s *fakeSession) Close() error {
	s.closed.Store(true)
	return nil
}

func (s *fakeSession) Describe(context.Context) (engine.SessionInfo, error) { return s.info, nil }

func (s *fakeSession) Run(ctx context.Context, in engine.Tensors) (engine.Tensors, error) {
	if s.closed.Load() {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the session is closed")
	}
	if err := engine.CheckInputs(s.info.Inputs, in); err != nil {
		return nil, err
	}
	scope := maps.Clone(s.constants)
	for name, t := range in {
		scope[name] = clone(t)
	}
	if err := s.evaluate(ctx, s.graph, scope); err != nil {
		return nil, err
	}
	out := engine.Tensors{}
	for _, v := range s.graph.Outputs {
		out[v.Name] = clone(scope[v.Name])
	}
	return out, nil
}

// clone keeps what a caller passes in, or gets, from being shared.
func clone(t *engine.Tensor) *engine.Tensor {
	return &engine.Tensor{
		DType: t.DType, Shape: slices.Clone(t.Shape),
		Data: slices.Clone(t.Data), Strings: slices.Clone(t.Strings),
	}
}

// evaluate computes the nodes of g, in order, into scope.
func (s *fakeSession) evaluate(ctx context.Context, g onnxmodel.Graph, scope engine.Tensors) error {
	for _, n := range g.Nodes {
		if err := ctx.Err(); err != nil {
			return contextError(err)
		}
		in := make([]*engine.Tensor, len(n.Inputs))
		for i, name := range n.Inputs {
			if in[i] = scope[name]; in[i] == nil && name != "" {
				return engine.Errorf(engine.ErrModelInvalid, "%s uses %q before it is computed", n.Op, name)
			}
		}
		out, err := s.apply(ctx, n, in, scope)
		if err != nil {
			return err
		}
		if len(out) < len(n.Outputs) {
			return engine.Errorf(engine.ErrModelInvalid, "%s has %d outputs, not %d", n.Op, len(out), len(n.Outputs))
		}
		for i, name := range n.Outputs {
			scope[name] = out[i]
		}
	}
	return nil
}

// builtin are the operators that every Fake knows.
var builtin = map[string]bool{"Identity": true, "Add": true, "Constant": true, "Loop": true}

func (s *fakeSession) apply(ctx context.Context, n onnxmodel.Node, in []*engine.Tensor, scope engine.Tensors) ([]*engine.Tensor, error) {
	if op := s.fake.Ops[n.Op]; op != nil {
		return op(ctx, in)
	}
	switch n.Op {
	case "Identity":
		return in[:1], nil
	case "Add":
		sum, err := add(in[0], in[1])
		return []*engine.Tensor{sum}, err
	case "Constant":
		value, _ := attribute[onnxmodel.Tensor](n, "value")
		v, err := constant(s.model, value)
		return []*engine.Tensor{v}, err
	}
	return s.loop(ctx, n, in, scope)
}

func attribute[T any](n onnxmodel.Node, name string) (T, bool) {
	for _, a := range n.Attributes {
		if v, ok := a.Value.(T); ok && a.Name == name {
			return v, true
		}
	}
	return *new(T), false
}

// loop runs the body until its condition is false, the trips are used up, or
// ctx is done. Values to be stacked per trip are not known to it.
func (s *fakeSession) loop(ctx context.Context, n onnxmodel.Node, in []*engine.Tensor, outer engine.Tensors) ([]*engine.Tensor, error) {
	body, ok := attribute[onnxmodel.Graph](n, "body")
	if !ok || len(in) < 2 || len(body.Inputs) != len(in) || len(body.Outputs) != len(in)-1 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "Loop has no fitting body")
	}
	fixed, err := constants(s.model, body, 0)
	if err != nil {
		return nil, err
	}
	trips := int64(math.MaxInt64)
	if in[0] != nil {
		counts, err := engine.Values[int64](in[0])
		if err != nil {
			return nil, err
		}
		trips = counts[0]
	}
	state := append([]*engine.Tensor{in[1]}, in[2:]...)
	for i := int64(0); i < trips && (state[0] == nil || state[0].Data[0] != 0); i++ {
		scope := maps.Clone(outer)
		maps.Copy(scope, fixed)
		scope[body.Inputs[0].Name] = engine.NewTensor(nil, []int64{i})
		for j, v := range body.Inputs[1:] {
			scope[v.Name] = state[j]
		}
		if err := s.evaluate(ctx, body, scope); err != nil {
			return nil, err
		}
		state = make([]*engine.Tensor, len(state))
		for j, v := range body.Outputs {
			state[j] = scope[v.Name]
		}
	}
	return state[1:], nil
}

// add adds tensors of one shape, or a tensor and one element.
func add(a, b *engine.Tensor) (*engine.Tensor, error) {
	if a.DType == b.DType {
		switch a.DType {
		case engine.Float32:
			return addOf[float32](a, b)
		case engine.Float64:
			return addOf[float64](a, b)
		case engine.Int32:
			return addOf[int32](a, b)
		case engine.Int64:
			return addOf[int64](a, b)
		}
	}
	return nil, engine.Errorf(engine.ErrModelInvalid, "Add does not take %s and %s", a.DType, b.DType)
}

func addOf[T engine.Number](a, b *engine.Tensor) (*engine.Tensor, error) {
	x, err := engine.Values[T](a)
	if err != nil {
		return nil, err
	}
	y, err := engine.Values[T](b)
	if err != nil {
		return nil, err
	}
	if len(y) != 1 && !slices.Equal(a.Shape, b.Shape) {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "shapes %v and %v can't be added", a.Shape, b.Shape)
	}
	sum := make([]T, len(x))
	for i := range x {
		sum[i] = x[i] + y[i%len(y)]
	}
	return engine.NewTensor(slices.Clone(a.Shape), sum), nil
}
