package benchdb

import "errors"

// The errors of a DB beside [QueryError]. They are tested with errors.Is.
var (
	ErrQueryTimeout  = errors.New("the query was ended at its time limit")
	ErrQueryMemory   = errors.New("the query was ended at its memory limit")
	ErrBadCursor     = errors.New("not a cursor of an earlier answer")
	ErrNativeMissing = errors.New("ipfs-accelerate-native is not to be found")
	ErrRestartNeeded = errors.New("the worker speaks another version")
	ErrSpoolFull     = errors.New("too much waits to be ingested; inferences are only counted")
	ErrLocked        = errors.New("another program holds the database")
)

// errWorker is what no caller can do anything about.
var errWorker = errors.New("the database worker failed")

// A QueryError is a query that its author can correct.
type QueryError struct {
	Message     string // what is wrong with it
	Hint        string // what to write instead; may be empty
	ValidValues []string
}

// Error returns the message.
func (e *QueryError) Error() string { return e.Message }
