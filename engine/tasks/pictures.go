package tasks

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// pictureInput says how inputs of tasks on pictures are given.
const pictureInput = "An input is the path of a " + images.Formats + " file in an allowed folder, ipfs://CID/file, or a data: URI."

// readPicture decodes the picture of an item.
func readPicture(ctx context.Context, item engine.Item) (*images.Picture, error) {
	if item.Open == nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the input is a record, not a picture").WithHint("pass inputs: [\"path/of/picture.png\"]")
	}
	r, err := item.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return images.Decode(ctx, r)
}

// A vision is what tasks on pictures with a preprocessor_config.json share.
type vision struct {
	stateless
	processor *images.Processor
	input     string
	mask      string // an input that says which pixels are the picture, or ""
	batches   bool   // the model takes several pictures at once
}

// stateless is a pipeline with nothing to close.
type stateless struct{}

// Close does nothing.
func (stateless) Close() error { return nil }

// loadVision reads the processor and finds the model's input of pictures.
func loadVision(m *engine.Model) (vision, engine.Graph, error) {
	g, err := graphOf(m)
	if err != nil {
		return vision{}, g, err
	}
	v, err := visionOf(m, g)
	return v, g, err
}

func visionOf(m *engine.Model, g engine.Graph) (v vision, err error) {
	at := slices.IndexFunc(g.Inputs, func(in engine.ValueInfo) bool { return len(in.Shape) == 4 && in.DType == engine.Float32 })
	if at < 0 {
		return v, engine.Errorf(engine.ErrModelInvalid, "the model has no float32 input of four dimensions, which pictures need")
	}
	in := g.Inputs[at]
	v.input, v.batches = in.Name, in.Shape[0] < 0
	for _, other := range g.Inputs {
		if other.Name == "pixel_mask" && other.DType == engine.Int64 {
			v.mask = other.Name
		}
	}
	data, err := m.ReadFile("preprocessor_config.json", maxConfig)
	if err != nil {
		return v, err
	}
	v.processor, err = images.NewProcessor(data, in.Shape)
	return v, err
}

// tensors makes the model's inputs of a picture.
func (v vision) tensors(p *images.Picture) engine.Tensors {
	values, shape := v.processor.Process(p)
	in := engine.Tensors{v.input: engine.NewTensor(shape, values)}
	if v.mask != "" {
		n := []int64{1, shape[2], shape[3]}
		in[v.mask] = engine.NewTensor(n, slices.Repeat([]int64{1}, int(n[1]*n[2])))
	}
	return in
}

// A pictureWork is what differs between pipelines that run one model once for
// each picture.
type pictureWork struct {
	parameters any // holds the defaults, then what the caller wants
	input      func(p *images.Picture) engine.Tensors
	place      func(p *images.Picture) (engine.Tensors, frame) // instead of input, where take wants the frame
	batches    bool
	take       func(b seen, out engine.Tensors, a *engine.Answer) error
}

// seen is a picture on its way through the model.
type seen struct {
	item    int
	picture *images.Picture
	in      engine.Tensors
	frame   frame
}

// servePictures does the work, and times it. Pictures go through the model one
// by one unless the caller wants batches, for they take memory.
func servePictures(ctx context.Context, s engine.Sessions, r engine.Request, w pictureWork) (engine.Answer, error) {
	if err := settle(r, w.parameters); err != nil {
		return engine.Answer{}, err
	}
	session, err := s.Open(ctx, "")
	if err != nil {
		return engine.Answer{}, err
	}
	var a engine.Answer
	var batch []seen
	began := time.Now()
	for i, item := range r.Items {
		picture, err := readPicture(ctx, item)
		if err != nil {
			return a, inInput(r, i, err)
		}
		next := seen{item: i, picture: picture}
		if w.place != nil {
			next.in, next.frame = w.place(picture)
		} else {
			next.in = w.input(picture)
		}
		a.Timings.Preprocess += since(&began)
		if len(batch) > 0 && (!w.batches || len(batch) >= cmp.Or(r.BatchSize, r.Planned) || !alike(batch[0].in, next.in)) {
			if err := w.flush(ctx, session, batch, &a); err != nil {
				return a, err
			}
			batch = batch[:0]
			began = time.Now()
		}
		batch = append(batch, next)
	}
	if err := w.flush(ctx, session, batch, &a); err != nil {
		return a, err
	}
	return a, numbers(a)
}

// flush runs a batch and takes its outputs.
func (w pictureWork) flush(ctx context.Context, s engine.Session, batch []seen, a *engine.Answer) error {
	began := time.Now()
	all := make([]engine.Tensors, len(batch))
	for i, b := range batch {
		all[i] = b.in
	}
	out, err := s.Run(ctx, joined(all))
	if err != nil {
		return err
	}
	a.Timings.Run += since(&began)
	for i, b := range batch {
		if err := w.take(b, part(out, i, len(batch)), a); err != nil {
			return err
		}
	}
	a.Timings.Postprocess += since(&began)
	return nil
}

// alike reports whether two inputs fit one batch.
func alike(a, b engine.Tensors) bool {
	for name, t := range a {
		if !slices.Equal(t.Shape, b[name].Shape) {
			return false
		}
	}
	return true
}

// joined makes one batch of inputs whose first dimension is 1.
func joined(all []engine.Tensors) engine.Tensors {
	if len(all) == 1 {
		return all[0]
	}
	out := engine.Tensors{}
	for name, first := range all[0] {
		t := &engine.Tensor{DType: first.DType, Shape: slices.Clone(first.Shape)}
		t.Shape[0] = int64(len(all))
		for _, in := range all {
			t.Data = append(t.Data, in[name].Data...)
		}
		out[name] = t
	}
	return out
}

// part is the i-th of n in a batch's outputs; those that are not of batches are
// handed on whole.
func part(out engine.Tensors, i, n int) engine.Tensors {
	if n == 1 {
		return out
	}
	cut := engine.Tensors{}
	for name, t := range out {
		cut[name] = t
		if len(t.Shape) > 0 && t.Shape[0] == int64(n) {
			size := len(t.Data) / n
			cut[name] = &engine.Tensor{DType: t.DType, Shape: append([]int64{1}, t.Shape[1:]...), Data: t.Data[i*size : (i+1)*size]}
		}
	}
	return cut
}

// floats returns an output's numbers and checks its shape, in which -1 is any
// length but 0.
func floats(out engine.Tensors, name string, shape ...int64) ([]float32, []int64, error) {
	t := out[name]
	if t == nil {
		return nil, nil, engine.Errorf(engine.ErrModelInvalid, "the model gave no %q", name)
	}
	values, err := engine.Values[float32](t)
	if err != nil {
		return nil, nil, err
	}
	fits := slices.EqualFunc(t.Shape, shape, func(have, want int64) bool { return have == want || want < 0 && have > 0 })
	if !fits || len(values) == 0 {
		return nil, nil, engine.Errorf(engine.ErrModelInvalid, "the model's output %q has shape %v, not %v", name, t.Shape, shape)
	}
	return values, t.Shape, nil
}
