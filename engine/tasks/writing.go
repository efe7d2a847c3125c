package tasks

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/shape"
)

// A memory is how a model remembers the tokens before: inputs of the past, and
// the outputs that become them.
type memory struct {
	positions bool
	told      bool // the model is told whether it remembers anything
	sent      int  // of so many tokens the logits may be sent though only the last's are wanted
	past      []engine.ValueInfo
	present   map[string]string // by input of the past, the output
}

// maxSent bounds the logits that are sent to save a run: 16 MB take less time
// than another token does.
const maxSent = 4 << 20

// read finds the inputs and outputs of a causal language model.
func (m *memory) read(g engine.Graph) error {
	m.present = map[string]string{}
	outputs := map[string]bool{}
	for _, v := range g.Outputs {
		outputs[v.Name] = true
		if v.Name == "logits" && len(v.Shape) == 3 && v.Shape[2] > 0 {
			m.sent = int(maxSent / v.Shape[2])
		}
	}
	for _, v := range g.Inputs {
		present := strings.Replace(v.Name, "past_key_values", "present", 1)
		switch {
		case v.Name == "position_ids":
			m.positions = true
		case v.Name == useCache && v.DType == engine.Bool:
			m.told = true
		case v.Name == "input_ids", v.Name == "attention_mask":
		case present != v.Name && outputs[present] && len(v.Shape) == 4 && v.Shape[1] > 0 && v.Shape[3] > 0:
			m.past, m.present[v.Name] = append(m.past, v), present
		default:
			return engine.Errorf(engine.ErrModelInvalid, "the model takes %q, which text-generation does not give", v.Name).
				WithHint("export it with its past: optimum-cli export onnx --model FOLDER --task text-generation-with-past OUT")
		}
	}
	if len(m.past) == 0 || !outputs["logits"] {
		return engine.Errorf(engine.ErrModelInvalid, "the model does not remember: it has no past_key_values, or no logits").
			WithHint("export it with its past: optimum-cli export onnx --model FOLDER --task text-generation-with-past OUT")
	}
	return nil
}

// A writing is one text as it is written.
type writing struct {
	p      *generator
	o      generation
	s      engine.Keeper
	prompt []int64
	name   string // of what is kept
	report func(engine.Progress)

	sampler *sampler
	past    int    // tokens that are remembered
	at      string // what of them is kept under
	from    past   // of an earlier text
	kept    []past // for later ones
	shared  int    // tokens that other prompts begin with too
	new     []int64
	form    *shape.Text   // that is kept to; may be nil
	took    time.Duration // of the last step
}

// prefill is how many tokens of the prompt are read at once: more take memory
// for logits that nobody looks at.
const prefill = 128

// write reads the prompt and writes until the text ends.
func (w *writing) write(ctx context.Context) (out engine.Output, err error) {
	if err := w.begin(); err != nil {
		return engine.Output{}, err
	}
	defer func() { w.leave(ctx, err) }()
	w.recallPrefix()
	why, err := w.start(ctx)
	if w.lost(err) {
		w.from, w.kept, w.past = past{}, nil, 0
		why, err = w.start(ctx)
	}
	for err == nil && why == "" {
		why, err = w.goOn(ctx, w.new[len(w.new)-1:])
	}
	if err != nil {
		return engine.Output{}, err
	}
	w.finish(&out, why)
	return out, nil
}

// choose goes on with a token, and says why the text ends if it does.
func (w *writing) choose(logits []float32) (why string, err error) {
	if err := w.confine(logits); err != nil {
		return "", err
	}
	next := w.sampler.next(logits)
	if w.form != nil && logits[next] <= never { // of numbers too large to draw by
		next = likeliest(logits)
	}
	return w.add(int64(next)), nil
}

