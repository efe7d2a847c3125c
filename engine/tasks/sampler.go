package tasks

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// A sampler chooses tokens. The order of its steps, and what each does, is
// that of transformers' logits processors.
type sampler struct {
	o      sampling
	random *rand.Rand // nil chooses the likeliest
	seen   map[int64]bool
}

func newSampler(o sampling, prompt []int64) *sampler {
	s := &sampler{o: o, seen: map[int64]bool{}}
	if o.DoSample != nil && *o.DoSample {
		s.random = rand.New(rand.NewPCG(o.Seed, o.Seed))
	}
	for _, id := range prompt {
		s.seen[id] = true
	}
	return s
}

// next chooses a token by its logits, which it changes.
func (s *sampler) next(logits []float32) int {
	s.penalize(logits)
	var id int
	if s.random == nil {
		id = likeliest(logits)
	} else {
		id = s.draw(s.probabilities(logits))
	}
	s.seen[int64(id)] = true
	return id
}

// plain reports whether the likeliest token is always chosen, whatever was there.
func (s *sampler) plain() bool { return s.random == nil && s.o.RepetitionPenalty == 1 }

// likeliest is the first of the tokens with the highest logit.
func likeliest(logits []float32) int {
	id := 0
	for i, v := range logits {
		if v > logits[id] {
			id = i
		}
	}
	return id
}

// penalize makes tokens that were there less likely: positive logits are
// divided, negative ones multiplied.
func (s *sampler) penalize(logits []float32) {
	if s.o.RepetitionPenalty == 1 {
		return
	}
	penalty := float32(s.o.RepetitionPenalty)
	for id := range s.seen {
		switch {
		case id < 0 || id >= int64(len(logits)):
		case logits[id] > 0:
			logits[id] /= penalty
		default:
			logits[id] *= penalty
		}
	}
}

// A token is one that may be chosen.
type token struct {
	id int
	p  float64
}

// probabilities are those of the tokens that may be chosen, the likeliest
// first; together they are 1.
func (s *sampler) probabilities(logits []float32) []token {
	ts := make([]token, len(logits))
	for i, v := range logits {
		ts[i] = token{i, float64(v) / s.o.Temperature}
	}
	slices.SortStableFunc(ts, func(a, b token) int { return cmp.Compare(b.p, a.p) })
	if s.o.TopK > 0 && s.o.TopK < len(ts) {
		k := s.o.TopK
		for k < len(ts) && ts[k].p == ts[k-1].p { // equals of the last stay, as there
			k++
		}
		ts = ts[:k]
	}
	most := ts[0].p // taken off, so that nothing overflows
	for i := range ts {
		ts[i].p = math.Exp(ts[i].p - most)
	}
	normalize(ts)
	ts = ts[:s.cut(ts)]
	normalize(ts)
	return ts
}

// cut is how many tokens top_p and min_p leave.
func (s *sampler) cut(ts []token) int {
	n, sum := len(ts), 0.0
	if s.o.TopP < 1 {
		for i, t := range ts {
			if sum >= s.o.TopP {
				n = i
				break
			}
			sum += t.p
		}
	}
	for n > 1 && (ts[n-1].p < s.o.MinP*ts[0].p || ts[n-1].p == 0) {
		n--
	}
	return max(n, 1)
}

// normalize has the probabilities be 1 together.
func normalize(ts []token) {
	sum := 0.0
	for _, t := range ts {
		sum += t.p
	}
	for i := range ts {
		ts[i].p /= sum
	}
}

// draw chooses by probability.
func (s *sampler) draw(ts []token) int {
	at := s.random.Float64()
	for _, t := range ts {
		if at -= t.p; at < 0 {
			return t.id
		}
	}
	return ts[len(ts)-1].id
}
