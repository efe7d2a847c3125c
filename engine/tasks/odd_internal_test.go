package tasks

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/audio"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/tokenizer"
)

// An odd model answers what it likes, whatever file is opened.
type odd func(in engine.Tensors) engine.Tensors

func (o odd) Open(context.Context, string) (engine.Session, error) { return o, nil }

func (o odd) Run(ctx context.Context, in engine.Tensors) (engine.Tensors, error) {
	return o(in), ctx.Err()
}

func (o odd) RunKept(ctx context.Context, in engine.Tensors, _ engine.Kept) (engine.Tensors, error) {
	return o(in), ctx.Err()
}

func (odd) Forget(context.Context, ...string) error { return nil }
func (odd) Close() error                            { return nil }

// Dimensions of an odd model's outputs that are those of its input.
const (
	ofBatch  = -1
	ofLength = -2
	ofRows   = -3 // of a table of two, whose values are whole numbers
)

// oddTensor is mostly of a shape, and mostly of numbers.
func oddTensor(random *rand.Rand, want []int64, in engine.Tensors) *engine.Tensor {
	shape := slices.Clone(want)
	for i, d := range shape {
		if ids := in["input_ids"]; d < 0 && ids != nil {
			shape[i] = ids.Shape[-1-d]
		}
		if d == ofRows {
			shape[i] = 2
		}
		if random.IntN(12) == 0 {
			shape[i] = random.Int64N(7)
		}
		shape[i] = max(shape[i], 0)
	}
	switch random.IntN(20) {
	case 0:
		shape = append(shape, random.Int64N(4))
	case 1:
		shape = shape[:random.IntN(len(shape)+1)]
	case 2:
		return nil
	}
	n, _ := engine.Elements(shape)
	if want[0] == ofRows && random.IntN(12) > 0 {
		return engine.NewTensor(shape, make([]int64, n))
	}
	values := make([]float32, n)
	extreme := random.IntN(4) == 0
	for i := range values {
		values[i] = float32(random.NormFloat64())
		if extreme && random.IntN(3) == 0 {
			values[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), never, math.MaxFloat32, 0}[random.IntN(5)]
		}
	}
	switch random.IntN(25) {
	case 0:
		return engine.NewTensor(shape, slices.Repeat([]int64{math.MinInt64}, int(n)))
	case 1:
		return &engine.Tensor{DType: engine.String, Shape: shape, Strings: make([]string, n)}
	case 2:
		return &engine.Tensor{DType: engine.Bool, Shape: shape, Data: make([]byte, n)}
	}
	return engine.NewTensor(shape, values)
}

// An oddCase is a pipeline, what goes into it, and the shapes of the outputs
// that it expects.
type oddCase struct {
	p          engine.Pipeline
	items      []engine.Item
	outputs    map[string][]int64
	parameters []string
	slow       int // so many times fewer rounds
}

// Whatever a model gives, each task answers in JSON or says what is wrong.
func TestTasks_oddOutputs(t *testing.T) {
	rounds, seed := 300, uint64(time.Now().UnixNano())
	if os.Getenv("STRESS") == "1" {
		rounds = 3000
	}
	t.Logf("seed %d", seed)
	for name, c := range oddCases(t) {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			answers := 0
			for range rounds / max(c.slow, 1) {
				if err := c.run(t.Context(), random); err == nil {
					answers++
				} else if engine.Explain(err).Code == engine.ErrInternal || errors.Is(err, errPanic) {
					t.Fatal(err)
				}
			}
			t.Logf("%d answers of %d", answers, rounds/max(c.slow, 1))
		})
	}
}

var errPanic = errors.New("it panics or is no JSON")

