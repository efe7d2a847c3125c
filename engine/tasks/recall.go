package tasks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A crossDecoder is the decoder of a model with an encoder, as exporters write
// it: a graph for the first tokens and one for each after, or both merged into
// one that is told which it is to be.
type crossDecoder struct {
	first, next decoderGraph
	merged      bool
}

// A decoderGraph is a file, and what it says of itself.
type decoderGraph struct {
	file string
	engine.Graph
}

// The inputs of decoders that are not tokens or past.
const (
	hiddenStates  = "encoder_hidden_states"
	encoderMask   = "encoder_attention_mask"
	useCache      = "use_cache_branch"
	pastPrefix    = "past_key_values."
	presentPrefix = "present."
)

// loadCrossDecoder finds the decoder's files and looks at what they take.
func loadCrossDecoder(m *engine.Model) (d crossDecoder, err error) {
	d.first.file, d.next.file = roleFile(m, "decoder"), roleFile(m, "decoder_with_past")
	if d.first.file == "" || d.next.file == "" {
		merged := roleFile(m, "decoder_merged")
		d.first.file, d.next.file, d.merged = merged, merged, true
	}
	if d.first.file == "" {
		return d, engine.Errorf(engine.ErrModelInvalid, "the model lacks decoder_model.onnx and decoder_with_past_model.onnx, or decoder_model_merged.onnx").
			WithHint("export it with its past: optimum-cli export onnx --model FOLDER OUT")
	}
	for _, g := range []*decoderGraph{&d.first, &d.next} {
		if g.Graph, err = m.Graph(g.file); err != nil {
			return d, err
		}
		if err := g.check(d.merged); err != nil {
			return d, err
		}
	}
	return d, nil
}

// roleFile is the file of a role: as the manifest has it, or named as
// exporters do.
func roleFile(m *engine.Model, role string) string {
	usual := role + "_model.onnx"
	if role == "decoder_merged" {
		usual = "decoder_model_merged.onnx"
	}
	for _, name := range []string{m.Manifest.Files[role], usual, "onnx/" + usual} {
		if name != "" && m.Has(name) {
			return name
		}
	}
	return ""
}

// check refuses a graph that takes what nobody gives.
func (g *decoderGraph) check(merged bool) error {
	for _, v := range g.Inputs {
		known := slices.Contains([]string{"input_ids", hiddenStates, encoderMask}, v.Name) || merged && v.Name == useCache ||
			strings.HasPrefix(v.Name, pastPrefix) && len(v.Shape) == 4
		if !known {
			return engine.Errorf(engine.ErrModelInvalid, "%s takes %q, which is not known of decoders", g.file, v.Name)
		}
	}
	return nil
}

// replaces is the output that becomes an input of the past, or "" for what
// stays as the first tokens made it.
func (g *decoderGraph) replaces(input string) string {
	rest, ok := strings.CutPrefix(input, pastPrefix)
	if !ok || strings.Contains(rest, "encoder.") && !strings.Contains(rest, "decoder.") {
		return ""
	}
	if slices.ContainsFunc(g.Outputs, func(v engine.ValueInfo) bool { return v.Name == presentPrefix+rest }) {
		return presentPrefix + rest
	}
	return ""
}

// memories numbers what is kept, so that no two texts share names.
var memories atomic.Int64

// keeperOf is a session that a generator can remember in.
func keeperOf(s engine.Session) (engine.Keeper, error) {
	if k, ok := s.(engine.Keeper); ok {
		return k, nil
	}
	return nil, engine.Errorf(engine.ErrUnsupported, "this device keeps nothing between runs, which generating text needs").WithHint("use device cpu")
}

// A recall is one text of a crossDecoder as it is written. What it remembers,
// of the text and of what the encoder read, stays in the decoder's process.
type recall struct {
	d        *crossDecoder
	sessions engine.Sessions
	encoded  engine.Tensors                             // what the encoder made, by the decoder's inputs
	name     string                                     // of what is kept
	watch    func(out engine.Tensors, tokens int) error // if set, sees what each run of so many tokens gives

	next   engine.Keeper
	fresh  engine.Tensors    // the past as the first decoder made it
	shared map[string]string // by input of what all steps take alike, the name it is kept under
	at     string            // what the past is kept under; "" is fresh
	kept   map[string]bool   // all names
}

func newRecall(d *crossDecoder, s engine.Sessions, encoded engine.Tensors) *recall {
	return &recall{d: d, sessions: s, encoded: encoded, name: fmt.Sprintf("text-%d/", memories.Add(1)), kept: map[string]bool{}}
}

