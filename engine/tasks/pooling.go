package tasks

import (
	"math"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// pool makes one vector of each text's token vectors; an output of rank 2 has
// them pooled already.
func pool(how string, shape []int64, values []float32, encoded []tokenizer.Encoding, batch []int, length int, vectors [][]float32) error {
	rows := int64(len(batch))
	switch {
	case len(shape) == 2 && shape[0] == rows && shape[1] > 0:
		dim := int(shape[1])
		for row, i := range batch {
			vectors[i] = slices.Clone(values[row*dim : (row+1)*dim])
		}
		return nil
	case len(shape) == 3 && shape[0] == rows && shape[1] == int64(length) && shape[2] > 0:
		dim := int(shape[2])
		for row, i := range batch {
			at := row * length * dim
			vectors[i] = poolTokens(how, values[at:at+len(encoded[i].IDs)*dim], dim)
		}
		return nil
	}
	return engine.Errorf(engine.ErrModelInvalid, "the model's output has shape %v; vectors need [batch, dim] or [batch, tokens, dim]", shape)
}

// poolTokens combines the vectors of a text's tokens, padding not among them.
func poolTokens(how string, tokens []float32, dim int) []float32 {
	out := slices.Clone(tokens[:dim])
	if how == "cls" {
		return out
	}
	for at := dim; at < len(tokens); at += dim {
		for d := range out {
			if v := tokens[at+d]; how == "mean" {
				out[d] += v
			} else if v > out[d] {
				out[d] = v
			}
		}
	}
	if n := float32(len(tokens) / dim); how == "mean" {
		for d := range out {
			out[d] /= n
		}
	}
	return out
}

func norm(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// cosines compares each pair of vectors, to four decimals.
func cosines(vs [][]float32) [][]float64 {
	out := make([][]float64, len(vs))
	for i, a := range vs {
		out[i] = make([]float64, len(vs))
		for j, b := range vs {
			dot := 0.0
			for d := range a {
				dot += float64(a[d]) * float64(b[d])
			}
			if scale := norm(a) * norm(b); scale > 0 {
				dot /= scale
			}
			out[i][j] = math.Round(dot*1e4) / 1e4
		}
	}
	return out
}
