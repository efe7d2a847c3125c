package mcpserver

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// recovered turns a panic in a tool into a tool error, so that the agent is
// answered and the conversation goes on.
func recovered(log *slog.Logger) server.ToolHandlerMiddleware {
	return func(next server.ToolHandlerFunc) server.ToolHandlerFunc {
		return func(ctx context.Context, req mcp.CallToolRequest) (res *mcp.CallToolResult, err error) {
			defer func() {
				if p := recover(); p != nil {
					log.ErrorContext(ctx, "a tool panicked", "tool", req.Params.Name, "panic", p, "stack", string(debug.Stack()))
					res = mcp.NewToolResultError(`{"error":{"code":"internal","message":"something went wrong inside the server","hint":"try again; the server's log has the details","retryable":true}}`)
					err = nil
				}
			}()
			return next(ctx, req)
		}
	}
}

// timed logs each call and how long it took. Arguments are not logged: they
// are the user's.
func timed(log *slog.Logger) server.ToolHandlerMiddleware {
	return func(next server.ToolHandlerFunc) server.ToolHandlerFunc {
		return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			start := time.Now()
			res, err := next(ctx, req)
			log.DebugContext(ctx, "tool called", "tool", req.Params.Name, "took", time.Since(start), "is_error", err != nil || (res != nil && res.IsError))
			return res, err
		}
	}
}