// run has the pipeline answer once.
func (c oddCase) run(ctx context.Context, random *rand.Rand) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var given engine.Tensors
	defer func() {
		if broken := recover(); broken != nil {
			shapes := map[string]string{}
			for name, g := range given {
				shapes[name] = fmt.Sprint(g.DType, g.Shape)
			}
			err = fmt.Errorf("%w: %v of %v", errPanic, broken, shapes)
		}
	}()
	model := odd(func(in engine.Tensors) engine.Tensors {
		given = engine.Tensors{}
		for name, shape := range c.outputs {
			if made := oddTensor(random, shape, in); made != nil {
				given[name] = made
			}
		}
		return given
	})
	r := engine.Request{Items: c.items, BatchSize: random.IntN(3), Full: true}
	if len(c.parameters) > 0 {
		r.Parameters = json.RawMessage(c.parameters[random.IntN(len(c.parameters))])
	}
	a, err := c.p.Run(ctx, model, r)
	if ctx.Err() != nil {
		return fmt.Errorf("%w: it goes on forever", errPanic)
	}
	if err != nil {
		return err
	}
	if _, err := json.Marshal(a.Outputs); err != nil {
		return fmt.Errorf("%w: %w", errPanic, err)
	}
	return nil
}

// oddCases are the pipelines that read what a model gives.
func oddCases(t *testing.T) map[string]oddCase {
	t.Helper()
	tok, err := tokenizer.Load([]byte(`{"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"a":1,"b":2,"c":3,"mask":4}}}`))
	if err != nil {
		t.Fatal(err)
	}
	values := func(names ...string) (out []engine.ValueInfo) {
		for _, name := range names {
			out = append(out, engine.ValueInfo{Name: name, DType: engine.Int64})
		}
		return out
	}
	texts := []engine.Item{{Text: "a b c a"}, {Text: "b"}}
	all := visionCases(t)
	e := encoder{tok: tok, inputs: values("input_ids", "attention_mask")}
	labels := headConfig{Labels: map[string]string{"0": "contradiction", "1": "B-x", "2": "entailment"}}
	c := &classifier{encoder: e, logits: "logits", limit: 16, config: labels}
	embed := &embedder{e, embedding{Pooling: "mean", MaxLength: 16}, "out"}
	perText, perToken := map[string][]int64{"logits": {ofBatch, 3}}, map[string][]int64{"logits": {ofBatch, ofLength, 3}}
	all["text-classification"] = oddCase{p: c, items: texts, outputs: perText, parameters: []string{`{"top_k":null}`, `{"top_k":-1}`}}
	all["zero-shot-classification"] = oddCase{p: &zeroShotPipeline{c, 2}, items: texts, outputs: perText, parameters: []string{`{"candidate_labels":["a","b"]}`, `{"candidate_labels":["a"],"multi_label":true}`}}
	all["text-ranking"] = oddCase{p: &ranker{c}, items: texts, outputs: map[string][]int64{"logits": {ofBatch, 1}}, parameters: []string{`{"query":"a"}`}}
	all["token-classification"] = oddCase{
		p: &tagger{c}, items: append(texts, engine.Item{Record: json.RawMessage(`{"text":"a","text_pair":"a b unknown a b c"}`)}), outputs: perToken,
		parameters: []string{`{}`, `{"aggregation_strategy":"max"}`, `{"aggregation_strategy":"average"}`, `{"max_length":-3}`},
	}
	all["feature-extraction"] = oddCase{p: embed, items: texts, outputs: map[string][]int64{"out": {ofBatch, ofLength, 3}}, parameters: []string{`{"similarity":true}`, `{"pooling":"lasttoken","normalize":true}`, `{"pooling":"max","dimensions":2}`}}
	all["feature-extraction, pooled"] = oddCase{p: embed, items: texts, outputs: map[string][]int64{"out": {ofBatch, ofLength}}, parameters: []string{`{"similarity":true}`}}
	all["sentence-similarity"] = oddCase{p: &comparer{embed}, items: []engine.Item{{Record: json.RawMessage(`{"source_sentence":"a","sentences":["a b c","b"]}`)}}, outputs: map[string][]int64{"out": {ofBatch, ofLength}}}
	all["fill-mask"] = oddCase{p: &filler{encoder: e, logits: "logits", limit: 16, mask: 4, maskText: "mask"}, items: []engine.Item{{Text: "a mask"}, {Text: "mask"}}, outputs: map[string][]int64{"logits": {ofBatch, ofLength, 5}}}
	all["question-answering"] = oddCase{
		p: &answerer{encoder: e, limit: 8, wants: []want{{"start", true}, {"end", true}}}, items: []engine.Item{{Record: json.RawMessage(`{"question":"a b","context":"a b c b a c b a b"}`)}},
		outputs: map[string][]int64{"start": {ofBatch, ofLength}, "end": {ofBatch, ofLength}}, parameters: []string{`{}`, `{"handle_impossible_answer":true,"top_k":9,"max_answer_len":9223372036854775807}`},
	}
	all["tabular"] = oddCase{p: &rows{inputs: []engine.ValueInfo{{Name: "x", DType: engine.Float32, Shape: []int64{-1, 1}}}, columns: []string{"x"}, label: "label", scores: "scores"}, items: []engine.Item{{Record: json.RawMessage(`{"x":1}`)}, {Record: json.RawMessage(`{"x":2}`)}}, outputs: map[string][]int64{"label": {ofRows}, "scores": {2, 3}}}
	maps.Copy(all, writingCases(tok, e, values))
	return all
}

