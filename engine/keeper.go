package engine

import "context"

// A Keeper is a session that can leave outputs where they were computed, for
// later runs to take as inputs: what a generator remembers between steps would
// else go back and forth with each. What is kept is the session's, and is gone
// with it or with its process.
type Keeper interface {
	Session

	// RunKept is Run, with the inputs that k takes coming from what is kept,
	// and the outputs that k keeps staying there: they are not among those
	// returned. Inputs that k holds are kept once the run is done. To take
	// what is not kept is ErrInvalidArgument; to keep more than MaxKept
	// values is ErrTooLarge. Runs that share names don't overlap.
	RunKept(ctx context.Context, in Tensors, k Kept) (Tensors, error)

	// Forget frees what is kept under the names. One that is not kept is no
	// error.
	Forget(ctx context.Context, names ...string) error
}

// MaxKept is how many values a session keeps at most: those of the largest
// language models with room for several conversations.
const MaxKept = 4096

// Kept says which values of a run stay where they are computed.
type Kept struct {
	Take map[string]string // by input, the name that a value was kept under
	Keep map[string]string // by output, the name to keep it under, in place of what was
	Hold map[string]string // by input that is given, the name to keep it under for later runs

	Greedy *Greedy // goes on with the likeliest tokens; nil is one run
}

// Any reports whether anything is kept, or taken from what is.
func (k Kept) Any() bool { return len(k.Take)+len(k.Keep)+len(k.Hold) > 0 }

// CheckKept is CheckInputs for a run with k, and reports whether the outputs
// that k names are declared.
func CheckKept(inputs, outputs []ValueInfo, in Tensors, k Kept) error {
	given := make([]ValueInfo, 0, len(inputs))
	for _, v := range inputs {
		if _, taken := k.Take[v.Name]; !taken {
			given = append(given, v)
		}
	}
	if len(given)+len(k.Take) != len(inputs) {
		return Errorf(ErrInvalidArgument, "a value is taken for an input that the model does not have")
	}
	for name := range k.Keep {
		if !declares(outputs, name) {
			return Errorf(ErrInvalidArgument, "the model has no output %q to keep", name)
		}
	}
	for name := range k.Hold {
		if !declares(given, name) {
			return Errorf(ErrInvalidArgument, "no input %q is given to hold", name)
		}
	}
	return CheckInputs(given, in)
}

func declares(values []ValueInfo, name string) bool {
	for _, v := range values {
		if v.Name == name {
			return true
		}
	}
	return false
}

// NotKept is the error for a value that is taken but not there.
func NotKept(name string) *Error {
	return Errorf(ErrInvalidArgument, "nothing is kept under %q", name)
}

// errKeepsTooMuch is the error for more than MaxKept values.
var errKeepsTooMuch = Errorf(ErrTooLarge, "a session keeps at most %d values", MaxKept)

// CheckRoom reports whether a session that keeps n values may keep more.
func (k Kept) CheckRoom(n int) error {
	if n+len(k.Keep)+len(k.Hold) > MaxKept {
		return errKeepsTooMuch
	}
	return nil
}
