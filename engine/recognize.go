package engine

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// An Example is one call that a model answers: Inputs, or Record for a task
// whose inputs have several fields.
type Example struct {
	Inputs     []string
	Record     json.RawMessage
	Parameters json.RawMessage // nil if none are needed
}

// An Exampler is a pipeline whose model decides what an example must hold.
type Exampler interface {
	Example() Example
}

// Recognized is what a model's files say that it is for.
type Recognized struct {
	Task    string   // "" if they don't say
	Example *Example // nil where any of the task will do

	Measurable bool // it can be run on noise
}

// Recognize finds out what a stored model is for. The error is why it can't
// serve that: a file it lacks, or a task that this program has not.
func (e *Engine) Recognize(ctx context.Context, a StoredModel) (Recognized, error) {
	m, err := e.loaded.get(a)
	if err != nil {
		return Recognized{}, err
	}
	r := Recognized{Task: m.task()}
	if file, err := m.OnnxFile(); err == nil {
		if g, err := m.graph(file); err == nil {
			_, err = noise(g, file, 1)
			r.Measurable = err == nil
		}
	}
	if r.Task == "" {
		return r, nil
	}
	p, _, err := e.pipeline(ctx, m, "")
	if x, ok := p.(Exampler); ok {
		example := x.Example()
		r.Example = &example
	}
	return r, err
}

// unknownTask is the error for a model whose files don't say what it is for:
// what they do say, and which tasks its inputs would fit.
func (m *loadedModel) unknownTask(known []string) error {
	err := Errorf(ErrTaskUnknown, "the model's files don't say what it is for")
	err.ValidValues = known
	if class := m.architecture(); class != "" {
		err.Message += ": config.json names " + class
	}
	if file, e := m.OnnxFile(); e == nil {
		if g, e := m.graph(file); e == nil {
			err.Message += ", " + takes(g)
			if fit := fitting(g, known); len(fit) > 0 {
				err.ValidValues = fit
			}
		}
	}
	return err.WithHint("name the \"task\", or pass raw \"tensors\", which always works")
}

// takes lists what a graph takes and gives.
func takes(g Graph) string {
	names := func(values []ValueInfo) string {
		var out []string
		for _, v := range values[:min(len(values), 6)] {
			out = append(out, v.Name)
		}
		return strings.Join(out, ", ")
	}
	return "it takes " + names(g.Inputs) + " and gives " + names(g.Outputs)
}

// inputTasks are the tasks by an input that their models have.
var inputTasks = map[string][]string{
	"input_ids": {
		"feature-extraction", "text-classification", "token-classification", "question-answering", "fill-mask", "text-ranking", "zero-shot-classification",
		"text-generation", "summarization", "translation", "text2text-generation",
	},
	"pixel_values":   {"image-classification", "object-detection", "image-segmentation", "depth-estimation", "image-feature-extraction"},
	"input_values":   {"automatic-speech-recognition", "audio-classification"},
	"input_features": {"automatic-speech-recognition"},
}

// fitting are those of the known tasks that a graph's inputs fit; nil if that
// can't be said.
func fitting(g Graph, known []string) []string {
	var out []string
	for _, v := range g.Inputs {
		for _, task := range inputTasks[v.Name] {
			if slices.Contains(known, task) {
				out = append(out, task)
			}
		}
	}
	return out
}
