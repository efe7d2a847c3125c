//go:build linux

package main_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A scaling model multiplies vectors of so many numbers: one has 92 MB of
// weights, the other 4.
const (
	wide   = 4800
	narrow = 1000
)

// scaling is a folder with a model that multiplies a vector by a number, by a
// matrix of full size.
func scaling(t *testing.T, wide int64, by float32) string {
	t.Helper()
	weights := make([]float32, wide*wide)
	for i := range wide {
		weights[i*wide+i] = by
	}
	dir := t.TempDir()
	m := om.Model{Graph: om.Graph{
		Inputs: []om.Value{om.Dims("x", om.Float, 1, wide)}, Outputs: []om.Value{om.Dims("y", om.Float, 1, wide)},
		Initializers: []om.Tensor{om.Floats("w", []int64{wide, wide}, weights...)},
		Nodes:        []om.Node{{Op: "MatMul", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}},
	}}
	must(t, os.WriteFile(filepath.Join(dir, "model.onnx"), m.Marshal(), 0o600))
	return dir
}

// scalers is an engine with the models "2" and "3", each of which multiplies by
// its name, and the input for them.
func scalers(t *testing.T, wide int64, o engine.Options) (*engine.Engine, *runner.Provider, []engine.TensorInput) {
	t.Helper()
	store, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{})
	must(t, err)
	for name, by := range map[string]float32{"2": 2, "3": 3} {
		_, err = store.Add(t.Context(), scaling(t, wide, by), ipfsstore.AddOptions{Name: name})
		must(t, err)
	}
	p := newProvider(t, runner.Options{})
	o.Plugins = &engine.Registry{}
	o.Plugins.RegisterProvider(p)
	o.Models, o.Results, o.Paths = store, openResults(t, t.TempDir(), time.Minute), engine.Paths{All: true}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	e := engine.New(o)
	t.Cleanup(func() { must(t, errors.Join(e.Close(), store.Close())) })
	x := make([]float32, wide)
	for i := range x {
		x[i] = float32(i)
	}
	file := filepath.Join(t.TempDir(), "x.npy")
	f, err := os.Create(file)
	must(t, err)
	must(t, engine.WriteNPY(f, engine.NewTensor([]int64{1, wide}, x)))
	must(t, f.Close())
	return e, p, []engine.TensorInput{{Name: "x", File: file}}
}

// scale has a scaler work, and returns how long it took to load.
func scale(t *testing.T, e *engine.Engine, model string, in []engine.TensorInput) (loadMS float64) {
	a, err := e.Infer(t.Context(), engine.InferRequest{Model: model, Tensors: in}, func(engine.Progress) {})
	if err != nil {
		t.Error(err)
		return 0
	}
	if got := a.Tensors[0].Preview; got[0] != "0" || string(got[1]) != model {
		t.Errorf("%s made %v", model, got)
	}
	return a.TimingsMS.Load
}

// anonymous is the memory of no file that processes have, in bytes.
func anonymous(t *testing.T, pids ...int) (sum int64) {
	t.Helper()
	for _, pid := range pids {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may be gone
		for line := range strings.Lines(string(text)) {
			if kb, ok := strings.CutPrefix(line, "RssAnon:"); ok {
				n, err := strconv.ParseInt(strings.Fields(kb)[0], 10, 64)
				must(t, err)
				sum += n << 10
			}
		}
	}
	return sum
}

// Two models of 92 MB under a budget for both, and for one: calls of 8 clients
// for one or the other are answered right, and what is open is never over the
// budget by more than one model.
func TestSessions_underBudget(t *testing.T) {
	const clients = 8
	calls := repeats(200)
	for _, budget := range []int64{250 << 20, 150 << 20} {
		e, _, in := scalers(t, wide, engine.Options{SessionMemory: budget})
		scale(t, e, "2", in)
		model := e.Stats().SessionBytes
		var most atomic.Int64
		var all sync.WaitGroup
		for client := range clients {
			all.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(client)))
				for range (calls + clients - 1) / clients {
					scale(t, e, []string{"2", "3"}[random.IntN(2)], in)
					most.Store(max(most.Load(), e.Stats().SessionBytes))
				}
			})
		}
		all.Wait()
		t.Logf("a model takes %d MB, at most %d MB of %d were taken", model>>20, most.Load()>>20, budget>>20)
		if model < 92_000_000 || most.Load() > budget+model || most.Load() == model {
			t.Errorf("a model takes %d bytes, at most %d were taken", model, most.Load())
		}
	}
}

