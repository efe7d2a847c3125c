package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// chooseFor is choose for a model: of the devices on which it was measured,
// the faster ones come first, unless the configuration prefers others. A
// precision that no file needs to have is asked of the devices.
func (e *Engine) chooseFor(ctx context.Context, device, precision string, m *loadedModel, file string) ([]candidate, error) {
	cs, err := e.choose(ctx, device)
	if precision == "bf16" {
		for i := range cs {
			cs[i].asked = precision
		}
	}
	if err != nil || len(cs) == 1 {
		return cs, err
	}
	var places []int
	var measured []candidate
	for i, c := range cs {
		if e.predicted(c, cs, m, file) != nil {
			places, measured = append(places, i), append(measured, c)
		}
	}
	slices.SortStableFunc(measured, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(e.wish(a), e.wish(b)),
			cmp.Compare(*e.predicted(a, cs, m, file), *e.predicted(b, cs, m, file)),
		)
	})
	for i, place := range places {
		cs[place] = measured[i]
	}
	return cs, nil
}

// wish is where the configuration puts a device, the preferred ones first.
func (e *Engine) wish(c candidate) int {
	if slices.Contains(e.preferences.Load().Prefer, c.Kind) {
		return 0
	}
	return 1
}

// predicted is how long a run of the model takes on a device, in milliseconds,
// by benchmarks if all of the devices have had one, else by what was measured
// when an accelerator was compared with the processor; nil where it was not.
func (e *Engine) predicted(c candidate, among []candidate, m *loadedModel, file string) *float64 {
	if v := e.benchmarked(c, among, m, file); v != nil {
		return v
	}
	if c.Kind != hardware.CPU {
		if p, ok := e.proofs.model(c, &m.Model, file); ok && p.Right {
			return &p.DeviceMS
		}
		return nil
	}
	for _, other := range among {
		if other.Kind == hardware.CPU {
			continue
		}
		if p, ok := e.proofs.model(other, &m.Model, file); ok && p.Right {
			return &p.CPUMS
		}
	}
	return nil
}

// benchmarked is the device's time if benchmarks measured every device.
func (e *Engine) benchmarked(c candidate, among []candidate, m *loadedModel, file string) *float64 {
	for _, other := range among {
		if _, ok := e.proofs.run(other, &m.Model, file); !ok {
			return nil
		}
	}
	if v, ok := e.proofs.run(c, &m.Model, file); ok {
		return &v
	}
	return nil
}

// unfit says why a model is not tried on a device.
func (e *Engine) unfit(c candidate, m *loadedModel, file string, g Graph) error {
	if c.asked != "" && !slices.Contains(c.Precisions, c.asked) {
		return Errorf(ErrUnsupported, "%s does not compute in %s", c.ID, c.asked).WithHint("use precision auto; detect_hardware lists the precisions of each device")
	}
	if c.Kind == hardware.CPU {
		return nil
	}
	if p, ok := e.proofs.model(c, &m.Model, file); ok && !p.Right {
		return p.err(c)
	}
	if strings.HasPrefix(g.Precision, "int") && !slices.Contains(c.Precisions, g.Precision) {
		return Errorf(ErrUnsupported, "%s does not compute in %s", c.ID, g.Precision).WithHint("use device cpu, or a precision that it has: %v", c.Precisions)
	}
	if c.Memory > 0 && m.bytes() > c.Memory {
		return Errorf(ErrOutOfMemory, "the model takes about %d MB, and %s has %d", m.bytes()>>20, c.ID, c.Memory>>20).
			WithHint("use device cpu, or a smaller model")
	}
	return nil
}

// precision is what a model is computed in on the device.
func (c candidate) precision(g Graph) string {
	if c.asked != "" {
		return c.asked
	}
	if len(c.Precisions) == 0 || c.Kind == hardware.CPU || slices.Contains(c.Precisions, g.Precision) {
		return g.Precision
	}
	return c.Precisions[0]
}

// ranking shows how the candidates were considered.
func (e *Engine) ranking(cs []candidate, m *loadedModel, file string) []Ranked {
	out := make([]Ranked, len(cs))
	for i, c := range cs {
		out[i] = Ranked{Device: c.ID, Score: e.score(c), Reason: e.whyRanked(c), PredictedMS: e.predicted(c, cs, m, file)}
		if out[i].PredictedMS != nil {
			out[i].Reason = "measured on this model, which comes before " + out[i].Reason
		}
	}
	return out
}

// whyBest says why a device was the first of several.
func (e *Engine) whyBest(c candidate, cs []candidate, m *loadedModel, file string) string {
	if ms := e.predicted(c, cs, m, file); ms != nil && e.wish(c) == e.wish(cs[len(cs)-1]) {
		return fmt.Sprintf("measured: %.3g ms a run, the least of what was measured", *ms)
	}
	return "best of " + plural(len(cs), "device")
}
