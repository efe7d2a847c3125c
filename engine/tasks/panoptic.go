package tasks

import (
	"context"
	"math"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// Mask2Former's masks are stretched to squares of this side first.
const (
	mask2Former     = "mask2former" // its model_type
	mask2FormerSide = 384
)

// Limits of a model with queries: their numbers are of 16 bits, and their masks,
// or the scores of all labels, are so many numbers together.
const (
	maxQueries = math.MaxUint16
	maxMasked  = 1 << 27
)

// queries are what a model of DETR's kind asks a picture: for each, which label
// there is (the last is none), and where.
type queries struct {
	labels [][]float64 // of each query, how sure it is of each label
	where  []plane     // of each query, the logits of its mask
}

// queries reads them from a model's outputs.
func (p *segmenter) queries(out engine.Tensors) (q queries, err error) {
	logits, shape, err := floats(out, p.logits, 1, -1, -1)
	if err != nil {
		return q, err
	}
	masks, size, err := floats(out, p.masks, 1, shape[1], -1, -1)
	if err != nil {
		return q, err
	}
	if err := p.bounded(shape[1], shape[2], size[2], size[3]); err != nil {
		return q, err
	}
	n, high, wide := int(shape[2]), int(size[2]), int(size[3])
	for i := range int(shape[1]) {
		q.labels = append(q.labels, softmax(logits[i*n:(i+1)*n]))
		q.where = append(q.where, plane{wide, high, masks[i*high*wide : (i+1)*high*wide]})
	}
	return q, nil
}

// bounded refuses what would take too much memory to make masks of.
func (p *segmenter) bounded(queries, labels, high, wide int64) error {
	if p.config.ModelType == mask2Former {
		high, wide = mask2FormerSide, mask2FormerSide
	}
	switch {
	case queries > maxQueries:
		return engine.Errorf(engine.ErrModelInvalid, "the model gives %d queries, over the limit of %d", queries, maxQueries)
	case max(queries, labels) > maxMasked/high/wide:
		return engine.Errorf(engine.ErrModelInvalid, "the model's %d queries and %d labels of %d × %d pixels are over the limit of %d numbers", queries, labels, wide, high, maxMasked)
	}
	return nil
}

// mask is how sure a query is of each place.
func (p *segmenter) mask(logits plane) plane {
	if p.config.ModelType == mask2Former {
		logits = logits.resized(mask2FormerSide, mask2FormerSide)
	}
	out := plane{logits.width, logits.height, make([]float32, len(logits.values))}
	for i, v := range logits.values {
		out.values[i] = float32(sigmoid(float64(v)))
	}
	return out
}

// semantic are the scores of each label, one behind the other, and their size.
func (p *segmenter) semantic(ctx context.Context, q queries) (values []float32, labels, high, wide int, err error) {
	labels = len(q.labels[0]) - 1
	for i, logits := range q.where {
		if ctx.Err() != nil {
			return nil, 0, 0, 0, ctx.Err()
		}
		mask := p.mask(logits)
		if values == nil {
			high, wide = mask.height, mask.width
			values = make([]float32, labels*high*wide)
		}
		for label := range labels {
			sure := float32(q.labels[i][label])
			for at, v := range mask.values {
				values[label*len(mask.values)+at] += sure * v
			}
		}
	}
	return values, labels, high, wide, nil
}

// An object is what a query found.
type object struct {
	label int
	score float64
	mask  plane
}

// panoptic gives each pixel to the object that is surest of it, if enough of
// what the object is sure of is left to it.
func (p *segmenter) panoptic(ctx context.Context, q queries, o segmenting, picture *images.Picture) (segments, error) {
	m := newSegments(picture)
	m.objects = []object{} // those found, numbered from 1
	var asked []object
	for i, scores := range q.labels {
		if ctx.Err() != nil {
			return m, ctx.Err()
		}
		if label := best(scores, 1)[0]; label != len(scores)-1 && scores[label] > o.Threshold {
			asked = append(asked, object{label, scores[label], p.mask(q.where[i])})
		}
	}
	if len(asked) == 0 {
		return m, nil
	}
	sure, left, err := m.take(ctx, asked, float32(o.MaskThreshold))
	if err != nil {
		return m, err
	}
	numbers := make([]uint16, len(asked))
	for k, a := range asked {
		if left[k] > 0 && sure[k] > 0 && float64(float32(left[k])/float32(sure[k])) > o.Overlap {
			m.objects = append(m.objects, a)
			numbers[k] = uint16(len(m.objects))
		}
	}
	for at, k := range m.labels {
		m.labels[at] = numbers[k]
	}
	return m, nil
}

// take gives each pixel to the object that is surest of it, and counts of how
// many pixels each is sure enough, and how many it gets.
func (m segments) take(ctx context.Context, asked []object, enough float32) (sure, left []int, err error) {
	sure, left = make([]int, len(asked)), make([]int, len(asked))
	most := make([]float32, len(m.labels))
	for k, a := range asked {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		xs, ys := stretch(a.mask.width, m.width), stretch(a.mask.height, m.height)
		for j, y := range ys {
			for i, x := range xs {
				at := j*m.width + i
				v := a.mask.at(x, y) * float32(a.score)
				if v >= enough {
					sure[k]++
				}
				if k == 0 || v > most[at] {
					most[at], m.labels[at] = v, uint16(k)
				}
			}
		}
	}
	for _, k := range m.labels {
		left[k]++
	}
	return sure, left, nil
}
