package engine

import (
	"context"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// A checkedSession is one on an accelerator. Its first run is done by the
// processor too, and compared: what is wrong is an error, so that another
// device is tried. How it went is kept, for this model on this device.
type checkedSession struct {
	Session
	e    *Engine
	m    *loadedModel
	c    candidate
	file string

	mu   sync.Mutex // held while it is being compared
	done bool
}

// Describe passes the question on.
func (s *checkedSession) Describe(ctx context.Context) (SessionInfo, error) {
	if d, ok := s.Session.(Describer); ok {
		return d.Describe(ctx)
	}
	return SessionInfo{}, Errorf(ErrUnsupported, "the session does not describe itself")
}

// Run runs the model, and compares once.
func (s *checkedSession) Run(ctx context.Context, in Tensors) (Tensors, error) {
	out, err := s.Session.Run(ctx, in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return out, nil
	}
	proof, known := s.e.proofs.model(s.c, &s.m.Model, s.file)
	if !known {
		began := time.Now()
		defer func() { addTo(ctx, checkingKey{}, time.Since(began)) }()
		if proof, err = s.compare(ctx, in, out); err != nil {
			return nil, err
		}
		if err := s.e.proofs.setModel(s.c, &s.m.Model, s.file, proof); err != nil {
			s.e.log.ErrorContext(ctx, "what was found out about a device can't be kept", "error", err)
		}
	}
	if err := proof.err(s.c); err != nil {
		return nil, err
	}
	s.done = true
	return out, nil
}

// RunKept compares before anything is kept, then passes the run on.
func (s *checkedSession) RunKept(ctx context.Context, in Tensors, k Kept) (Tensors, error) {
	keeper, ok := s.Session.(Keeper)
	if !ok {
		return nil, Errorf(ErrUnsupported, "%s keeps nothing between runs", s.c.ID)
	}
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	if !done && len(k.Take) == 0 {
		if _, err := s.Run(ctx, in); err != nil {
			return nil, err
		}
	}
	return keeper.RunKept(ctx, in, k)
}

// Forget passes it on.
func (s *checkedSession) Forget(ctx context.Context, names ...string) error {
	if keeper, ok := s.Session.(Keeper); ok {
		return keeper.Forget(ctx, names...)
	}
	return nil
}

// err says that a model does not run right on a device.
func (p modelProof) err(c candidate) error {
	if p.Right {
		return nil
	}
	return Errorf(ErrDeviceUnavailable, "%s computes this model wrong: %.3g off, %.3g allowed", c.ID, p.Off, p.Allowed).
		WithHint("use another device, such as cpu; another driver is tried afresh")
}

// compare runs the model on the processor, and both by the clock.
func (s *checkedSession) compare(ctx context.Context, in, out Tensors) (modelProof, error) {
	cpu, err := s.e.processor(ctx)
	if err != nil {
		return modelProof{}, err
	}
	o := s.e.open(s.m, cpu, func(time.Duration) {})
	defer o.release()
	original, allowed := s.m.original(s.file), tolerance(s.c.Precisions)
	switch {
	case s.c.asked != "":
		allowed = tolerance([]string{s.c.asked})
	case original != s.file:
		allowed = tolerance([]string{"fp16"})
	}
	reference, err := o.Open(ctx, original)
	if err != nil {
		return modelProof{}, err
	}
	want, err := reference.Run(ctx, in)
	if err != nil {
		return modelProof{}, err
	}
	p := modelProof{At: now()}
	p.Off, p.Allowed = furthest(out, want, allowed)
	if p.Right = p.Off <= p.Allowed; !p.Right {
		return p, nil
	}
	took, err := clock(ctx, in, s.Session, reference)
	if err != nil {
		return modelProof{}, err
	}
	p.DeviceMS, p.CPUMS = took[0], took[1]
	return p, nil
}

// original is the file that the results of another are compared with: for one
// of half precision the full one that it was made of, if the model has that
// with the same inputs and outputs.
func (m *loadedModel) original(file string) string {
	g, err := m.graph(file)
	if err != nil || g.Precision != "fp16" {
		return file
	}
	full, err := m.OnnxFileFor("fp32")
	if err != nil {
		return file
	}
	if of, err := m.graph(full); err == nil && reflect.DeepEqual(g.Inputs, of.Inputs) && reflect.DeepEqual(g.Outputs, of.Outputs) {
		return full
	}
	return file
}

// processor is the candidate that all others are compared with.
func (e *Engine) processor(ctx context.Context) (candidate, error) {
	all, _ := e.candidates(ctx)
	for _, c := range all {
		if c.Kind == hardware.CPU && !c.Simulated {
			return c, nil
		}
	}
	return candidate{}, Errorf(ErrDeviceUnavailable, "there is no processor to compare an accelerator with").
		WithHint("allow the cpu: hardware.allow_cpu")
}

// clock is the median time of runs of each session, in milliseconds. Sessions
// take turns, so that what slows the machine for a while slows each; there are
// as many runs as fit in a quarter of a second, for what is measured here is
// kept, and short runs differ by little.
func clock(ctx context.Context, in Tensors, sessions ...Session) ([]float64, error) {
	const most, long = 64, 250 * time.Millisecond
	took := make([][]time.Duration, len(sessions))
	for began, n := time.Now(), 0; n == 0 || n < most && time.Since(began) < long; n++ {
		for i, s := range sessions {
			ran := time.Now()
			if _, err := s.Run(ctx, in); err != nil {
				return nil, err
			}
			took[i] = append(took[i], time.Since(ran))
		}
	}
	medians := make([]float64, len(sessions))
	for i, d := range took {
		slices.Sort(d)
		medians[i] = round3(ms(d[len(d)/2]))
	}
	return medians, nil
}

// tolerance is how far off a device's result may be: a number alone, and a
// part of the largest. Half precision and TF32 round to 11 bits, bfloat16 to 8;
// half precision also sums in it.
func tolerance(precisions []string) [2]float64 {
	switch {
	case slices.Contains(precisions, "fp32"):
		return [2]float64{1e-5, 1e-4}
	case slices.Contains(precisions, "tf32"):
		return [2]float64{1e-5, 3e-3}
	}
	return [2]float64{1e-5, 3e-2}
}

// furthest finds the output that is furthest from what it should be, by what
// is allowed: off, and how much it may be. Whole numbers must be equal.
func furthest(got, want Tensors, t [2]float64) (off, allowed float64) {
	worst := -1.0
	for name, w := range want {
		g := got[name]
		if g == nil || !slices.Equal(g.Shape, w.Shape) || g.DType != w.DType {
			return math.Inf(1), 0
		}
		diff, may := apart(floats(g), floats(w), t)
		if !slices.Contains(floating, w.DType) {
			may = 0
		}
		if !slices.Equal(g.Strings, w.Strings) {
			diff = math.Inf(1)
		}
		if part := diff - may; part > worst || worst == -1 {
			worst, off, allowed = part, diff, may
		}
	}
	return off, allowed
}

// Agree reports whether results are as far off as the precisions that a device
// computes in allow, as ErrDeviceUnavailable if they are not.
func Agree(got, want Tensors, precisions []string) error {
	if off, allowed := furthest(got, want, tolerance(precisions)); off > allowed {
		return Errorf(ErrDeviceUnavailable, "the results are %.3g off, %.3g allowed", off, allowed)
	}
	return nil
}

// apart is the largest difference of numbers, and what is allowed. What is not
// a number in one must not be in the other.
func apart(got, want []float64, t [2]float64) (diff, allowed float64) {
	most := 0.0
	for i, w := range want {
		g := got[i]
		switch d := math.Abs(g - w); {
		case g == w || math.IsNaN(g) && math.IsNaN(w):
		case math.IsNaN(d):
			diff = math.Inf(1)
		default:
			diff = max(diff, d)
		}
		if !math.IsInf(w, 0) && !math.IsNaN(w) {
			most = max(most, math.Abs(w))
		}
	}
	return diff, t[0] + t[1]*most
}
