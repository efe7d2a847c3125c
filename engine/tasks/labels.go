package tasks

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// headConfig is what config.json says of a model's head.
type headConfig struct {
	Labels      map[string]string `json:"id2label"`
	ProblemType string            `json:"problem_type"`
	NumLabels   int               `json:"num_labels"`
	ModelType   string            `json:"model_type"`
}

// label is the name of a class, as transformers has it where there is none.
func (c headConfig) label(i int) string {
	if name, ok := c.Labels[strconv.Itoa(i)]; ok {
		return name
	}
	return "LABEL_" + strconv.Itoa(i)
}

// function is what the model's head asks for.
func (c headConfig) function(labels int) string {
	switch {
	case c.ProblemType == "multi_label_classification" || labels == 1 && c.ProblemType != "regression":
		return "sigmoid"
	case c.ProblemType == "regression":
		return "none"
	}
	return "softmax"
}

// maxLabels bounds the labels of a model that classifies.
const maxLabels = 1 << 17

// ranked are the likeliest labels, at least one; all if topK is nil. function
// is the head's if it is "".
func (c headConfig) ranked(item int, logits []float32, function string, topK *int) ([]engine.Output, error) {
	if len(logits) > maxLabels {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model gives %d labels, over the limit of %d", len(logits), maxLabels)
	}
	if function == "" {
		function = c.function(len(logits))
	}
	scores, n := apply(function, logits), 0
	if topK != nil {
		n = max(1, *topK)
	}
	var out []engine.Output
	for _, i := range best(scores, n) {
		out = append(out, engine.Output{Item: item, Label: c.label(i), Score: score6(scores[i])})
	}
	return out, nil
}

// textRecord is an input of two texts, or of one.
type textRecord struct {
	Text string `json:"text"`
	Pair string `json:"text_pair"`
}

// textOf reads an input of a task on single texts or pairs.
func textOf(item engine.Item) (textRecord, error) {
	if item.Record == nil {
		return textRecord{Text: item.Text}, nil
	}
	var r textRecord
	return r, readRecord(item.Record, &r)
}

// readRecord decodes an input of several fields. Unknown ones are an error.
func readRecord(raw json.RawMessage, v any) error {
	err := readParameters(raw, v)
	if err == nil {
		return nil
	}
	e := engine.Errorf(engine.ErrInvalidArgument, "a record does not fit the task: %w", err)
	e.ValidValues = parameterNames(v)
	return e
}

// texts are the parts of a record that are there.
func (r textRecord) texts() []string {
	if r.Pair == "" {
		return []string{r.Text}
	}
	return []string{r.Text, r.Pair}
}

// softmax turns logits into probabilities.
func softmax(logits []float32) []float64 {
	most := slices.Max(logits)
	out := make([]float64, len(logits))
	sum := 0.0
	for i, x := range logits {
		out[i] = math.Exp(float64(x - most))
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// apply is the function of a head: softmax, sigmoid or none.
func apply(function string, logits []float32) []float64 {
	if function == "softmax" {
		return softmax(logits)
	}
	out := make([]float64, len(logits))
	for i, x := range logits {
		out[i] = float64(x)
		if function == "sigmoid" {
			out[i] = sigmoid(float64(x))
		}
	}
	return out
}

// best returns the indexes of the n greatest scores, the greatest first; n of
// 0 or less is all.
func best(scores []float64, n int) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	if n > 0 {
		order = order[:min(n, len(order))]
	}
	return order
}

// score6 rounds a score to what is shown of it.
func score6(x float64) *float64 {
	x = math.Round(x*1e6) / 1e6
	return &x
}