// goOn reads tokens and goes on with the next, or with several.
func (w *writing) goOn(ctx context.Context, ids []int64) (why string, err error) {
	k := w.keep(true, w.name)
	if w.plain() { // then tokens come back instead of logits
		k.Greedy = &engine.Greedy{Steps: w.ahead(), Ends: w.p.ends, Past: w.p.memory.present}
	}
	began := time.Now()
	out, err := w.s.RunKept(ctx, w.inputs(ids), k)
	if err != nil {
		return "", err
	}
	tokens, _ := engine.Values[int64](cmp.Or(out[engine.GreedyTokens], &engine.Tensor{DType: engine.Int64}))
	steps := max(len(tokens), 1)
	w.past, w.at = w.past+len(ids)+steps-1, w.name
	if len(ids) == 1 {
		w.took = time.Since(began) / time.Duration(steps)
	}
	if len(tokens) == 0 {
		logits, err := lastRow(out)
		if err != nil {
			return "", err
		}
		return w.choose(logits)
	}
	for _, id := range tokens {
		if why = w.add(id); why != "" {
			break
		}
	}
	return why, nil
}

// aheadFor is how long several steps at once may take: progress is told after
// them, and others wait for them.
const aheadFor = 200 * time.Millisecond

// plain reports whether nothing but the likeliest token decides how it goes on.
func (w *writing) plain() bool { return w.sampler.plain() && w.form == nil && len(w.o.Stop) == 0 }

// ahead is how many steps may be made at once where they are computed.
func (w *writing) ahead() int {
	if w.took == 0 {
		return 1
	}
	return max(1, min(int(aheadFor/w.took), engine.MaxGreedy, w.limit()-len(w.new)))
}

// add goes on with a token that was chosen, and says why the text ends if it
// does.
func (w *writing) add(next int64) (why string) {
	if slices.Contains(w.p.ends, next) {
		return "stop"
	}
	w.append(next)
	text := w.text()
	switch {
	case stopAt(text, w.o.Stop) >= 0 || w.form != nil && w.form.Done():
		return "stop"
	case len(w.new) == w.limit():
		return "length"
	}
	w.tell(text)
	return ""
}

// limit is how many tokens may be written.
func (w *writing) limit() int { return min(w.o.MaxNewTokens, w.p.context-len(w.prompt)) }

// begin makes the form that is asked for, if there is time to keep to it.
func (w *writing) begin() error {
	if w.o.Schema == nil {
		return nil
	}
	form, err := shape.New(w.o.Schema, w.p.vocabulary())
	if wrong, ok := errors.AsType[*shape.SchemaError](err); ok {
		return engine.Errorf(engine.ErrInvalidArgument, "%w", err).WithHint("%s", wrong.Hint)
	}
	if err != nil {
		return engine.Errorf(engine.ErrUnsupported, "schema: %w", err).WithHint("leave \"schema\" out, and ask for JSON in words")
	}
	if form.Least() > w.limit() {
		return engine.Errorf(engine.ErrInvalidArgument, "what fits the schema may take %d tokens, and %d may be written", form.Least(), w.limit()).
			WithHint("raise max_new_tokens, or shorten the prompt")
	}
	w.form = form
	return nil
}

// confine takes out tokens that don't fit the form.
func (w *writing) confine(logits []float32) error {
	if w.form == nil {
		return nil
	}
	all, fit := slices.Clone(logits), 0
	fill32(logits, never)
	allow := func(id int) {
		if id >= 0 && id < len(all) && all[id] > never { // which NaN is not
			logits[id] = all[id]
			fit++
		}
	}
	if err := w.form.Allowed(w.limit()-len(w.new)-1, allow); err != nil {
		return engine.Errorf(engine.ErrInvalidArgument, "schema: %w", err).WithHint("lower its maxLength and maxItems")
	}
	if w.form.MayEnd() {
		for _, id := range w.p.ends {
			allow(int(id))
		}
	}
	if fit == 0 {
		return engine.Errorf(engine.ErrUnsupported, "the model has no token that goes on with %q in the schema", w.form.Bytes())
	}
	return nil
}

