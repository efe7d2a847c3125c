package engine

import (
	"context"
	"slices"
)

// A Joiner is a session that may do the runs of several callers as one, which
// is faster where a run is small: weights are read once for all.
type Joiner interface {
	Session

	// RunJoined is Run for inputs that j describes. Outputs may be longer in
	// their second dimension than the inputs, by what other callers' rows
	// were padded to. What goes wrong for the joined run is tried again for
	// each caller alone.
	RunJoined(ctx context.Context, in Tensors, j Join) (Tensors, error)
}

// A Join says how inputs of shape [rows, length], of int64, may be put together
// with others: a row's result is the same whatever rows are beside it, and
// whatever padding is behind it.
type Join struct {
	Pad    map[string]int64 // by input, what is put behind rows shorter than others
	Budget int              // the most numbers of an input of a joined run
}

// RunJoined runs together with other callers where the session can, else alone.
func RunJoined(ctx context.Context, s Session, in Tensors, j Join) (Tensors, error) {
	if joiner, ok := s.(Joiner); ok {
		return joiner.RunJoined(ctx, in, j)
	}
	return s.Run(ctx, in)
}

// A rowShape is the shape that all inputs of a run to be joined have.
type rowShape struct{ rows, length int64 }

// shapeOf returns the common shape of the inputs, if there is one.
func (j Join) shapeOf(in Tensors) (s rowShape, ok bool) {
	for name, t := range in {
		if _, known := j.Pad[name]; !known || t == nil || t.DType != Int64 || len(t.Shape) != 2 || t.Check() != nil {
			return s, false
		}
		if mine := (rowShape{t.Shape[0], t.Shape[1]}); s == (rowShape{}) {
			s = mine
		} else if mine != s {
			return s, false
		}
	}
	return s, s.rows > 0 && s.length > 0 && s.rows*s.length < int64(j.Budget)
}

// group is the class of lengths that are padded to each other: up to 8, and
// then up to each power of two, so that less than half is padding.
func (s rowShape) group() int64 {
	n := int64(8)
	for n < s.length {
		n *= 2
	}
	return n
}

// join puts the inputs of members one below the other.
func join(members []*member) Tensors {
	var all rowShape
	for _, m := range members {
		all.rows += m.shape.rows
		all.length = max(all.length, m.shape.length)
	}
	out := Tensors{}
	for name, pad := range members[0].how.Pad {
		if members[0].in[name] == nil {
			continue
		}
		values := make([]int64, 0, all.rows*all.length)
		for _, m := range members {
			values = m.appendRows(values, name, all.length, pad)
		}
		out[name] = NewTensor([]int64{all.rows, all.length}, values)
	}
	return out
}

// appendRows adds the member's rows of an input, padded to a length.
func (m *member) appendRows(values []int64, name string, length, pad int64) []int64 {
	mine, err := Values[int64](m.in[name])
	if err != nil {
		return values // its type was looked at
	}
	for row := range slices.Chunk(mine, int(m.shape.length)) {
		values = append(values, row...)
		for range length - m.shape.length {
			values = append(values, pad)
		}
	}
	return values
}

// part cuts rows out of outputs; ok is false for those that are no rows.
func part(out Tensors, from, rows, of int64) (mine Tensors, ok bool) {
	mine = make(Tensors, len(out))
	for name, t := range out {
		if len(t.Shape) == 0 || t.Shape[0] != of || t.DType == String {
			return nil, false
		}
		width := int64(len(t.Data)) / of
		mine[name] = &Tensor{
			DType: t.DType, Shape: append([]int64{rows}, t.Shape[1:]...), Data: t.Data[from*width : (from+rows)*width : (from+rows)*width],
		}
	}
	return mine, true
}