// writingCases are those that write, and that hear.
func writingCases(tok *tokenizer.Tokenizer, e encoder, values func(...string) []engine.ValueInfo) map[string]oddCase {
	graph := decoderGraph{"decoder", engine.Graph{Inputs: values("input_ids"), Outputs: values("logits", crossAttentions+"0", crossAttentions+"1")}}
	decoder := crossDecoder{first: graph, next: graph}
	logits := []int64{1, ofLength, 12}
	usual := usualSampling
	usual.RepetitionPenalty = 1.5
	rewrite := &rewriter{encoder: e, task: Summarization().(text2text), hidden: "hidden", decoder: decoder, config: rewriteConfig{sampling: usual, End: ids{2}, Penalty: 1, MaxLength: 6}} //nolint:forcetypeassert // it is one
	heard := &whisper{encoder: "encoder", decoder: decoder, bands: 4, tok: tok, firstTime: 6, smooth: 7, config: whisperConfig{Start: 1, End: 4, NoTimestamps: 5, MaxLength: 8, AlignmentHeads: [][2]int{{0, 0}, {1, 1}}}}
	wav := soundItem(4000)
	wave := waveform{input: "input_values", logits: "logits", rate: audio.Rate}
	return map[string]oddCase{
		"text-generation": {
			p: &generator{tok: tok, memory: memory{present: map[string]string{}}, ends: []int64{2}, context: 20, defaults: usual, prefixes: &prefixes{most: 20}}, items: []engine.Item{{Text: "a b c"}},
			outputs: map[string][]int64{"logits": logits}, parameters: []string{`{"max_new_tokens":4}`, `{"max_new_tokens":4,"do_sample":true,"temperature":1e-320,"top_p":0.5,"min_p":0.1}`},
		},
		"summarization": {p: rewrite, items: []engine.Item{{Text: "a b c"}}, outputs: map[string][]int64{"hidden": {1, 3, 4}, "logits": logits}, parameters: []string{`{}`, `{"num_beams":3,"length_penalty":-1e9}`, `{"num_beams":3,"no_repeat_ngram_size":1}`}},
		"whisper": {
			p: heard, items: []engine.Item{wav}, slow: 15, parameters: []string{`{}`, `{"return_timestamps":true}`, `{"return_timestamps":"word"}`},
			outputs: map[string][]int64{"last_hidden_state": {1, 5, 4}, "logits": logits, crossAttentions + "0": {1, 2, ofLength, 14}, crossAttentions + "1": {1, 2, ofLength, 14}},
		},
		"letters":              {p: &speller{waveform: wave, letters: []string{"<pad>", "|", "a"}, pad: "<pad>", stride: 320}, items: []engine.Item{wav}, outputs: map[string][]int64{"logits": {1, 9, 3}}, parameters: []string{`{}`, `{"return_timestamps":"word"}`}},
		"audio-classification": {p: &soundClassifier{wave}, items: []engine.Item{wav}, outputs: map[string][]int64{"logits": {1, 4}}},
		"voice-activity":       {p: &vad{settings: listening{Threshold: 0.5}}, items: []engine.Item{soundItem(400)}, outputs: map[string][]int64{"output": {1, 1}, "stateN": {2, 1, 128}}},
	}
}

