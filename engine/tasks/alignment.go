package tasks

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/audio"
)

// crossAttentions begins the names of the outputs, one for each layer of a
// decoder, that say which moments of the sound a token looks at.
const crossAttentions = "cross_attentions."

// maxAligned bounds the heads of a decoder that are listened to.
const maxAligned = 64

// alignedBy are the heads that times of words are found by, or an error that
// says what the model lacks.
func (p *whisper) alignedBy() ([][2]int, error) {
	refuse := func(format string, values ...any) error {
		return engine.Errorf(engine.ErrUnsupported, format, values...).
			WithHint("export it with cross attentions (output_attentions of optimum's main_export, or --output_attentions of transformers.js's scripts.convert) and its generation_config.json, " +
				"or pass return_timestamps true for the times of sentences")
	}
	heads := p.config.AlignmentHeads
	if len(heads) == 0 {
		return nil, refuse("generation_config.json has no alignment_heads, which times of words are found by")
	}
	if len(heads) > maxAligned {
		return nil, engine.Errorf(engine.ErrModelInvalid, "generation_config.json has %d alignment_heads, more than %d", len(heads), maxAligned)
	}
	for _, h := range heads {
		name := fmt.Sprint(crossAttentions, h[0])
		for _, g := range []decoderGraph{p.decoder.first, p.decoder.next} {
			if !slices.ContainsFunc(g.Outputs, func(v engine.ValueInfo) bool { return v.Name == name }) {
				return nil, refuse("%s has no cross-attention output %q, which times of words are found by", g.file, name)
			}
		}
	}
	return heads, nil
}

// An alignment is what some heads of a decoder look at, token by token.
type alignment struct {
	heads   [][2]int    // layer, head
	moments int         // of the sound that there is: what is behind it is silence
	columns int64       // of what a layer gives: its moments of sound and silence; 0 before it gave any
	looks   [][]float32 // of each head: of each token, of each moment
}

// take notes what a run of the decoder over so many tokens looked at. Each
// layer looks from every token at as many moments as all others do.
func (a *alignment) take(out engine.Tensors, tokens int) error {
	if a.looks == nil {
		a.looks = make([][]float32, len(a.heads))
	}
	for i, h := range a.heads {
		name := fmt.Sprint(crossAttentions, h[0])
		values, shape, err := floats(out, name, 1, -1, int64(tokens), cmp.Or(a.columns, -1))
		if err != nil {
			return err
		}
		if h[1] < 0 || int64(h[1]) >= shape[1] || shape[3] < int64(a.moments) {
			return engine.Errorf(engine.ErrModelInvalid, "the model's output %q has shape %v, without head %d of %d moments", name, shape, h[1], a.moments)
		}
		a.columns = shape[3]
		columns := int(shape[3])
		for t := range tokens {
			at := (h[1]*tokens + t) * columns
			a.looks[i] = append(a.looks[i], values[at:at+a.moments]...)
		}
	}
	return nil
}

// times are the seconds of a window at which tokens begin, of all that were
// read. Looks are compared between tokens, smoothed by a median over width
// moments and averaged over the heads; time then goes forward with the tokens
// along the path that looks most.
func (a *alignment) times(ctx context.Context, width int) ([]float64, error) {
	tokens := len(a.looks[0]) / a.moments
	mean := make([]float64, tokens*a.moments)
	row := make([]float64, a.moments)
	for _, looks := range a.looks {
		standardize(looks, a.moments)
		for t := range tokens {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			medians(row, looks[t*a.moments:(t+1)*a.moments], width)
			for f, v := range row {
				mean[t*a.moments+f] += v / float64(len(a.looks))
			}
		}
	}
	starts := warp(mean, a.moments)
	out := make([]float64, tokens)
	for t, f := range starts {
		out[t] = float64(f*whisperStep*audio.Hop) / audio.Rate
	}
	return out, nil
}

// standardize gives each column of a matrix a mean of 0 and a variance of 1.
func standardize(values []float32, columns int) {
	rows := float64(len(values) / columns)
	for c := range columns {
		mean, variance := 0.0, 0.0
		for i := c; i < len(values); i += columns {
			mean += float64(values[i]) / rows
		}
		for i := c; i < len(values); i += columns {
			variance += (float64(values[i]) - mean) * (float64(values[i]) - mean) / rows
		}
		scale := math.Sqrt(variance)
		for i := c; i < len(values); i += columns {
			if values[i] -= float32(mean); scale > 0 {
				values[i] /= float32(scale)
			}
		}
	}
}

// medians puts into out the median of so many values around each, mirrored at
// the ends; an even width is one less, and too few values stay as they are.
func medians(out []float64, values []float32, width int) {
	half := max(width-1, 0) / 2
	n := len(values)
	around := make([]float32, 2*half+1)
	for i := range out {
		if n <= half {
			out[i] = float64(values[i])
			continue
		}
		for k := range around {
			j := i + k - half
			if j < 0 {
				j = -j
			} else if j >= n {
				j = 2*(n-1) - j
			}
			around[k] = values[j]
		}
		slices.Sort(around)
		out[i] = float64(around[half])
	}
}

// warp finds the path through a matrix, from its first place to its last and
// never back, whose values are most (dynamic time warping): the column where
// the path enters each row.
func warp(matrix []float64, columns int) []int {
	const both, down, right = 0, 1, 2
	rows := len(matrix) / columns
	steps := make([]byte, len(matrix))
	before, cost := make([]float32, columns+1), make([]float32, columns+1) // of the row above, and of this one
	inf := float32(math.Inf(1))
	fill32(before[1:], inf)
	for r := range rows {
		cost[0] = inf
		for c := 1; c <= columns; c++ {
			least, step := cost[c-1], byte(right)
			switch b, d := before[c-1], before[c]; {
			case b < d && b < least:
				least, step = b, both
			case d < b && d < least:
				least, step = d, down
			}
			cost[c], steps[r*columns+c-1] = float32(float64(least)-matrix[r*columns+c-1]), step
		}
		before, cost = cost, before
	}
	out := make([]int, rows)
	for r, c := rows-1, columns-1; r >= 0 && c >= 0; {
		out[r] = c
		switch steps[r*columns+c] {
		case both:
			r, c = r-1, c-1
		case down:
			r--
		default:
			c--
		}
	}
	return out
}
