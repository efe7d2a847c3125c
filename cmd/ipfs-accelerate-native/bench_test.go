//go:build unix

package main_test

import (
	"path/filepath"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

// side makes an input as large as BlazeFace's: 196 608 bytes.
const (
	side   = 128
	pixels = 3 * side * side
)

// BenchmarkDirect is the floor: the binding in this process, with memory for
// the output made before.
func BenchmarkDirect(b *testing.B) {
	m := enginetest.WriteModel(b, enginetest.Conv(side, 2))
	b.Setenv("ORT_DISABLE_TELEMETRY", "1")
	ort.SetSharedLibraryPath(enginetest.Runtime(b))
	if !ort.IsInitialized() {
		must(b, ort.InitializeEnvironment(ort.WithLogLevelError()))
	}
	options, err := ort.NewSessionOptions()
	must(b, err)
	must(b, options.SetIntraOpNumThreads(1))
	in, err := ort.NewTensor(ort.NewShape(1, 3, side, side), make([]float32, pixels))
	must(b, err)
	out, err := ort.NewEmptyTensor[float32](ort.NewShape(1, 16, 1, 1))
	must(b, err)
	s, err := ort.NewAdvancedSession(filepath.Join(m.Dir, enginetest.ModelFile), []string{"input"}, []string{"features"}, []ort.Value{in}, []ort.Value{out}, options)
	must(b, err)
	defer s.Destroy() //nolint:errcheck // not what is measured
	for b.Loop() {
		must(b, s.Run())
	}
}

// BenchmarkRunner is the same model in a child process.
func BenchmarkRunner(b *testing.B) {
	p := newProvider(b, runner.Options{})
	s, err := p.NewSession(b.Context(), enginetest.WriteModel(b, enginetest.Conv(side, 2)), enginetest.ModelFile, engine.Plan{Threads: 1})
	must(b, err)
	defer s.Close() // not what is measured
	in := engine.Tensors{"input": engine.NewTensor([]int64{1, 3, side, side}, make([]float32, pixels))}
	for b.Loop() {
		_, err := s.Run(b.Context(), in)
		must(b, err)
	}
}

// BenchmarkNewSession is what a session costs when a spare is ready.
func BenchmarkNewSession(b *testing.B) {
	p := newProvider(b, runner.Options{})
	m := enginetest.WriteModel(b, enginetest.Conv(side, 2))
	for b.Loop() {
		s, err := p.NewSession(b.Context(), m, enginetest.ModelFile, engine.Plan{Threads: 1})
		must(b, err)
		must(b, s.Close())
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
