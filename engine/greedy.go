package engine

import (
	"context"
	"maps"
	"slices"
)

// A Greedy run is several steps of a causal language model at once, each with
// the likeliest token of the one before: what would go back and forth between
// them takes as long as a good part of the step of a small model.
//
// The inputs are those of the first step, with input_ids [1, tokens] and maybe
// attention_mask, position_ids and use_cache_branch, by exporters' names; the
// logits are an output, [1, tokens, vocabulary], which is not kept. Instead of it
// there is an output [GreedyTokens], int64 [tokens]: those that were chosen. All
// but the last were read too. A session that does not know Greedy does the first
// step, and returns its logits.
type Greedy struct {
	Steps int               `json:"steps"`          // 1 to MaxGreedy
	Ends  []int64           `json:"ends,omitempty"` // a token of these is the last
	Past  map[string]string `json:"past"`           // by input, the kept output of the step before that it takes
}

// MaxGreedy is how many steps a run makes at most, for others wait meanwhile.
const MaxGreedy = 64

// GreedyTokens is the name of what a Greedy run returns.
const GreedyTokens = "greedy_tokens"

// The names that exporters give to the inputs and the output of language models.
const (
	inputIDs      = "input_ids"
	attentionMask = "attention_mask"
	positionIDs   = "position_ids"
	useCache      = "use_cache_branch"
	logitsName    = "logits"
)

// RunGreedy makes the steps of k.Greedy by run, which is a session's RunKept for
// one step. Keepers do so where they compute.
func RunGreedy(ctx context.Context, run func(context.Context, Tensors, Kept) (Tensors, error), in Tensors, k Kept) (Tensors, error) {
	g := *k.Greedy
	k.Greedy = nil
	if err := g.check(in, k); err != nil {
		return nil, err
	}
	var tokens []int64
	for {
		out, err := run(ctx, in, k)
		if err != nil {
			return nil, err
		}
		token, err := likeliest(out[logitsName])
		if err != nil {
			return nil, err
		}
		delete(out, logitsName)
		tokens = append(tokens, token)
		if len(tokens) == g.Steps || slices.Contains(g.Ends, token) {
			out[GreedyTokens] = NewTensor([]int64{int64(len(tokens))}, tokens)
			return out, nil
		}
		if in = after(in, token); len(tokens) == 1 {
			k = g.next(k) // which is so for all the steps that follow
		}
	}
}

// check refuses what can't be gone on with.
func (g Greedy) check(in Tensors, k Kept) error {
	if g.Steps < 1 || g.Steps > MaxGreedy {
		return Errorf(ErrInvalidArgument, "%d steps at once are not 1 to %d", g.Steps, MaxGreedy)
	}
	for _, output := range g.Past {
		if k.Keep[output] == "" {
			return Errorf(ErrInvalidArgument, "the output %q is taken by a next step but not kept", output)
		}
	}
	if _, kept := k.Keep[logitsName]; kept {
		return Errorf(ErrInvalidArgument, "the logits are kept, so nothing can be chosen")
	}
	for _, name := range []string{inputIDs, attentionMask, positionIDs} {
		t := in[name]
		if t == nil && name != inputIDs {
			continue
		}
		if t == nil || t.DType != Int64 || len(t.Shape) != 2 || t.Shape[0] != 1 || t.Shape[1] < 1 {
			return Errorf(ErrInvalidArgument, "%s must be int64 [1, tokens] for several steps", name)
		}
	}
	return nil
}

// next is what the step after one that kept k takes and keeps.
func (g Greedy) next(k Kept) Kept {
	take := maps.Clone(k.Take)
	if take == nil {
		take = map[string]string{}
	}
	maps.Copy(take, k.Hold)
	for input, output := range g.Past {
		take[input] = k.Keep[output]
	}
	return Kept{Take: take, Keep: k.Keep}
}

// after are the inputs of the step that reads a token, after one with the inputs
// in.
func after(in Tensors, token int64) Tensors {
	out := Tensors{inputIDs: NewTensor([]int64{1, 1}, []int64{token})}
	if t := in[attentionMask]; t != nil {
		mask := append(last(t, int(t.Shape[1])), 1)
		out[attentionMask] = NewTensor([]int64{1, int64(len(mask))}, mask)
	}
	if t := in[positionIDs]; t != nil {
		out[positionIDs] = NewTensor([]int64{1, 1}, []int64{last(t, 1)[0] + 1})
	}
	if t := in[useCache]; t != nil && t.DType == Bool {
		out[useCache] = &Tensor{DType: Bool, Shape: t.Shape, Data: []byte{1}}
	}
	return out
}

// last are copies of the last n numbers of a tensor of int64.
func last(t *Tensor, n int) []int64 {
	values, _ := Values[int64](t) // it is of that type
	return append(make([]int64, 0, n+1), values[len(values)-n:]...)
}

// likeliest is the first of the tokens with the highest logit after the last
// position.
func likeliest(t *Tensor) (int64, error) {
	if t == nil || len(t.Shape) != 3 || t.Shape[0] != 1 || t.Shape[2] < 1 {
		return 0, Errorf(ErrModelInvalid, "the model's logits are not [1, tokens, vocabulary]")
	}
	all, err := Values[float32](t)
	if err != nil {
		return 0, err
	}
	if len(all) < int(t.Shape[2]) {
		return 0, Errorf(ErrModelInvalid, "the model's logits are of no token")
	}
	logits := all[len(all)-int(t.Shape[2]):]
	best, most := 0, logits[0]
	for i, v := range logits {
		if v > most {
			best, most = i, v
		}
	}
	return int64(best), nil
}
