package tasks

import (
	"math"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// pool makes one vector of a text's token vectors; a row of rank 1 has them
// pooled already.
func pool(how string, r row, tokens int) ([]float32, error) {
	switch {
	case len(r.shape) == 1 && r.shape[0] > 0:
		return slices.Clone(r.values), nil
	case len(r.shape) == 2 && r.shape[0] == int64(tokens) && r.shape[1] > 0:
		return poolTokens(how, r.values, int(r.shape[1])), nil
	}
	return nil, engine.Errorf(engine.ErrModelInvalid, "the model's output has shape [batch %v]; vectors need [batch, dim] or [batch, tokens, dim]", r.shape)
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
