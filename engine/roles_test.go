package engine_test

import (
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Of several models that are used together the first one is what runs.
func TestOnnxFile_severalModels(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		roles map[string]string
		want  string
	}{
		"encoder and decoder": {[]string{"onnx/decoder_model.onnx", "onnx/encoder_model.onnx"}, nil, "onnx/encoder_model.onnx"},
		"detector":            {[]string{"a.onnx", "b.onnx", "c.onnx"}, map[string]string{"detector": "b.onnx", "recognizer": "a.onnx"}, "b.onnx"},
		"model first":         {[]string{"a.onnx", "b.onnx"}, map[string]string{"model": "a.onnx", "encoder": "b.onnx"}, "a.onnx"},
		"usual name":          {[]string{"encoder_model.onnx", "model.onnx"}, nil, "model.onnx"},
	} {
		m := engine.Model{Manifest: engine.Manifest{Files: c.roles}}
		for _, f := range c.files {
			m.Files = append(m.Files, engine.ModelFile{Name: f})
		}
		got, err := m.OnnxFile()
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}
