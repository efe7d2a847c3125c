package tasks

import (
	"encoding/json"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// sampling are the parameters of all tasks that write.
type sampling struct {
	MaxNewTokens      int     `json:"max_new_tokens"`
	DoSample          *bool   `json:"do_sample"`
	Temperature       float64 `json:"temperature"`
	TopK              int     `json:"top_k"`
	TopP              float64 `json:"top_p"`
	MinP              float64 `json:"min_p"`
	RepetitionPenalty float64 `json:"repetition_penalty"`
	Seed              uint64  `json:"seed"`
}

// usualSampling is what holds where neither the model nor the caller says.
var usualSampling = sampling{MaxNewTokens: 256, Temperature: 1, TopK: 50, TopP: 1, RepetitionPenalty: 1}

// samplingDoc are rows of a table of parameters.
const samplingDoc = `| do_sample | the model's | choose at random by probability; else always the likeliest token |
| temperature | the model's, or 1 | above 1 is more varied, below 1 less |
| top_k | the model's, or 50 | only of so many likeliest; 0 is all |
| top_p | the model's, or 1 | only of the likeliest that together have this probability |
| min_p | 0 | only of those with this part of the likeliest one's probability |
| repetition_penalty | the model's, or 1 | above 1 makes tokens that were there less likely |
| seed | 0 | another seed, another choice; the same, the same |

Passing temperature, top_k, top_p, min_p or seed asks for do_sample.`

// random are the parameters that are of no use without do_sample.
var random = []string{"temperature", "top_k", "top_p", "min_p", "seed"}

func (o *sampling) check() error {
	for _, c := range []struct {
		ok    bool
		name  string
		wants string
	}{
		{o.MaxNewTokens > 0, "max_new_tokens", "above 0"},
		{o.Temperature > 0, "temperature", "above 0; for the likeliest text pass do_sample false"},
		{o.TopK >= 0, "top_k", "0 or more"},
		{o.TopP > 0 && o.TopP <= 1, "top_p", "above 0 and at most 1"},
		{o.MinP >= 0 && o.MinP <= 1, "min_p", "from 0 to 1"},
		{o.RepetitionPenalty > 0, "repetition_penalty", "above 0"},
	} {
		if !c.ok {
			return engine.Errorf(engine.ErrInvalidArgument, "parameter %q must be %s", c.name, c.wants)
		}
	}
	return nil
}

// read takes what one of the model's files says of the parameters that are
// settings of transformers too.
func (o *sampling) read(m *engine.Model, file string) error {
	_, err := readJSON(m, file, &struct {
		DoSample          **bool   `json:"do_sample"`
		Temperature       *float64 `json:"temperature"`
		TopK              *int     `json:"top_k"`
		TopP              *float64 `json:"top_p"`
		RepetitionPenalty *float64 `json:"repetition_penalty"`
	}{&o.DoSample, &o.Temperature, &o.TopK, &o.TopP, &o.RepetitionPenalty})
	return err
}

// choose decides whether to choose at random, once the parameters are read:
// as the caller says, or as what was passed makes sense, or as the model does.
func (o *sampling) choose(r engine.Request, model sampling) {
	var given map[string]json.RawMessage
	if json.Unmarshal(r.Parameters, &given) != nil {
		return
	}
	if _, said := given["do_sample"]; said {
		return
	}
	if o.DoSample = model.DoSample; slices.ContainsFunc(random, func(name string) bool { return given[name] != nil }) {
		yes := true
		o.DoSample = &yes
	}
}
