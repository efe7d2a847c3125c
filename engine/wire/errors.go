package wire

import (
	"context"
	"errors"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// errProtocol is the cause of an error that a frame against the rules makes.
var errProtocol = errors.New("wire: protocol violated")

// An errorHeader is how an [engine.Error] crosses.
type errorHeader struct {
	Code        engine.Code `json:"code"`
	Message     string      `json:"message"`
	Hint        string      `json:"hint,omitempty"`
	ValidValues []string    `json:"valid_values,omitempty"`
	Retryable   bool        `json:"retryable,omitempty"`
}

// maxMessage bounds each text of an error, so that they fit a header together,
// whatever a library prints.
const maxMessage = 32 << 10

func newErrorHeader(err error) *errorHeader {
	var e *engine.Error
	if !errors.As(err, &e) {
		return &errorHeader{Code: codeOf(err), Message: clip(err.Error())}
	}
	return &errorHeader{
		Code: e.Code, Message: clip(err.Error()), Hint: clip(e.Hint),
		ValidValues: clipList(e.ValidValues), Retryable: e.Retryable,
	}
}

func codeOf(err error) engine.Code {
	var code engine.Code
	switch {
	case errors.As(err, &code):
		return code
	case errors.Is(err, context.DeadlineExceeded):
		return engine.ErrDeadline
	case errors.Is(err, context.Canceled):
		return engine.ErrCancelled
	}
	return engine.ErrInternal
}

func (h *errorHeader) err() *engine.Error {
	return &engine.Error{
		Code: h.Code, Message: h.Message, Hint: h.Hint,
		ValidValues: h.ValidValues, Retryable: h.Retryable,
	}
}

func clip(s string) string { return s[:min(len(s), maxMessage)] }

// clipList keeps the values that fit maxMessage together.
func clipList(values []string) []string {
	total := 0
	for i, v := range values {
		if total += len(v); total > maxMessage {
			return values[:i]
		}
	}
	return values
}

// contextError says in the engine's words why ctx is done.
func contextError(ctx context.Context, what string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return engine.Errorf(engine.ErrDeadline, "%s took longer than allowed: %w", what, ctx.Err())
	}
	return engine.Errorf(engine.ErrCancelled, "%s was cancelled: %w", what, ctx.Err())
}

// protocolError is a violation found in what the other side sent.
func protocolError(format string, args ...any) error {
	e := engine.Errorf(engine.ErrInternal, format, args...)
	e.Message = "wire: " + e.Message
	e.Err = errProtocol
	return e
}
