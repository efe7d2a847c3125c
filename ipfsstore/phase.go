package ipfsstore

import "fmt"

// A Phase is a step on the way to a block.
type Phase string

// The phases of a request to a source, in their order. Each has a deadline of
// its own.
const (
	PhaseFind      Phase = "find"       // who is to be asked: the address of a name, a peer that has it
	PhaseConnect   Phase = "connect"    // until a connection can be used
	PhaseFirstByte Phase = "first byte" // until the answer begins
	PhaseStalled   Phase = "stalled"    // the answer had begun, and stopped
)

// A PhaseError says in which phase a request to a source ended. Where the error
// that a caller gets names several sources, there is one for each that failed.
type PhaseError struct {
	Phase Phase
	Err   error
}

// Error implements error.
func (e *PhaseError) Error() string { return fmt.Sprintf("%s: %v", e.Phase, e.Err) }

// Unwrap returns what is wrong.
func (e *PhaseError) Unwrap() error { return e.Err }
