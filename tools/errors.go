package tools

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Limits on what an error repeats: a caller's own text may be long.
const (
	maxMessage = 1000 // bytes
	maxValid   = 100  // values
)

// failure is the structured content of a failed call.
type failure struct {
	Error *engine.ErrorInfo `json:"error"`
}

// errorResult is a tool error: in structured content and text alike, so that
// every client shows it to its model.
func errorResult(ctx context.Context, log *slog.Logger, tool string, err error) *mcp.CallToolResult {
	info := engine.Explain(err)
	if info.Code == engine.ErrInternal {
		log.ErrorContext(ctx, "a tool failed", "tool", tool, "error", err)
	}
	return ErrorResult(info)
}

// ErrorResult is a tool error as every tool answers it, for what stands before
// the tools.
func ErrorResult(info *engine.ErrorInfo) *mcp.CallToolResult {
	info.Message, info.Hint = clip(info.Message), clip(info.Hint)
	info.ValidValues = info.ValidValues[:min(len(info.ValidValues), maxValid)]
	r, encodeErr := result(failure{info})
	if encodeErr != nil { // strings and a bool always encode
		return mcp.NewToolResultError(info.Message)
	}
	r.IsError = true
	return r
}

// clip shortens a text in the middle of which nobody looks.
func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	runes := []rune(s[:maxMessage])
	return string(runes[:len(runes)-1]) + "…"
}

// recovered is the error for a panic, to be logged and not told.
func recovered(p any) error { return fmt.Errorf("panic: %v\n%s", p, debug.Stack()) }
