package onnx_test

import (
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/onnx"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

func load(t testing.TB) engine.ExecutionProvider {
	t.Helper()
	p, err := onnx.Load(enginetest.Runtime(t), packs.Provider{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProvider(t *testing.T) { enginetest.TestProvider(t, load) }
