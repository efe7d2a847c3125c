package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// A checker is a set of parameters that not every value fits.
type checker interface{ check() error }

// settle reads the caller's parameters over the defaults in o, and checks them.
func settle(r engine.Request, o any) error {
	if err := readParameters(r.Parameters, o); err != nil {
		return err
	}
	if c, ok := o.(checker); ok {
		return c.check()
	}
	return nil
}

// A passage is a text as the model reads it: an input, or one part of so many.
type passage struct {
	item, part, of int
	tokenizer.Encoding
}

// A textWork is what differs between the pipelines of text encoders.
type textWork struct {
	parameters any // holds the defaults, then what the caller wants

	// encode makes the passages of one input.
	encode func(item engine.Item) ([]tokenizer.Encoding, error)

	wants  []want
	take   func(i int, p passage, rows []row) error // the rows of the i-th passage
	finish func(a *engine.Answer) error             // after all have been taken
}

// serve does the work: parameters, passages, runs, outputs, and times each.
func (e encoder) serve(ctx context.Context, s engine.Sessions, r engine.Request, w textWork) (engine.Answer, error) {
	if err := settle(r, w.parameters); err != nil {
		return engine.Answer{}, err
	}
	var a engine.Answer
	began := time.Now()
	var passages []passage
	for i, item := range r.Items {
		encoded, err := w.encode(item)
		if err != nil {
			return a, inInput(r, i, err)
		}
		for part, e := range encoded {
			passages = append(passages, passage{i, part, len(encoded), e})
		}
		if ctx.Err() != nil {
			return a, ctx.Err()
		}
	}
	a.Timings.Preprocess = since(&began)
	session, err := s.Open(ctx, "")
	if err != nil {
		return a, err
	}
	began = time.Now()
	if err := e.run(ctx, session, passages, r.BatchSize, w.wants, w.take); err != nil {
		return a, err
	}
	a.Timings.Run = since(&began)
	err = w.finish(&a)
	a.Timings.Postprocess = since(&began)
	if err != nil {
		return a, err
	}
	return a, numbers(a)
}

// numbers refuses an answer with a number that is none, as a model makes it
// whose weights are broken: JSON has no word for it.
func numbers(a engine.Answer) error {
	for _, o := range a.Outputs {
		var all []float64
		for _, v := range []*float64{o.Score, o.Norm} {
			if v != nil {
				all = append(all, *v)
			}
		}
		if o.Depth != nil {
			all = append(all, o.Depth.Min, o.Depth.Max, o.Depth.Mean)
		}
		if o.Box != nil {
			all = append(all, o.Box.XMin, o.Box.YMin, o.Box.XMax, o.Box.YMax)
		}
		for _, k := range o.Keypoints {
			all = append(all, k.X, k.Y)
		}
		if slices.ContainsFunc(all, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
			return engine.Errorf(engine.ErrModelInvalid, "the model gave numbers that are not finite for input %d", o.Item).
				WithHint("its weights may be broken, or overflow in half precision")
		}
	}
	return nil
}

// inInput says of an error which of several inputs it is about.
func inInput(r engine.Request, i int, err error) error {
	var e *engine.Error
	if len(r.Items) < 2 || !errors.As(err, &e) {
		return err
	}
	told := *e
	told.Message = fmt.Sprintf("input %d: %s", i, e.Message)
	return &told
}

// since returns the milliseconds since *t and sets it to now.
func since(t *time.Time) float64 {
	now := time.Now()
	d := now.Sub(*t)
	*t = now
	return float64(d) / float64(time.Millisecond)
}
