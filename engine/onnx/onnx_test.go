package onnx_test

import (
	"os"
	"path/filepath"
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

// TestProvider_cuda needs an NVIDIA GPU, its driver and CUDA's libraries, and
// the libraries of the pack beside the core.
func TestProvider_cuda(t *testing.T) {
	if _, err := os.Stat("/dev/nvidiactl"); err != nil {
		t.Skip("there is no NVIDIA GPU")
	}
	library := enginetest.Runtime(t)
	table, err := packs.Table(packs.Here())
	if err != nil {
		t.Skip(err)
	}
	for _, p := range table {
		if p.Name != "cuda" {
			continue
		}
		as := p.Provider
		as.Plugin = filepath.Join(filepath.Dir(library), filepath.Base(as.Plugin))
		if _, err := os.Stat(as.Plugin); err != nil {
			t.Skip("the pack cuda is not installed beside the core")
		}
		enginetest.TestKeeper(t, func(t testing.TB) engine.ExecutionProvider {
			p, err := onnx.Load(library, as)
			if err != nil {
				t.Fatal(err)
			}
			return p
		})
	}
}
