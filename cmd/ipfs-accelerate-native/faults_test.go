//go:build unix

package main_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

func wantCode(t testing.TB, err error, want engine.Code) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v; want code %s", err, want)
	}
}

func open(t testing.TB, p engine.ExecutionProvider, m om.Model, plan engine.Plan) engine.Session {
	t.Helper()
	s, err := p.NewSession(t.Context(), enginetest.WriteModel(t, m), enginetest.ModelFile, plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // not what is tested
	return s
}

var x = engine.Tensors{"x": engine.NewTensor([]int64{1}, []float32{1})}

// filled is a model whose output has as many elements as its input says.
func filled() om.Model {
	return om.Model{Graph: om.Graph{
		Inputs:  []om.Value{om.Dims("n", om.Int64, 1)},
		Outputs: []om.Value{om.Symbols("y", om.Float, "n")},
		Nodes:   []om.Node{{Op: "ConstantOfShape", Inputs: []string{"n"}, Outputs: []string{"y"}}},
	}}
}

func wantLevel(t *testing.T, s engine.Session) {
	t.Helper()
	info, err := s.(engine.Describer).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && !strings.Contains(info.Sandbox, "seccomp") || runtime.GOOS == "linux" && info.MemoryBytes < 1<<20 {
		t.Errorf("sandbox is %q, peak memory %d", info.Sandbox, info.MemoryBytes)
	}
}

// The process that talks to the agent maps no ONNX Runtime; its child does.
func TestRunner_libraryStaysOutside(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what a process maps")
	}
	p := newProvider(t, runner.Options{})
	s := open(t, p, enginetest.Identity(om.Float, 1), engine.Plan{})
	if _, err := s.Run(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	wantLevel(t, s)
	library := filepath.Base(enginetest.Runtime(t))
	for _, pid := range append(p.Children(), os.Getpid()) {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Contains(string(maps), library), pid != os.Getpid(); got != want {
			t.Errorf("process %d maps %s: %v; want %v", pid, library, got, want)
		}
	}
}

// The child is killed, or aborted, while ONNX Runtime computes.
func TestRunner_killedDuringRun(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGABRT, syscall.SIGSEGV} {
		t.Run(signal.String(), func(t *testing.T) {
			p := newProvider(t, runner.Options{})
			spares := p.Children()
			s := open(t, p, enginetest.Endless(), engine.Plan{})
			done := make(chan error, 1)
			go func() {
				_, err := s.Run(t.Context(), x)
				done <- err
			}()
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			var err error
			for err == nil {
				for _, pid := range p.Children() {
					if !slices.Contains(spares, pid) {
						syscall.Kill(pid, signal) //nolint:errcheck // it may be gone
					}
				}
				select {
				case err = <-done:
				case <-tick.C:
				}
			}
			wantCode(t, err, engine.ErrRunnerCrashed)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err = s.Run(ctx, x) // it runs again, until its time is up
			wantCode(t, err, engine.ErrDeadline)
		})
	}
}

// Models that do not fit the limit fail at load or at run, and the next works.
func TestRunner_memoryLimit(t *testing.T) {
	p := newProvider(t, runner.Options{MemoryLimit: 200 << 20})
	const elements = 100 << 20 // 400 MiB
	large := om.Model{Graph: om.Graph{
		Inputs:  []om.Value{om.Dims("x", om.Float, 1)},
		Outputs: []om.Value{om.Symbols("y", om.Float, "n")},
		Nodes: []om.Node{
			{Op: "ConstantOfShape", Inputs: []string{"n"}, Outputs: []string{"w"}},
			{Op: "Add", Inputs: []string{"w", "x"}, Outputs: []string{"y"}},
		},
		Initializers: []om.Tensor{om.Int64s("n", []int64{1}, elements)},
	}}
	s, err := p.NewSession(t.Context(), enginetest.WriteModel(t, large), enginetest.ModelFile, engine.Plan{})
	if err == nil { // it was not folded at load
		_, err = s.Run(t.Context(), x)
		s.Close() // not what is tested
	}
	wantCode(t, err, engine.ErrOutOfMemory)

	remembers := filled() // whose arena doubles
	remembers.Graph.Inputs[0].Name, remembers.Graph.Nodes[0].Inputs[0] = "past_key_values.n", "past_key_values.n"
	for _, m := range []om.Model{filled(), remembers} {
		grow := open(t, p, m, engine.Plan{})
		for _, n := range []int64{elements, 1 << 40, 1, elements / 10} {
			out, err := grow.Run(t.Context(), engine.Tensors{m.Graph.Inputs[0].Name: engine.NewTensor([]int64{1}, []int64{n})})
			switch {
			case n >= elements:
				wantCode(t, err, engine.ErrOutOfMemory)
			case err != nil || len(out["y"].Data) != int(4*n):
				t.Errorf("after running out of memory: %v, %v", out, err)
			}
		}
	}
}

