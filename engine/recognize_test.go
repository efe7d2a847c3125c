package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

// A model without .onnx files is told how to get one; one of a class that is
// not known, which tasks it may be for.
func TestRecognize(t *testing.T) {
	w := newWorld(t, &enginetest.Fake{}, engine.Options{Paths: engine.Paths{All: true}})
	dir := t.TempDir()
	for name, data := range map[string]string{"model.safetensors": "x", "config.json": `{"architectures":["BertForMaskedLM"]}`} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
	report := func(engine.Progress) {}
	_, err := w.Infer(t.Context(), engine.InferRequest{Model: dir, Inputs: []string{"x"}}, report)
	e := engine.Explain(err)
	if e.Code != engine.ErrNoOnnx || !strings.Contains(e.Message, "model.safetensors") || !strings.Contains(e.Hint, "optimum-cli export onnx --model FOLDER --task fill-mask OUT") {
		t.Errorf("without .onnx: %+v", e)
	}
	must(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"architectures":["LlamaForCausalLM"]}`), 0o600))
	_, err = w.Infer(t.Context(), engine.InferRequest{Model: dir, Inputs: []string{"x"}}, report)
	if e := engine.Explain(err); e.Code != engine.ErrNoOnnx || !strings.Contains(e.Hint, "--task text-generation-with-past OUT") {
		t.Errorf("a generator without .onnx: %+v", e)
	}
	for _, class := range []string{"MaskFormerForInstanceSegmentation", "Mask2FormerForUniversalSegmentation", "DetrForSegmentation"} {
		must(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"architectures":["`+class+`"]}`), 0o600))
		_, err = w.Infer(t.Context(), engine.InferRequest{Model: dir, Inputs: []string{"x"}}, report)
		if e := engine.Explain(err); e.Code != engine.ErrNoOnnx || !strings.Contains(e.Hint, "--task image-segmentation OUT") {
			t.Errorf("%s without .onnx: %+v", class, e)
		}
	}
	m := enginetest.WriteModel(t, enginetest.Add())
	must(t, os.WriteFile(filepath.Join(m.Dir, "config.json"), []byte(`{"architectures":["StrangeModel"]}`), 0o600))
	_, err = w.Infer(t.Context(), engine.InferRequest{Model: m.Dir, Inputs: []string{"x"}}, report)
	if e := engine.Explain(err); e.Code != engine.ErrTaskUnknown || !strings.Contains(e.Message, "StrangeModel") || !strings.Contains(e.Message, "it takes left, right and gives sum") || !strings.Contains(e.Hint, "tensors") {
		t.Errorf("of an unknown class: %+v", e)
	}
}
