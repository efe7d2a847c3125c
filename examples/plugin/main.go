// Command plugin is the whole program with one more execution provider: a
// main of your own is a provider and one call.
package main

import (
	"context"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/command"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

func main() {
	command.Main(func(r *engine.Registry) { r.RegisterProvider(golang{}) })
}

// golang runs tiny models in Go, without ONNX Runtime: those of Identity, Add
// and Loop. It borrows the evaluator of the test kit; yours would drive a
// device.
type golang struct{ enginetest.Fake }

var _ engine.ExecutionProvider = golang{}

// Name is what the provider is registered under.
func (golang) Name() string { return "golang" }

// Devices offers one device, which callers name by its id.
func (golang) Devices(context.Context) ([]hardware.Device, error) {
	return []hardware.Device{{ID: "cpu:go", Kind: hardware.CPU, Name: "Go", Precisions: []string{"fp32"}}}, nil
}

// NewSession loads a model.
func (g golang) NewSession(ctx context.Context, m *engine.Model, file string, p engine.Plan) (engine.Session, error) {
	return g.Fake.NewSession(ctx, m, file, p)
}
