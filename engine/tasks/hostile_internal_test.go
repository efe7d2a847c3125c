package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// What the heads of a decoder look at has a row for each token read, and the
// same moments in each layer.
func TestAlignment_hostileShapes(t *testing.T) {
	looks := func(shape ...int64) *engine.Tensor {
		n, _ := engine.Elements(shape)
		return engine.NewTensor(shape, make([]float32, n))
	}
	for name, c := range map[string]struct {
		first, second *engine.Tensor
		tokens        int
		says          string
	}{
		"fewer rows":    {looks(1, 2, 1, 9), looks(1, 2, 1, 9), 3, "has shape [1 2 1 9]"},
		"rows differ":   {looks(1, 2, 3, 9), looks(1, 2, 4, 9), 3, "has shape [1 2 4 9]"},
		"columns":       {looks(1, 2, 3, 9), looks(1, 2, 3, 10), 3, "has shape [1 2 3 10]"},
		"few columns":   {looks(1, 2, 3, 4), looks(1, 2, 3, 4), 3, "of 5 moments"},
		"no such head":  {looks(1, 2, 3, 9), looks(1, 1, 3, 9), 3, "without head 1"},
		"nothing":       {looks(1, 2, 3, 0), looks(1, 2, 3, 0), 3, "has shape [1 2 3 0]"},
		"another rank":  {looks(1, 2, 9), looks(1, 2, 9), 1, "has shape [1 2 9]"},
		"not there":     {nil, nil, 1, "gave no"},
		"another batch": {looks(2, 2, 1, 9), looks(2, 2, 1, 9), 1, "has shape [2 2 1 9]"},
	} {
		t.Run(name, func(t *testing.T) {
			a := alignment{heads: [][2]int{{0, 0}, {1, 1}}, moments: 5}
			err := a.take(engine.Tensors{crossAttentions + "0": c.first, crossAttentions + "1": c.second}, c.tokens)
			if !errors.Is(err, engine.ErrModelInvalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Outputs that would have a task panic, or never end, are refused, or do no
// harm where says is empty.
func TestTasks_hostileOutputs(t *testing.T) {
	nan := float32(math.NaN())
	made := func(fill float32, shape ...int64) *engine.Tensor {
		n, _ := engine.Elements(shape)
		return engine.NewTensor(shape, slices.Repeat([]float32{fill}, int(n)))
	}
	point := make([]float32, 512*16) // boxes without area, keypoints that are nowhere
	for i := range point {
		if i%16 > 3 {
			point[i] = nan
		}
	}
	cases := oddCases(t)
	for name, c := range map[string]struct {
		task, parameters string
		out              engine.Tensors
		says             string
	}{
		"no bins":               {"picodet", "", engine.Tensors{"s0": made(1, 1, 16, 3), "b0": made(1, 1, 16, 3)}, "bins for four sides"},
		"faces without area":    {"blazeface", "", engine.Tensors{"s0": made(1, 1, 512, 1), "s1": made(-9, 1, 384, 1), "b0": engine.NewTensor([]int64{1, 512, 16}, point), "b1": made(0, 1, 384, 16)}, "not finite"},
		"answers of rank 3":     {"question-answering", "", engine.Tensors{"start": made(1, 1, 8, 2), "end": made(1, 1, 8, 2)}, "needs [batch, tokens]"},
		"no entailment":         {"zero-shot-classification", `{"candidate_labels":["a"]}`, engine.Tensors{"logits": made(1, 1, 2)}, "gives 2 labels"},
		"labels of no row":      {"tabular", "", engine.Tensors{"label": {DType: engine.Int64, Shape: []int64{1, 0}}, "scores": made(1, 1, 3)}, "no label for each row"},
		"logits of no token":    {"text-generation", `{"max_new_tokens":4}`, engine.Tensors{"logits": made(1, 0, 1, 12)}, "of no token"},
		"nothing may come next": {"summarization", `{"num_beams":3}`, engine.Tensors{"hidden": made(1, 1, 3, 4), "logits": made(never, 1, 1, 12)}, "of no token that it may come"},
		"sure beams":            {"summarization", `{"num_beams":2,"length_penalty":-1e9}`, engine.Tensors{"hidden": made(1, 1, 3, 4), "logits": made(0, 1, 1, 3)}, ""},
		"many labels":           {"text-classification", `{"top_k":null}`, engine.Tensors{"logits": made(1, 1, maxLabels+1)}, "over the limit"},
		"scores of nothing":     {"text-classification", "", engine.Tensors{"logits": made(nan, 1, 3)}, "not finite"},
		"a second text":         {"token-classification", "", engine.Tensors{"logits": made(1, 1, 9, 3)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := engine.Request{Items: cases[c.task].items, BatchSize: 1, Parameters: json.RawMessage(c.parameters)}
			if c.task == "token-classification" {
				r.Items = r.Items[len(r.Items)-1:]
			}
			_, err := cases[c.task].p.Run(t.Context(), odd(func(engine.Tensors) engine.Tensors { return c.out }), r)
			if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, engine.ErrModelInvalid) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Vectors that are as long as their text are not compared.
func TestTasks_unlikeVectors(t *testing.T) {
	c := oddCases(t)["feature-extraction, pooled"]
	long := odd(func(in engine.Tensors) engine.Tensors {
		n := in["input_ids"].Shape[1]
		return engine.Tensors{"out": engine.NewTensor([]int64{1, n}, make([]float32, n))}
	})
	if _, err := c.p.Run(t.Context(), long, engine.Request{Items: c.items, BatchSize: 1}); !errors.Is(err, engine.ErrModelInvalid) {
		t.Errorf("%v", err)
	}
}

// What a model with queries would take is bounded before it is made, and its
// work stops with its context.
func TestSegmenter_bounded(t *testing.T) {
	for name, c := range map[string]struct {
		kind                        string
		queries, labels, high, wide int64
		says                        string
	}{
		"DETR":                {"detr", 100, 251, 200, 267, ""},
		"Mask2Former":         {mask2Former, 200, 134, 96, 96, ""},
		"many queries":        {"detr", maxQueries + 1, 2, 1, 1, "limit of 65535"},
		"large masks":         {"detr", 100, 2, 2000, 2000, "limit of 134217728"},
		"many labels":         {"detr", 2, 40000, 100, 100, "limit of 134217728"},
		"stretched":           {mask2Former, 1000, 2, 1, 1, "limit of 134217728"},
		"stretched of labels": {mask2Former, 2, 1000, 1, 1, "limit of 134217728"},
	} {
		p := &segmenter{config: headConfig{ModelType: c.kind}}
		err := p.bounded(c.queries, c.labels, c.high, c.wide)
		if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, engine.ErrModelInvalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &segmenter{logits: "logits", masks: "masks"}
	out := engine.Tensors{"logits": engine.NewTensor([]int64{1, 2, 3}, make([]float32, 6)), "masks": engine.NewTensor([]int64{1, 2, 4, 4}, make([]float32, 32))}
	for _, subtask := range []string{semantic, panoptic} {
		if _, err := p.segments(ctx, out, segmenting{Subtask: subtask}, images.New(8, 8)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", subtask, err)
		}
	}
	if _, err := mapOf(ctx, make([]float32, 9), 9, 1, 1, images.New(8, 8)); !errors.Is(err, context.Canceled) {
		t.Errorf("labels: %v", err)
	}
}

// Numbers in a model's settings that nothing can be are refused, or do no harm.
func TestSettings_hostile(t *testing.T) {
	for _, c := range []whisperConfig{{NoTimestamps: -5}, {NoTimestamps: math.MaxInt64}, {NoTimestamps: 9, End: -1}, {NoTimestamps: 9, End: 10}} {
		if err := c.check(); !errors.Is(err, engine.ErrModelInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	latest := int64(math.MaxInt64)
	d := &whisperDecoder{whisper: &whisper{config: whisperConfig{NoTimestamps: 5, End: 4, MaxInitialTime: &latest}, firstTime: 6}}
	d.forbid(make([]float32, 9), nil, true)
	newSampler(sampling{RepetitionPenalty: 2}, []int64{-5, 99}).penalize(make([]float32, 3))
	var many ids
	data, _ := json.Marshal(make([]int64, maxIDs+1))
	if err := json.Unmarshal(data, &many); err == nil {
		t.Errorf("%d tokens end a text", len(many))
	}
	for _, settings := range []string{`{"size":{"shortest_edge":100},"crop_pct":1e-9}`, `{"size":{"shortest_edge":100},"crop_pct":1e9}`, `{"size_divisor":1099511627776}`, `{"size":{"height":-1,"width":5}}`} {
		if _, err := images.NewProcessor([]byte(settings), nil); !errors.Is(err, engine.ErrModelInvalid) {
			t.Errorf("%s: %v", settings, err)
		}
	}
	if strip := images.New(1, 4_000_000).Resize(224, 300, images.Bilinear); strip.Width != 224 || strip.Height != 300 {
		t.Errorf("the strip is %d × %d", strip.Width, strip.Height)
	}
}
