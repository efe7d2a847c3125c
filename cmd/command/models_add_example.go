package command

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// What examples have for a picture, and for a sound: the user's own.
const (
	aPicture = "photo.jpg"
	aSound   = "speech.wav"
)

// examples show a call of each task that is alike for all models.
var examples = map[string]engine.Example{
	"feature-extraction":             {Inputs: []string{"a fox in the snow", "a vixen in winter"}, Parameters: json.RawMessage(`{"similarity":true}`)},
	"sentence-similarity":            {Record: json.RawMessage(`{"source_sentence":"a red fox","sentences":["a crimson vixen","taxes are due"]}`)},
	"text-classification":            {Inputs: []string{"What a good film!"}},
	"token-classification":           {Inputs: []string{"Anna Smith lives in Paris."}},
	"zero-shot-classification":       {Inputs: []string{"The goalkeeper saved a penalty."}, Parameters: json.RawMessage(`{"candidate_labels":["sports","politics"]}`)},
	"question-answering":             {Record: json.RawMessage(`{"question":"Where does Anna live?","context":"Anna lives in Paris."}`)},
	"text-ranking":                   {Inputs: []string{"Berlin is in Germany.", "Foxes eat mice."}, Parameters: json.RawMessage(`{"query":"Where is Berlin?"}`)},
	"text-generation":                {Inputs: []string{"What is the capital of France?"}},
	"summarization":                  {Inputs: []string{"The river runs through the old city, and in the evening the light lies on the water like glass."}},
	"text2text-generation":           {Inputs: []string{"The river runs through the old city."}},
	"image-classification":           {Inputs: []string{aPicture}},
	"object-detection":               {Inputs: []string{aPicture}, Parameters: json.RawMessage(`{"annotate":true}`)},
	"image-segmentation":             {Inputs: []string{aPicture}, Parameters: json.RawMessage(`{"annotate":true}`)},
	"depth-estimation":               {Inputs: []string{aPicture}},
	"image-feature-extraction":       {Inputs: []string{aPicture}},
	"image-to-text":                  {Inputs: []string{aPicture}},
	"zero-shot-image-classification": {Inputs: []string{aPicture}, Parameters: json.RawMessage(`{"candidate_labels":["a cat","a dog"]}`)},
	"automatic-speech-recognition":   {Inputs: []string{aSound}},
	"voice-activity-detection":       {Inputs: []string{aSound}},
	"audio-classification":           {Inputs: []string{aSound}},
}

// recognize says what a model is for, and a command that has it do that. A
// model whose files don't say can be measured on noise.
func (a *app) recognize(ctx context.Context, m engine.StoredModel, info *modelInfo) {
	found, err := a.engine.Recognize(ctx, m)
	info.Task = cmp.Or(found.Task, info.Task)
	name := quoted(cmp.Or(info.Name, info.CID))
	example, known := examples[found.Task]
	if found.Example != nil {
		example, known = *found.Example, true
	}
	switch {
	case len(info.Warnings) > 0: // it does not run
	case err != nil:
		info.Warnings = append(info.Warnings, err.Error())
	case found.Task == "" && found.Measurable:
		info.Try = "ipfs-accelerate bench " + name
	case found.Task != "" && known:
		info.Try = "ipfs-accelerate infer " + name + arguments(example)
	}
}

// arguments are those of infer.
func arguments(x engine.Example) string {
	inputs := x.Inputs
	if x.Record != nil {
		inputs = []string{string(x.Record)}
	}
	var out strings.Builder
	for _, input := range inputs {
		out.WriteString(" " + quoted(input))
	}
	if x.Parameters != nil {
		out.WriteString(" --parameters " + quoted(string(x.Parameters)))
	}
	return out.String()
}

// quoted is a word as a shell reads it.
func quoted(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