// An input that does not fit is refused before it is read.
func TestRunner_inputOverLimit(t *testing.T) {
	const elements = 64 << 20 // 256 MiB
	p := newProvider(t, runner.Options{MemoryLimit: 100 << 20})
	s := open(t, p, enginetest.Identity(om.Float, elements), engine.Plan{})
	_, err := s.Run(t.Context(), engine.Tensors{"x": engine.NewTensor([]int64{elements}, make([]float32, elements))})
	wantCode(t, err, engine.ErrOutOfMemory)
	_, err = s.Run(t.Context(), engine.Tensors{"x": engine.NewTensor([]int64{1}, []float32{1})})
	wantCode(t, err, engine.ErrInvalidArgument) // of the same child, which lives
}

// An output that fits once, but not a second time for its way out.
func TestRunner_outputOverLimit(t *testing.T) {
	const elements = 40 << 20 // 160 MiB
	s := open(t, newProvider(t, runner.Options{MemoryLimit: 200 << 20}), filled(), engine.Plan{})
	for range 3 {
		_, err := s.Run(t.Context(), engine.Tensors{"n": engine.NewTensor([]int64{1}, []int64{elements})})
		wantCode(t, err, engine.ErrOutOfMemory)
	}
}

// The stacks of threads do not count against the limit: ONNX Runtime hangs when
// it can't make all of its own.
func TestRunner_threadsWithinLimit(t *testing.T) {
	s := open(t, newProvider(t, runner.Options{}), enginetest.Conv(32, 2), engine.Plan{Threads: 64, Memory: 32 << 20})
	in := engine.Tensors{"input": engine.NewTensor([]int64{1, 3, 32, 32}, make([]float32, 3*32*32))}
	var wait sync.WaitGroup
	for range 40 {
		wait.Go(func() {
			if _, err := s.Run(t.Context(), in); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

// ONNX Runtime's telemetry is off: it starts no thread of its own, and writes
// nothing.
func TestRunner_noTelemetry(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what a process has open")
	}
	home, start := t.TempDir(), time.Now()
	p := newProvider(t, runner.Options{Env: []string{"HOME=" + home, "XDG_CACHE_HOME=" + home, "TMPDIR=" + home}})
	open(t, p, enginetest.Identity(om.Float, 1), engine.Plan{})
	left, err := os.ReadDir(home)
	if err != nil || len(left) != 0 {
		t.Errorf("the runner left %v, %v", left, err)
	}
	for _, pid := range p.Children() {
		// An older one is another process's that had this number.
		if st, err := os.Stat(fmt.Sprintf("/tmp/mat-debug-%d.log", pid)); err == nil && st.ModTime().After(start) {
			t.Error("the runner left a telemetry log")
		}
	}
}

// Outputs without dimensions or of half floats, which the binding can't give.
func TestRunner_cast(t *testing.T) {
	m := om.Model{Graph: om.Graph{
		Inputs:  []om.Value{om.Symbols("x", om.Float, "n")},
		Outputs: []om.Value{om.Symbols("half", om.Float16, "n"), om.Dims("sum", om.Float)},
		Nodes: []om.Node{
			{Op: "Cast", Inputs: []string{"x"}, Outputs: []string{"half"}, Attributes: []om.Attribute{om.Attr("to", int64(om.Float16))}},
			{Op: "ReduceSum", Inputs: []string{"x"}, Outputs: []string{"sum"}, Attributes: []om.Attribute{om.Attr("keepdims", 0)}},
		},
	}}
	s := open(t, newProvider(t, runner.Options{}), m, engine.Plan{})
	out, err := s.Run(t.Context(), engine.Tensors{"x": engine.NewTensor([]int64{3}, []float32{1, 2, 3})})
	if err != nil {
		t.Fatal(err)
	}
	if h := out["half"]; h.DType != engine.Float16 || !slices.Equal(h.Data, []byte{0, 0x3c, 0, 0x40, 0, 0x42}) {
		t.Errorf("half floats are %+v", h)
	}
	if sum, err := engine.Values[float32](out["sum"]); err != nil || len(out["sum"].Shape) != 0 || sum[0] != 6 {
		t.Errorf("sum is %+v, %v", out["sum"], err)
	}
}

// Shapes that the model declares wrongly, and inputs it can't work with.
func TestRunner_badShapes(t *testing.T) {
	m := om.Model{Graph: om.Graph{
		Inputs:  []om.Value{om.Symbols("x", om.Float, "n"), om.Dims("to", om.Int64, 2)},
		Outputs: []om.Value{om.Symbols("y", om.Float, "a", "b")},
		Nodes:   []om.Node{{Op: "Reshape", Inputs: []string{"x", "to"}, Outputs: []string{"y"}}},
	}}
	s := open(t, newProvider(t, runner.Options{}), m, engine.Plan{})
	for _, to := range [][]int64{{2, 2}, {4, 1 << 62}, {-5, 3}, {1 << 40, 1 << 40}} {
		in := engine.Tensors{"x": engine.NewTensor([]int64{4}, make([]float32, 4)), "to": engine.NewTensor([]int64{2}, to)}
		_, err := s.Run(t.Context(), in)
		if to[0] == 2 && err != nil {
			t.Errorf("%v: %v", to, err)
		} else if to[0] != 2 {
			wantCode(t, err, engine.ErrInvalidArgument)
		}
	}
}

// repeats is how often a test repeats what it would n times: a tenth of that,
// but all with STRESS=1.
func repeats(n int) int {
	if os.Getenv("STRESS") == "1" {
		return n
	}
	return n / 10
}

// Flipped bytes of a sound model: any answer will do but a wrong kind of error.
func TestRunner_mutatedModels(t *testing.T) {
	count := repeats(200)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d models", seed, count)
	r := rand.New(rand.NewPCG(seed, 1))
	p := newProvider(t, runner.Options{MemoryLimit: 512 << 20})
	sound := enginetest.Conv(16, 3).Marshal()
	for range count {
		data := slices.Clone(sound)
		for range 1 + r.IntN(8) {
			data[r.IntN(len(data))] = byte(r.Uint32())
		}
		data = data[:len(data)-r.IntN(2)*r.IntN(len(data))]
		tryMutated(t, p, data)
	}
	open(t, p, enginetest.Add(), engine.Plan{})
}

func tryMutated(t *testing.T, p *runner.Provider, data []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := p.NewSession(ctx, enginetest.WriteModelFile(t, data), enginetest.ModelFile, engine.Plan{Threads: 1})
	if err == nil {
		defer s.Close() // not what is tested
		_, err = s.Run(ctx, engine.Tensors{"input": engine.NewTensor([]int64{1, 3, 16, 16}, make([]float32, 768))})
	}
	var e *engine.Error
	if err != nil && (!errors.As(err, &e) || e.Code == engine.ErrInternal) {
		t.Errorf("got %#v", err)
	}
}

func withLibrary(t *testing.T, path string) *runner.Provider {
	t.Helper()
	p := runner.New(runner.Options{
		Command: []string{program, "runner"}, RuntimeHint: "install it",
		Library: func() (string, error) { return path, nil },
	})
	t.Cleanup(func() { p.Close() }) // not what is tested
	return p
}

func TestRunner_notALibrary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libonnxruntime.so.1")
	_, err := withLibrary(t, path).Devices(t.Context())
	wantMissing(t, err, path)
	if err := os.WriteFile(path, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = withLibrary(t, path).Devices(t.Context())
	wantMissing(t, err, path)
}

func wantMissing(t *testing.T, err error, path string) {
	t.Helper()
	var e *engine.Error
	if !errors.As(err, &e) || e.Code != engine.ErrRuntimeMissing || e.Hint != "install it" || strings.Contains(e.Message, filepath.Dir(path)) {
		t.Errorf("got %#v", err)
	}
}

// A library that calls abort() when it is loaded takes its child with it only.
func TestRunner_libraryAborts(t *testing.T) {
	p := withLibrary(t, abortingLibrary(t))
	for range 2 {
		_, err := p.Devices(t.Context())
		wantCode(t, err, engine.ErrRunnerCrashed)
		if err == nil || !strings.Contains(err.Error(), "SIGABRT") {
			t.Errorf("got %v; want it to say SIGABRT", err)
		}
	}
}

// abortingLibrary makes a library that ends the process that asks it for
// anything.
func abortingLibrary(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, path := filepath.Join(dir, "a.c"), filepath.Join(dir, "libonnxruntime.so.1")
	code := "#include <stdlib.h>\nvoid *OrtGetApiBase(void) { abort(); }\n"
	if err := os.WriteFile(source, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", path, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}
