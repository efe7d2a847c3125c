package mcpserver

import (
	"context"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// watched counts a call among those that ServeHTTP waits for, ends it when
// its client has gone, and logs how long it took. Arguments are not logged:
// they are the user's.
func (s *Server) watched(next server.ToolHandlerFunc) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		s.running.RLock()
		defer s.running.RUnlock()
		ctx, cancel := untilGone(ctx)
		defer cancel()
		start := time.Now()
		res, err := next(ctx, req)
		s.log.DebugContext(ctx, "tool called", "tool", req.Params.Name, "took", time.Since(start), "is_error", err != nil || (res != nil && res.IsError))
		return res, err
	}
}
