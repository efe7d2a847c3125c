package engine

import (
	"context"
	_ "embed"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// canaryModel is a one-layer network, y = relu(x·W + b) with x of shape
// [2,16] and y of [2,8]; canaryWeight and canaryBias say its weights. It is
// made by canary_test.go.
//
//go:embed testdata/canary.onnx
var canaryModel []byte

const (
	canaryFile          = "canary.onnx"
	canaryRows          = 2
	canaryIn, canaryOut = 16, 8

	// canaryTolerance is what every correct fp32 device keeps to: sums of 16
	// products below 1 in magnitude.
	canaryTolerance = 1e-4
)

func canaryWeight(i, o int) float32 { return float32(math.Sin(float64(i*canaryOut + o))) }
func canaryBias(o int) float32      { return float32(math.Cos(float64(o))) / 2 }
func canaryInput(n int) float32     { return float32(math.Sin(float64(n)*0.7)) / 2 }

// Verification is the proof that a device computes right.
type Verification struct {
	At         time.Time `json:"at"`
	Model      string    `json:"model"`
	MaxAbsDiff float64   `json:"max_abs_diff"`
}

// A verdict is how a device's canary went.
type verdict struct {
	ran          bool
	verification *Verification
	sandbox      string
	err          error
	at           time.Time
}

// verify returns the verdict on a device, running the canary if it is wanted
// and either has not run yet or must again.
func (e *Engine) verify(ctx context.Context, c candidate, wanted, again bool) verdict {
	e.verified.turn.Lock()
	defer e.verified.turn.Unlock()
	v := e.verified.get(c.ID)
	if !wanted || (!again && (v.ran || v.fresh(c))) {
		return v
	}
	if p, ok := e.proofs.canary(c); ok && !again && c.Kind != hardware.CPU {
		v = verdict{ran: true, verification: &p.Verification, sandbox: p.Sandbox}
	} else {
		v = e.runCanary(ctx, c)
		e.keepProof(ctx, c, v)
	}
	v.at = time.Now()
	if ctx.Err() == nil { // else it says nothing about the device
		e.verified.put(c.ID, v)
	}
	return v
}

// fresh reports whether an accelerator failed so lately that it is not asked
// again: starting its process takes long.
func (v verdict) fresh(c candidate) bool {
	return c.Kind != hardware.CPU && v.err != nil && time.Since(v.at) < recheckAfter
}

// keepProof keeps that an accelerator computes right, for as long as it and its
// driver stay what they are.
func (e *Engine) keepProof(ctx context.Context, c candidate, v verdict) {
	if v.err != nil || v.verification == nil || c.Kind == hardware.CPU {
		return
	}
	if err := e.proofs.setCanary(c, canaryProof{*v.verification, v.sandbox}); err != nil {
		e.log.ErrorContext(ctx, "what was found out about a device can't be kept", "error", err)
	}
}

// runCanary runs the canary on a device and compares it with what the same
// arithmetic gives here.
func (e *Engine) runCanary(ctx context.Context, c candidate) verdict {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	m, err := e.canary()
	if err != nil {
		return verdict{err: err}
	}
	s, err := c.provider.NewSession(ctx, m, canaryFile, Plan{Device: c.Device, Precision: "fp32", BatchSize: canaryRows, Threads: 1})
	if err != nil {
		return verdict{err: err}
	}
	defer s.Close()
	x := make([]float32, canaryRows*canaryIn)
	for i := range x {
		x[i] = canaryInput(i)
	}
	out, err := s.Run(ctx, Tensors{"x": NewTensor([]int64{canaryRows, canaryIn}, x)})
	if err != nil {
		return verdict{err: err}
	}
	v := verdict{ran: true}
	if d, ok := s.(Describer); ok {
		if info, err := d.Describe(ctx); err == nil {
			v.sandbox = info.Sandbox
		}
	}
	diff, err := canaryDiff(x, out["y"])
	if allowed := canaryAllowed(c.Precisions); err == nil && !(diff <= allowed) {
		err = Errorf(ErrDeviceUnavailable, "its result is %g off", diff).WithHint("update the driver, or use another device")
	}
	if err != nil {
		return verdict{err: err}
	}
	v.verification = &Verification{At: time.Now().UTC().Truncate(time.Second), Model: canaryFile, MaxAbsDiff: diff}
	return v
}

// canaryAllowed is how far off a device may be, by what it computes in: the
// results are at most about one.
func canaryAllowed(precisions []string) float64 {
	if slices.Contains(precisions, "fp32") {
		return canaryTolerance
	}
	return tolerance(precisions)[1]
}

// canaryDiff is the largest difference between y and the expected result.
func canaryDiff(x []float32, y *Tensor) (float64, error) {
	if y == nil {
		return 0, Errorf(ErrDeviceUnavailable, "it gave no result")
	}
	got, err := Values[float32](y)
	if err != nil || len(got) != canaryRows*canaryOut {
		return 0, Errorf(ErrDeviceUnavailable, "it gave %s %v, not float32 [%d %d]", y.DType, y.Shape, canaryRows, canaryOut)
	}
	worst := 0.0
	for n, g := range got {
		row, o := n/canaryOut, n%canaryOut
		sum := float64(canaryBias(o))
		for i := range canaryIn {
			sum += float64(x[row*canaryIn+i]) * float64(canaryWeight(i, o))
		}
		d := math.Abs(max(sum, 0) - float64(g))
		if math.IsNaN(d) || d > worst {
			worst = d
		}
	}
	return worst, nil
}

// canary writes the canary model into a folder of the engine's own.
func (e *Engine) canary() (*Model, error) {
	dir := filepath.Join(e.o.Dir, "canary")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, canaryFile)
	if data, err := os.ReadFile(path); err == nil && string(data) == string(canaryModel) {
		return &Model{Name: "canary", Dir: dir, Files: []ModelFile{{Name: canaryFile, Bytes: int64(len(data))}}}, nil
	}
	tmp, err := os.CreateTemp(dir, "canary-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(canaryModel); err != nil {
		return nil, err
	}
	if err := tmp.Close(); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return nil, err
	}
	return &Model{Name: "canary", Dir: dir, Files: []ModelFile{{Name: canaryFile, Bytes: int64(len(canaryModel))}}}, nil
}
