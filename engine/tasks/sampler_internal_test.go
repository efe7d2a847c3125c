package tasks

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// What may be chosen, and how likely, is what transformers' processors of
// logits make of it.
func TestSampler_equalsReference(t *testing.T) {
	data, err := os.ReadFile("testdata/warped.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Parameters json.RawMessage `json:"parameters"`
		Logits     []float32       `json:"logits"`
		Seen       []int64         `json:"seen"`
		Probs      []float64       `json:"probs"`
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		o := sampling{Temperature: 1, TopP: 1, RepetitionPenalty: 1}
		if err := json.Unmarshal(c.Parameters, &o); err != nil {
			t.Fatal(err)
		}
		s := newSampler(o, c.Seen)
		s.penalize(c.Logits)
		got := make([]float64, len(c.Logits))
		for _, tok := range s.probabilities(c.Logits) {
			got[tok.id] = tok.p
		}
		for id, want := range c.Probs {
			if math.Abs(got[id]-want) > 1e-6 {
				t.Errorf("%s: token %d has %g; want %g", c.Parameters, id, got[id], want)
			}
		}
	}
}

// min_p is of the likeliest token's probability.
func TestSampler_minP(t *testing.T) {
	s := newSampler(sampling{Temperature: 1, TopP: 1, MinP: 0.3, RepetitionPenalty: 1}, nil)
	left := s.probabilities([]float32{0, float32(math.Log(0.5)), float32(math.Log(0.2)), float32(math.Log(0.31))})
	if len(left) != 3 || left[0].id != 0 || left[2].id != 3 {
		t.Errorf("left %v", left)
	}
}