// append goes on with a token.
func (w *writing) append(id int64) {
	w.new = append(w.new, id)
	if w.form != nil {
		w.form.Write(int(id))
	}
}

// text is what was written so far, without characters that are not whole yet.
func (w *writing) text() string {
	if w.form != nil {
		return strings.TrimRight(strings.ToValidUTF8(string(w.form.Bytes()), "\uFFFD"), "\uFFFD")
	}
	return strings.TrimRight(w.p.tok.Decode(w.new, false), "\uFFFD")
}

// maxTold bounds the text that goes with progress.
const maxTold = 400

// tell reports the end of the text so far.
func (w *writing) tell(text string) {
	tell(w.report, text, len(w.new), w.o.MaxNewTokens)
}

func tell(report func(engine.Progress), text string, done, total int) {
	if report == nil {
		return
	}
	if runes := []rune(text); len(runes) > maxTold {
		text = "…" + string(runes[len(runes)-maxTold:])
	}
	report(engine.Progress{Done: int64(done), Total: int64(total), Unit: "tokens", Message: text})
}

// finish fills in what was written.
func (w *writing) finish(out *engine.Output, why string) {
	text := w.p.tok.Decode(w.new, false)
	if w.form != nil {
		text = string(w.form.Bytes())
	}
	if at := stopAt(text, w.o.Stop); at >= 0 {
		text = text[:at]
	}
	out.GeneratedText, out.FinishReason, out.PromptTokens, out.GeneratedTokens = &text, why, len(w.prompt), len(w.new)
}

// read has the model read tokens, and keeps what it remembers under a name.
func (w *writing) read(ctx context.Context, ids []int64, as string) error {
	_, err := w.s.RunKept(ctx, w.inputs(ids), w.keep(false, as))
	if err == nil {
		w.past, w.at = w.past+len(ids), as
	}
	return err
}

// lastRow are the logits after the last token.
func lastRow(out engine.Tensors) ([]float32, error) {
	t := out["logits"]
	if t == nil || len(t.Shape) != 3 || t.Shape[2] < 1 {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model's logits are not [batch, tokens, vocabulary]")
	}
	values, err := engine.Values[float32](t)
	if err != nil {
		return nil, err
	}
	if int64(len(values)) < t.Shape[2] {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model's logits of shape %v are of no token", t.Shape)
	}
	return values[len(values)-int(t.Shape[2]):], nil
}

// inputs are those of a step but for the past, unless there is none.
func (w *writing) inputs(ids []int64) engine.Tensors {
	n := len(ids)
	mask, positions := make([]int64, w.past+n), make([]int64, n)
	for i := range mask {
		mask[i] = 1
	}
	for i := range positions {
		positions[i] = int64(w.past + i)
	}
	in := engine.Tensors{
		"input_ids":      engine.NewTensor([]int64{1, int64(n)}, ids),
		"attention_mask": engine.NewTensor([]int64{1, int64(w.past + n)}, mask),
	}
	if w.p.memory.positions {
		in["position_ids"] = engine.NewTensor([]int64{1, int64(n)}, positions)
	}
	if w.p.memory.told {
		in[useCache] = boolean(w.past > 0)
	}
	if w.past == 0 {
		for _, v := range w.p.memory.past {
			in[v.Name] = &engine.Tensor{DType: v.DType, Shape: []int64{1, v.Shape[1], 0, v.Shape[3]}}
		}
	}
	return in
}

// keep says that the past comes from what is kept, and what is computed of it
// stays; logits that nobody wants stay too, rather than being sent.
func (w *writing) keep(wanted bool, as string) engine.Kept {
	k := engine.Kept{Take: map[string]string{}, Keep: map[string]string{}}
	for past, present := range w.p.memory.present {
		k.Keep[present] = as + present
		if w.past > 0 {
			k.Take[past] = w.at + present
		}
	}
	if !wanted {
		k.Keep["logits"] = w.name + "logits"
	}
	return k
}
