//go:build figures && linux

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/onnx"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// TestFigures_joined is how much faster short texts are embedded when many
// callers ask at once than one after the other, through the whole program.
func TestFigures_joined(t *testing.T) {
	const callers, rounds = 64, 5
	server, native := buildBinary(t, "0", "../ipfs-accelerate"), buildBinary(t, "1", ".")
	env := []string{"IPFS_ACCELERATE_HOME=" + t.TempDir(), "IPFS_ACCELERATE_NATIVE=" + native, "ORT_LIB=" + enginetest.Runtime(t)}
	add := exec.Command(server, "models", "add", minilm(t).Dir, "--name", "minilm", "--copy", "--json")
	add.Env = append(os.Environ(), env...)
	must(t, add.Run())
	l := openLine(t, env, server, "serve")
	asks := make([]string, callers)
	for i := range asks {
		asks[i] = call("run_inference", fmt.Sprintf(`{"model":"minilm","inputs":["%s %d"],"detail":"full"}`, []string{"a fox", "the cat sat", "rain", "two old ships"}[i%4], i))
	}
	var alone, together []float64
	var apart float64
	for range rounds {
		var one, all [][]float32
		alone = append(alone, timed(t, func() (err error) { one, err = l.embed(asks, 1); return err }))
		together = append(together, timed(t, func() (err error) { all, err = l.embed(asks, callers); return err }))
		for i := range one {
			for d := range one[i] {
				apart = max(apart, math.Abs(float64(one[i][d]-all[i][d])))
			}
		}
	}
	l.close(t)
	ratio := median(alone) / median(together)
	fmt.Printf("# P2 ms for %d texts: %.1f one by one, %.1f at once; vectors differ by %.2g\n", callers, median(alone), median(together), apart)
	verdict := "ok"
	if ratio < 1.9 || apart > 1e-6 {
		verdict = "short"
	}
	fmt.Printf("P2 %.3f ratio >=1.9 %s\n", ratio, verdict)
}

// TestFigures_reload is how much faster a model of 92 MB that was evicted is in
// memory again, in a runner, than ONNX Runtime loads its file in a program that
// is warm; and what 50 evictions leave behind.
func TestFigures_reload(t *testing.T) {
	const rounds = 25
	o := engine.Options{SessionMemory: 1, LayoutLimit: 1 << 30, Dir: t.TempDir()}
	e, p, in := scalers(t, wide, o)
	for engine.DiskUse(filepath.Join(o.Dir, "derived")) < 2*wide*wide*4 {
		scale(t, e, "2", in)
		scale(t, e, "3", in)
	}
	file := filepath.Join(scaling(t, wide, 2), "model.onnx")
	directBlazeFace(t, 1) // ONNX Runtime is loaded
	load := func() error {
		options, err := ort.NewSessionOptions()
		must(t, err)
		defer options.Destroy() //nolint:errcheck // it is given up either way
		s, err := ort.NewDynamicAdvancedSession(file, []string{"x"}, []string{"y"}, options)
		must(t, err)
		return s.Destroy()
	}
	must(t, load())
	var ours, theirs []float64
	held := func() int64 { runtime.GC(); return anonymous(t, p.Children()...) }
	var before int64
	for i := range rounds {
		for _, model := range []string{"2", "3"} {
			ours = append(ours, scale(t, e, model, in))
			theirs = append(theirs, timed(t, load)) // meanwhile the spare is ready again
		}
		if i == 0 {
			before = held()
		}
	}
	fmt.Printf("# P6 ms to load 92 MB: %.1f again in a runner, %.1f by ONNX Runtime\n", median(ours), median(theirs))
	atLeast("P6", median(theirs)/median(ours), 2)
	figure("P6r", float64(held()-before)/1e6, "MB", 5)
}

// TestFigures_cancelled is the longest that ONNX Runtime goes on once a run is
// taken back, at any moment of the time that it takes; a runner's caller does
// not wait for it.
func TestFigures_cancelled(t *testing.T) {
	const runs = 200
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 2))
	p, err := onnx.Load(enginetest.Runtime(t), packs.Provider{})
	must(t, err)
	s := open(t, p, enginetest.Conv(512, 16), engine.Plan{Threads: 1})
	in := engine.Tensors{"input": engine.NewTensor([]int64{1, 3, 512, 512}, make([]float32, 3*512*512))}
	run := func() error { _, err := s.Run(t.Context(), in); return err }
	must(t, run())
	whole := timed(t, run)
	var took []float64
	for range runs {
		ctx, cancel := context.WithCancel(t.Context())
		var began time.Time
		timer := time.AfterFunc(time.Duration(random.Float64()*whole*float64(time.Millisecond)), func() {
			began = time.Now()
			cancel()
		})
		_, err := s.Run(ctx, in)
		ended := time.Now()
		switch {
		case errors.Is(err, engine.ErrCancelled):
			took = append(took, float64(ended.Sub(began).Microseconds())/1000)
		case err != nil:
			t.Fatal(err)
		}
		timer.Stop()
		cancel()
	}
	fmt.Printf("# M2r ms from cancel to the end of a run of %.0f, %d of %d runs: median %.1f, most %.1f; seed %d\n", whole, len(took), runs, median(took), slices.Max(took), seed)
	figure("M2r", slices.Max(took), "ms", 50)
}

// embed asks with so many requests under way at once, and returns the vectors
// in the order of the requests.
func (l *line) embed(asks []string, at int) ([][]float32, error) {
	first := l.n + 1
	out := make([][]float32, len(asks))
	for i := range asks {
		if i >= at {
			if err := l.takeVector(first, out); err != nil {
				return nil, err
			}
		}
		l.n++
		if _, err := fmt.Fprintf(l.in, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":%s}\n", l.n, asks[i]); err != nil {
			return nil, err
		}
	}
	for range min(at, len(asks)) {
		if err := l.takeVector(first, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *line) takeVector(first int, out [][]float32) error {
	text, err := l.out.ReadString('\n')
	if err != nil {
		return err
	}
	var answer struct {
		ID     int
		Result struct {
			StructuredContent struct {
				Outputs []engine.Output
				Error   any
			}
		}
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&answer); err != nil {
		return err
	}
	r := answer.Result.StructuredContent
	if len(r.Outputs) != 1 || len(r.Outputs[0].Embedding) == 0 {
		return fmt.Errorf("answered %.500s", text)
	}
	out[answer.ID-first] = r.Outputs[0].Embedding
	return nil
}
