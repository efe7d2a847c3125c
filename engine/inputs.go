package engine

import (
	"fmt"
	"maps"
	"slices"
)

// CheckInputs reports whether in is what a model with the declared inputs can
// run: every input there, none unknown, types and shapes as declared, data as
// long as the shapes say. The error tells the caller how to correct it.
func CheckInputs(declared []ValueInfo, in Tensors) error {
	names := make([]string, len(declared))
	for i, v := range declared {
		names[i] = v.Name
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if !slices.Contains(names, name) {
			return unknown(ErrInvalidArgument, "input", name, names)
		}
	}
	for _, v := range declared {
		if err := v.check(in[v.Name]); err != nil {
			return err
		}
	}
	return nil
}

// check reports whether t is what v describes.
func (v ValueInfo) check(t *Tensor) error {
	wants := fmt.Sprintf("%q is %s of shape %s", v.Name, v.DType, v.shapeText())
	if t == nil {
		return Errorf(ErrInvalidArgument, "input %q is missing", v.Name).WithHint("%s", wants)
	}
	if t.DType != v.DType {
		return Errorf(ErrInvalidArgument, "input %q is %s, not %s", v.Name, v.DType, t.DType).WithHint("%s", wants)
	}
	if !v.fits(t.Shape) {
		return Errorf(ErrInvalidArgument, "input %q has shape %v, which does not fit %s", v.Name, t.Shape, v.shapeText()).WithHint("%s", wants)
	}
	if err := t.Check(); err != nil {
		return Errorf(ErrInvalidArgument, "input %q: %w", v.Name, err)
	}
	return nil
}

func (v ValueInfo) fits(shape []int64) bool {
	return v.Shape == nil || slices.EqualFunc(v.Shape, shape, func(want, got int64) bool { return want < 0 || want == got })
}

// shapeText shows a shape with symbols or question marks where it is open.
func (v ValueInfo) shapeText() string {
	if v.Shape == nil {
		return "unknown"
	}
	out := make([]string, len(v.Shape))
	for i, d := range v.Shape {
		switch {
		case d >= 0:
			out[i] = fmt.Sprint(d)
		case i < len(v.Names) && v.Names[i] != "":
			out[i] = v.Names[i]
		default:
			out[i] = "?"
		}
	}
	return fmt.Sprint(out)
}