// begin reads the first tokens, forgetting any before: the logits of what
// follows.
func (r *recall) begin(ctx context.Context, tokens []int64) ([]float32, error) {
	session, err := r.sessions.Open(ctx, r.d.next.file)
	if err != nil {
		return nil, err
	}
	if r.next, err = keeperOf(session); err != nil {
		return nil, err
	}
	r.fresh, r.shared, r.at = engine.Tensors{}, map[string]string{}, ""
	if r.d.merged {
		return r.beginMerged(ctx, tokens)
	}
	first, err := r.sessions.Open(ctx, r.d.first.file)
	if err != nil {
		return nil, err
	}
	in := engine.Tensors{"input_ids": engine.NewTensor([]int64{1, int64(len(tokens))}, tokens)}
	for _, v := range r.d.first.Inputs {
		if t := r.encoded[v.Name]; t != nil {
			in[v.Name] = t
		}
	}
	out, err := first.Run(ctx, in)
	if err != nil {
		return nil, err
	}
	for name, t := range out {
		if rest, ok := strings.CutPrefix(name, presentPrefix); ok {
			r.fresh[pastPrefix+rest] = t
		}
	}
	return r.lastLogits(out, len(tokens))
}

// beginMerged is begin where one graph does both: nothing but the tokens
// crosses to its process twice.
func (r *recall) beginMerged(ctx context.Context, tokens []int64) ([]float32, error) {
	in := engine.Tensors{"input_ids": engine.NewTensor([]int64{1, int64(len(tokens))}, tokens), useCache: boolean(false)}
	k := engine.Kept{Keep: map[string]string{}, Hold: map[string]string{}}
	for _, v := range r.d.first.Inputs {
		name := r.name + v.Name
		if t := r.encoded[v.Name]; t != nil {
			in[v.Name], k.Hold[v.Name], r.shared[v.Name] = t, name, name
		}
		if rest, ok := strings.CutPrefix(v.Name, pastPrefix); ok {
			in[v.Name] = &engine.Tensor{DType: v.DType, Shape: []int64{1, v.Shape[1], 0, v.Shape[3]}}
			if k.Keep[presentPrefix+rest] = name; r.d.next.replaces(v.Name) == "" {
				r.shared[v.Name] = name
			}
		}
	}
	r.at = r.name
	return r.run(ctx, in, k, len(tokens))
}

// read goes on with a token: the logits of what follows.
func (r *recall) read(ctx context.Context, token int64) ([]float32, error) {
	logits, err := r.branch(ctx, token, r.at, r.name)
	r.at = r.name
	return logits, err
}

// branch goes on with a token from what is kept under one name, and keeps what
// it remembers then under another, so that several texts may go on from one.
func (r *recall) branch(ctx context.Context, token int64, from, to string) ([]float32, error) {
	in := engine.Tensors{"input_ids": engine.NewTensor([]int64{1, 1}, []int64{token})}
	k := engine.Kept{Take: map[string]string{}, Keep: map[string]string{}, Hold: map[string]string{}}
	for _, v := range r.d.next.Inputs {
		present := r.d.next.replaces(v.Name)
		switch {
		case v.Name == "input_ids":
		case v.Name == useCache:
			in[v.Name] = boolean(true)
		case present != "" && from != "":
			k.Take[v.Name] = from + v.Name
		case r.shared[v.Name] != "":
			k.Take[v.Name] = r.shared[v.Name]
		default:
			if in[v.Name] = r.fresh[v.Name]; in[v.Name] == nil {
				in[v.Name] = r.encoded[v.Name]
			}
			if present == "" {
				k.Hold[v.Name] = r.name + v.Name
			}
		}
		if present != "" {
			k.Keep[present] = to + v.Name
		}
	}
	logits, err := r.run(ctx, in, k, 1)
	if err == nil {
		maps.Copy(r.shared, k.Hold)
	}
	return logits, err
}

// run runs a step, and notes what it keeps.
func (r *recall) run(ctx context.Context, in engine.Tensors, k engine.Kept, tokens int) ([]float32, error) {
	for _, names := range []map[string]string{k.Keep, k.Hold} {
		for _, name := range names {
			r.kept[name] = true
		}
	}
	out, err := r.next.RunKept(ctx, in, k)
	if err != nil {
		return nil, err
	}
	return r.lastLogits(out, tokens)
}

// forget frees what is kept, also when ctx is done.
func (r *recall) forget(ctx context.Context) {
	if r.next != nil {
		_ = r.next.Forget(context.WithoutCancel(ctx), slices.Collect(maps.Keys(r.kept))...) // a session that is gone keeps nothing
	}
}

// lastLogits are those of the last of so many tokens.
func (r *recall) lastLogits(out engine.Tensors, tokens int) ([]float32, error) {
	if r.watch != nil {
		if err := r.watch(out, tokens); err != nil {
			return nil, err
		}
	}
	logits, shape, err := floats(out, "logits", 1, int64(tokens), -1)
	if err != nil {
		return nil, err
	}
	return logits[len(logits)-int(shape[2]):], nil
}

func boolean(v bool) *engine.Tensor {
	t := &engine.Tensor{DType: engine.Bool, Shape: []int64{1}, Data: []byte{0}}
	if v {
		t.Data[0] = 1
	}
	return t
}
