package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// Preferences say what models should run on. The zero value prefers and denies
// nothing.
type Preferences struct {
	Prefer []hardware.Kind // tried before all others
	Deny   []hardware.Kind // never used

	// Precision is what runs when a call names none and the model has it:
	// "fp32", "fp16" or "int8". "" and "auto" take the model's main file.
	Precision string
}

// preferred comes on top of a platform's priority, which is at most 100.
const preferred = 100

// SetPreferences changes what later calls run on.
func (e *Engine) SetPreferences(p Preferences) { e.preferences.Store(&p) }

// denied is the error for a platform that may not be used.
func denied(k hardware.Kind) *Error {
	return Errorf(ErrDeviceUnavailable, "the configuration does not allow %s", k).
		WithHint("set hardware.allow_%s to true, or use another device", k)
}

// denies reports whether a platform may not be used.
func (e *Engine) denies(k hardware.Kind) bool { return slices.Contains(e.preferences.Load().Deny, k) }

// score is a candidate's priority. A simulator comes after everything real.
func (e *Engine) score(c candidate) float64 {
	switch {
	case c.Simulated:
		return 0
	case slices.Contains(e.preferences.Load().Prefer, c.Kind):
		return priority[c.Kind] + preferred
	}
	return priority[c.Kind]
}

// onnxFile is the file of a model that runs for a precision. What is preferred
// is no more than that: a model without it runs as it is.
func (e *Engine) onnxFile(m *Model, precision string) (string, error) {
	if wish := e.preferences.Load().Precision; wish != "" && (precision == "" || precision == "auto") {
		file, err := m.OnnxFileFor(wish)
		if !errors.Is(err, ErrInvalidArgument) {
			return file, err
		}
	}
	return m.OnnxFileFor(precision)
}

// whyRanked says where a candidate's score comes from.
func (e *Engine) whyRanked(c candidate) string {
	switch {
	case c.Simulated:
		return "a simulator is never chosen by auto"
	case slices.Contains(e.preferences.Load().Prefer, c.Kind):
		return fmt.Sprintf("platform priority, preferred by hardware.prefer_%s", c.Kind)
	}
	return "platform priority"
}