// What a model is laid out as computes what the model did. Loading it again and
// again leaves no memory behind.
func TestLayout_reloaded(t *testing.T) {
	reloads := repeats(50) // of each
	o := engine.Options{SessionMemory: 1, LayoutLimit: 1 << 30, Dir: t.TempDir()}
	e, p, in := scalers(t, wide, o)
	for engine.DiskUse(filepath.Join(o.Dir, "derived")) < 2*wide*wide*4 && t.Context().Err() == nil {
		scale(t, e, "2", in)
		scale(t, e, "3", in)
	}
	before := anonymous(t, append(p.Children(), os.Getpid())...)
	for range reloads {
		scale(t, e, "2", in)
		scale(t, e, "3", in)
	}
	runtime.GC()
	if grown := anonymous(t, append(p.Children(), os.Getpid())...) - before; grown > 16<<20 {
		t.Errorf("after %d reloads %d MB more are taken", 2*reloads, grown>>20)
	}
}

// Runs that are taken back at any moment are cancelled, or were done already;
// the next is right, and nothing is left behind.
func TestRunner_cancelled(t *testing.T) {
	count := repeats(200)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d runs", seed, count)
	random := rand.New(rand.NewPCG(seed, 1))
	p := newProvider(t, runner.Options{})
	s := open(t, p, enginetest.Conv(128, 8), engine.Plan{Threads: 1})
	in := engine.Tensors{"input": engine.NewTensor([]int64{1, 3, 128, 128}, make([]float32, 3*128*128))}
	want, err := s.Run(t.Context(), in)
	must(t, err)
	cancelled, before := 0, int64(0)
	for i := range count {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(random.IntN(8_000_000)), context.Canceled)
		_, err := s.Run(ctx, in)
		cancel()
		if errors.Is(err, engine.ErrDeadline) || errors.Is(err, engine.ErrCancelled) {
			cancelled++
		} else {
			must(t, err)
		}
		got, err := s.Run(t.Context(), in)
		must(t, err)
		if !slices.Equal(got["features"].Data, want["features"].Data) {
			t.Fatal("the next run is wrong")
		}
		if i == count/2 {
			before = anonymous(t, p.Children()...)
		}
	}
	t.Logf("%d were cancelled", cancelled)
	if grown := anonymous(t, p.Children()...) - before; grown > 32<<20 {
		t.Errorf("%d MB more are taken", grown>>20)
	}
}

// Runners are killed while 8 clients have two models work: nine of ten calls are
// answered right, by a second try in a new runner, the others by an error with
// a name; none hangs.
func TestRunner_killedUnderLoad(t *testing.T) {
	const clients, callsPerKill = 8, 12
	kills := repeats(500)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d kills", seed, kills)
	e, p, in := scalers(t, narrow, engine.Options{})
	for _, model := range []string{"2", "3"} {
		scale(t, e, model, in)
	}
	done := make(chan struct{}, clients) // one for each right answer
	stop := make(chan struct{})
	var right, wrong atomic.Int64
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			for {
				model := []string{"2", "3"}[random.IntN(2)]
				a, err := e.Infer(t.Context(), engine.InferRequest{Model: model, Tensors: in}, func(engine.Progress) {})
				switch {
				case err == nil && string(a.Tensors[0].Preview[1]) == model:
					right.Add(1)
				case errors.Is(err, engine.ErrRunnerCrashed):
					wrong.Add(1)
					continue
				default:
					t.Errorf("%v, %v", a.Tensors, err)
				}
				select {
				case done <- struct{}{}:
				case <-stop:
					return
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, clients))
	for range kills {
		for range 1 + random.IntN(2*callsPerKill) {
			<-done
		}
		if pids := p.Children(); len(pids) > 0 {
			if child, err := os.FindProcess(pids[random.IntN(len(pids))]); err == nil {
				_ = child.Kill() // it may have ended by itself
			}
		}
	}
	close(stop)
	all.Wait()
	t.Logf("%d calls were right, %d ended in an error", right.Load(), wrong.Load())
	if right.Load() < 9*(right.Load()+wrong.Load())/10 {
		t.Errorf("only %d calls were right, %d ended in an error", right.Load(), wrong.Load())
	}
}
