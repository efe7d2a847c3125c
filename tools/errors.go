package tools

import (
	"context"
	"log/slog"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
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
	r, encodeErr := result(failure{info})
	if encodeErr != nil { // strings and a bool always encode
		return mcp.NewToolResultError(info.Message)
	}
	r.IsError = true
	return r
}
