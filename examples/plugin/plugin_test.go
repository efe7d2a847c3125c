package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/command"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

// The suite that every provider passes.
func TestGolang(t *testing.T) {
	enginetest.TestProvider(t, func(testing.TB) engine.ExecutionProvider { return golang{} })
}

// The program runs a model on the new device.
func TestPlugin_runsAModel(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "sum.onnx")
	if err := os.WriteFile(model, enginetest.Add().Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := `{"model":` + quote(model) + `,"device":"cpu:go","detail":"full","tensors":[` +
		`{"name":"left","shape":[1,3],"data":[1,2,3]},{"name":"right","shape":[1,3],"data":[10,20,30]}]}`
	var out, errOut bytes.Buffer
	code := command.Run(t.Context(), []string{"--home", filepath.Join(dir, "home"), "call", "run_inference", args}, strings.NewReader(""), &out, &errOut,
		func(r *engine.Registry) { r.RegisterProvider(golang{}) })
	if code != command.ExitOK || !strings.Contains(out.String(), `"data":[11,22,33]`) || !strings.Contains(out.String(), `"id":"cpu:go"`) {
		t.Errorf("exit %d: %s%s", code, out.String(), errOut.String())
	}
}

func quote(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}
