package tasks

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A beam is one of the texts that are followed at once.
type beam struct {
	tokens []int64
	score  float64 // the sum of its tokens' log-probabilities
	at     string  // what it is remembered under
	logits []float32
}

// A candidate is a beam and what may come next in it.
type candidate struct {
	from  int
	token int64
	score float64
}

// A finished text, by its score for each token.
type finished struct {
	tokens []int64
	score  float64
	ended  bool // by itself
}

// beams follow the likeliest texts side by side, as transformers'
// BeamSearchScorer does for one input.
type beams struct {
	w    *rewritten
	text *recall
	now  []beam
	done []finished // at most as many as beams
}

// leastScore keeps beams that are the same at first from being followed.
const leastScore = -1e9

// search writes the best text found, and says why it ends.
func (w *rewritten) search(ctx context.Context, text *recall) (string, error) {
	logits, err := text.begin(ctx, w.tokens)
	if err != nil {
		return "", err
	}
	s := &beams{w: w, text: text}
	for i := range w.o.Beams {
		s.now = append(s.now, beam{tokens: w.tokens, score: leastScore * float64(min(i, 1)), at: text.at, logits: slices.Clone(logits)})
	}
	for ended := false; !ended; {
		found := s.candidates()
		if ended = s.advance(found) || len(s.now) == 0; ended {
			break
		}
		if w.full(s.now[0].tokens) {
			for _, b := range s.now {
				s.finish(b.tokens, b.score, len(b.tokens)-1, false)
			}
			break
		}
		if err := s.read(ctx); err != nil {
			return "", err
		}
		tell(w.report, w.p.tok.Decode(s.now[0].tokens[1:], false), len(s.now[0].tokens)-1, w.o.MaxNewTokens)
	}
	if len(s.done) == 0 {
		return "", engine.Errorf(engine.ErrModelInvalid, "the model says of no token that it may come next")
	}
	best := slices.MaxFunc(s.done, func(a, b finished) int { return compareScores(a.score, b.score) })
	w.tokens = best.tokens
	if best.ended {
		return "stop", nil
	}
	return "length", nil
}

func compareScores(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// candidates are the best of what may come next, over all beams: so many that
// there are enough even if some of each are ends.
func (s *beams) candidates() []candidate {
	n := max(2, 1+len(s.w.o.config.End)) * s.w.o.Beams
	var found []candidate
	for i, b := range s.now {
		logSoftmax(b.logits)
		newSampler(s.w.o.sampling, b.tokens).penalize(b.logits)
		s.w.forbid(b.logits, b.tokens)
		for token, v := range b.logits {
			if score := float64(v) + b.score; v > never && (len(found) < n || score > found[n-1].score) {
				at, _ := slices.BinarySearchFunc(found, score, func(c candidate, score float64) int {
					if c.score >= score { // equals of lower beams and tokens come first
						return -1
					}
					return 1
				})
				found = slices.Insert(found, at, candidate{i, int64(token), score})
				found = found[:min(len(found), n)]
			}
		}
	}
	return found
}

// logSoftmax turns logits into logarithms of probabilities.
func logSoftmax(logits []float32) {
	most, sum := slices.Max(logits), 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v - most))
	}
	for i, v := range logits {
		logits[i] = float32(float64(v-most) - math.Log(sum))
	}
}

// advance takes the candidates in, and reports whether nothing better can
// come.
func (s *beams) advance(found []candidate) bool {
	count, length := s.w.o.Beams, len(s.now[0].tokens)
	var next []beam
	for rank, c := range found {
		from := s.now[c.from]
		if !slices.Contains(s.w.o.config.End, c.token) {
			next = append(next, beam{tokens: append(slices.Clone(from.tokens), c.token), score: c.score, at: from.at})
		} else if rank < count {
			s.finish(from.tokens, c.score, length, true)
		}
		if len(next) == count {
			break
		}
	}
	s.now = next
	switch {
	case len(s.done) < count || len(found) == 0:
		return false
	case s.w.o.config.EarlyStopping == "true":
		return true
	case s.w.o.config.EarlyStopping == "never" && s.w.o.Penalty > 0:
		length = s.w.o.MaxNewTokens
	}
	return s.worst() >= found[0].score/math.Pow(float64(length), s.w.o.Penalty)
}

// finish keeps a text of so many tokens among the best that have ended.
func (s *beams) finish(tokens []int64, score float64, length int, ended bool) {
	s.done = append(s.done, finished{tokens, score / math.Pow(float64(length), s.w.o.Penalty), ended})
	if len(s.done) > s.w.o.Beams {
		at := 0
		for i, f := range s.done {
			if f.score < s.done[at].score {
				at = i
			}
		}
		s.done = slices.Delete(s.done, at, at+1)
	}
}

func (s *beams) worst() float64 {
	return slices.MinFunc(s.done, func(a, b finished) int { return compareScores(a.score, b.score) }).score
}

// read has the model read the last token of each beam.
func (s *beams) read(ctx context.Context) error {
	for i := range s.now {
		b := &s.now[i]
		to := fmt.Sprintf("%s%d.%d/", s.text.name, len(b.tokens)%2, i)
		logits, err := s.text.branch(ctx, b.tokens[len(b.tokens)-1], b.at, to)
		if err != nil {
			return err
		}
		b.logits, b.at = slices.Clone(logits), to
	}
	return nil
}
