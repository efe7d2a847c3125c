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
	case len(r.shape) == 2 && tokens > 0 && r.shape[0] == int64(tokens) && r.shape[1] > 0:
		return poolTokens(how, r.values, int(r.shape[1])), nil
	}
	return nil, engine.Errorf(engine.ErrModelInvalid, "the model's output has shape [batch %v]; vectors need [batch, dim] or [batch, tokens, dim]", r.shape)
}

// poolings are how vectors of tokens become one.
var poolings = []string{"mean", "cls", "max", "mean_sqrt_len", "weightedmean", "lasttoken"}

// poolTokens combines the vectors of a text's tokens, padding not among them.
func poolTokens(how string, tokens []float32, dim int) []float32 {
	n := len(tokens) / dim
	switch how {
	case "cls":
		return slices.Clone(tokens[:dim])
	case "lasttoken":
		return slices.Clone(tokens[len(tokens)-dim:])
	case "max":
		out := slices.Clone(tokens[:dim])
		for i, v := range tokens {
			out[i%dim] = max(out[i%dim], v)
		}
		return out
	}
	out := make([]float32, dim)
	scale, weight := 1/float32(n), func(int) float32 { return 1 }
	switch how {
	case "mean_sqrt_len":
		scale = 1 / float32(math.Sqrt(float64(n)))
	case "weightedmean": // later ones count more
		scale, weight = 2/float32(n*(n+1)), func(token int) float32 { return float32(token + 1) }
	}
	for i, v := range tokens {
		out[i%dim] += v * weight(i/dim)
	}
	for d := range out {
		out[d] *= scale
	}
	return out
}

// alikeLong refuses vectors of unlike lengths, which nothing compares.
func alikeLong(vectors [][]float32) error {
	for _, v := range vectors {
		if len(v) != len(vectors[0]) {
			return engine.Errorf(engine.ErrModelInvalid, "the model gives vectors of %d numbers, and of %d", len(vectors[0]), len(v))
		}
	}
	return nil
}

// cosine is how alike the directions of two vectors are; nothing is like a
// vector of zeros.
func cosine(a, b []float32) float64 {
	dot := 0.0
	for d := range a {
		dot += float64(a[d]) * float64(b[d])
	}
	if scale := norm(a) * norm(b); scale > 0 {
		return dot / scale
	}
	return 0
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
			out[i][j] = math.Round(cosine(a, b)*1e4) / 1e4
		}
	}
	return out
}
