package tasks

import (
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// mask2FormerSide is the side that Mask2Former's masks are stretched to first.
const mask2FormerSide = 384

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
	n, high, wide := int(shape[2]), int(size[2]), int(size[3])
	for i := range int(shape[1]) {
		q.labels = append(q.labels, softmax(logits[i*n:(i+1)*n]))
		q.where = append(q.where, plane{wide, high, masks[i*high*wide : (i+1)*high*wide]})
	}
	return q, nil
}

// mask is how sure a query is of each place.
func (p *segmenter) mask(logits plane) plane {
	if p.config.ModelType == "mask2former" {
		logits = logits.resized(mask2FormerSide, mask2FormerSide)
	}
	out := plane{logits.width, logits.height, make([]float32, len(logits.values))}
	for i, v := range logits.values {
		out.values[i] = float32(sigmoid(float64(v)))
	}
	return out
}

// semantic are the scores of each label, one behind the other, and their size.
func (p *segmenter) semantic(q queries) (values []float32, labels, high, wide int) {
	labels = len(q.labels[0]) - 1
	for i, logits := range q.where {
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
	return values, labels, high, wide
}

// An object is what a query found.
type object struct {
	label int
	score float64
	mask  plane
}

// panoptic gives each pixel to the object that is surest of it, if enough of
// what the object is sure of is left to it.
func (p *segmenter) panoptic(q queries, o segmenting, picture *images.Picture) segments {
	m := newSegments(picture)
	m.objects = []object{} // those found, numbered from 1
	var asked []object
	for i, scores := range q.labels {
		if label := best(scores, 1)[0]; label != len(scores)-1 && scores[label] > o.Threshold {
			asked = append(asked, object{label, scores[label], p.mask(q.where[i])})
		}
	}
	if len(asked) == 0 {
		return m
	}
	sure, left := m.take(asked, float32(o.MaskThreshold))
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
	return m
}

// take gives each pixel to the object that is surest of it, and counts of how
// many pixels each is sure enough, and how many it gets.
func (m segments) take(asked []object, enough float32) (sure, left []int) {
	sure, left = make([]int, len(asked)), make([]int, len(asked))
	most := make([]float32, len(m.labels))
	for k, a := range asked {
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
	return sure, left
}
