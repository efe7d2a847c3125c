package engine

import (
	"errors"
	"fmt"
)

// A Code is what went wrong, as a word that programs and agents branch on. It
// is an error itself, so that errors.Is(err, engine.ErrRunnerCrashed) holds
// for every [Error] of that code.
type Code string //nolint:errname // it is a word, and an error only for errors.Is

// Error returns the code.
func (c Code) Error() string { return string(c) }

// The codes of the engine and its plug-ins.
const (
	ErrInvalidArgument     Code = "invalid_argument"      // the caller can correct it
	ErrNotAllowed          Code = "not_allowed"           // a path outside the allowed folders
	ErrModelNotFound       Code = "model_not_found"       // neither here nor at any source
	ErrModelInvalid        Code = "model_invalid"         // the file is no model this runtime can load
	ErrNoOnnx              Code = "no_onnx"               // the model has no files in the format ONNX
	ErrModelChanged        Code = "model_changed"         // its bytes are not those of its CID any more
	ErrChangedDuringImport Code = "changed_during_import" // a file changed while it was taken in
	ErrNameTaken           Code = "name_taken"            // the name is that of another model
	ErrDiskFull            Code = "disk_full"             // there is no room left where models are kept
	ErrInUse               Code = "in_use"                // a program has it open
	ErrHashMismatch        Code = "hash_mismatch"         // a source sent other bytes than asked for
	ErrTaskUnknown         Code = "task_unknown"          // the model's files don't say its task
	ErrUnsupported         Code = "unsupported"           // understood, but not something this build does
	ErrDeviceUnavailable   Code = "device_unavailable"    // no such device, or it failed its canary
	ErrRuntimeMissing      Code = "runtime_missing"       // ONNX Runtime is not installed
	ErrNativeMissing       Code = "native_missing"        // ipfs-accelerate-native is not to be found
	ErrRestartNeeded       Code = "restart_needed"        // the two binaries are of different versions
	ErrRunnerCrashed       Code = "runner_crashed"        // the process that ran the model died
	ErrOutOfMemory         Code = "out_of_memory"         // the model or its input did not fit the limit
	ErrOverloaded          Code = "overloaded"            // too much is being done; the same call may be made again
	ErrDeadline            Code = "deadline"              // it took longer than allowed
	ErrCancelled           Code = "cancelled"             // the caller took it back
	ErrTooLarge            Code = "too_large"             // over a size cap, refused before allocation
	ErrRunNotFound         Code = "run_not_found"         // no run of this id is kept
	ErrQueryInvalid        Code = "query_invalid"         // SQL that is not one allowed SELECT
	ErrInternal            Code = "internal"              // our mistake; the log has the details
)

// ErrKilled is within an [ErrRunnerCrashed] whose process was ended by another:
// that says nothing about the model, the runtime or the device.
var ErrKilled = errors.New("killed by another process")

// An Error is a failure that an agent can act on.
type Error struct {
	Code        Code
	Message     string   // lower case, what happened to what; no paths of this machine, no secrets
	Hint        string   // what to do next; may be empty
	ValidValues []string // what would have been accepted, if that is a list
	Retryable   bool     // the same call may work later
	Err         error    // the cause, for logs; never shown to an agent
}

// Errorf returns an [Error] whose message is formatted. A %w operand becomes
// its cause, as with [fmt.Errorf].
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint sets the hint and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is e's code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}