// visionCases are those that see.
func visionCases(t *testing.T) map[string]oddCase {
	t.Helper()
	processor, err := images.NewProcessor([]byte(`{"size":{"height":32,"width":32}}`), []int64{-1, 3, -1, -1})
	if err != nil {
		t.Fatal(err)
	}
	v := vision{processor: processor, input: "pixel_values", batches: true}
	items := []engine.Item{pictureItem(t, 40, 30), pictureItem(t, 1, 50)}
	detect := func(n network, outputs map[string][]int64) oddCase {
		return oddCase{p: &detector{settings: detection{IOUThreshold: 0.5}, net: n}, items: items, outputs: outputs, parameters: []string{`{"annotate":true}`, `{"score_threshold":0.5}`}}
	}
	queried := map[string][]int64{"logits": {1, 6, 4}, "masks": {1, 6, 5, 5}}
	segmenting := []string{`{"threshold":0}`, `{"subtask":"semantic","masks":true}`, `{"threshold":0.3,"annotate":true,"masks":true}`}
	blaze := &blazeFace{name: "x", side: 16, scores: [2]string{"s0", "s1"}, boxes: [2]string{"b0", "b1"}}
	pico := &picodet{vision: v, scores: []string{"s0"}, boxes: []string{"b0"}}
	all := map[string]oddCase{
		"image-classification":     {p: &pictureClassifier{vision: v, logits: "logits"}, items: items, outputs: map[string][]int64{"logits": {1, 4}}, parameters: []string{`{"top_k":null}`, `{"function_to_apply":"none"}`}},
		"image-feature-extraction": {p: &pictureEmbedder{v, "out"}, items: items, outputs: map[string][]int64{"out": {1, 4, 3}}, parameters: []string{`{"similarity":true}`, `{"pooling":"max","normalize":true}`}},
		"depth-estimation":         {p: &depths{v, "out"}, items: items, outputs: map[string][]int64{"out": {1, 4, 3}}, parameters: []string{`{"annotate":true}`}},
		"segmentation":             {p: &segmenter{vision: v, logits: "logits"}, items: items, outputs: map[string][]int64{"logits": {1, 3, 4, 4}}, parameters: []string{`{"annotate":true,"masks":true}`}},
		"segmentation, queries":    {p: &segmenter{vision: v, logits: "logits", masks: "masks"}, items: items, outputs: queried, parameters: segmenting},
		"detr":                     detect(&detr{vision: v}, map[string][]int64{"logits": {1, 5, 3}, "pred_boxes": {1, 5, 4}}),
		"detr, focal":              detect(&detr{vision: v, focal: true}, map[string][]int64{"logits": {1, 5, 3}, "pred_boxes": {1, 5, 4}}),
		"yolo":                     detect(&yolo{name: "x", output: "out", width: 32, height: 32}, map[string][]int64{"out": {1, 7, 9}}),
		"yolo, other way":          detect(&yolo{name: "x", output: "out", width: 32, height: 32}, map[string][]int64{"out": {1, 9, 7}}),
		"picodet":                  detect(pico, map[string][]int64{"s0": {1, 16, 3}, "b0": {1, 16, 8}}),
		"blazeface":                detect(blaze, map[string][]int64{"s0": {1, 512, 1}, "b0": {1, 512, 16}, "s1": {1, 384, 1}, "b1": {1, 384, 16}}),
	}
	for _, name := range []string{"blazeface", "segmentation"} {
		c := all[name]
		c.slow = 10
		all[name] = c
	}
	return all
}

func pictureItem(t *testing.T, width, height int) engine.Item {
	t.Helper()
	var data bytes.Buffer
	if err := png.Encode(&data, image.NewRGBA(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return dataItem(data.Bytes())
}

// soundItem is a file of so many samples of 16 kHz.
func soundItem(samples int) engine.Item {
	header := []byte("RIFF....WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data")
	data := binary.LittleEndian.AppendUint32(header, uint32(2*samples))
	return dataItem(append(data, bytes.Repeat([]byte{1, 20, 3, 190}, samples/2)...))
}

func dataItem(data []byte) engine.Item {
	return engine.Item{Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}
