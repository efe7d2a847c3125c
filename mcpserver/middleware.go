package mcpserver

import (
	"context"
	"fmt"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// watched counts a call among those that ServeHTTP waits for, ends it when
// its client has gone, and logs how long it took. Arguments are not logged:
// they are the user's.
func (s *Server) watched(next server.ToolHandlerFunc) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		ctx, done := s.begin(ctx, req)
		if !s.calls.take() {
			done(Outcome{Code: engine.ErrOverloaded})
			return s.overloaded(), nil
		}
		defer s.calls.give()
		s.running.RLock()
		defer s.running.RUnlock()
		ctx, cancel := untilGone(ctx)
		defer cancel()
		if hint := s.mcp.GetTool(req.Params.Name).Tool.Annotations.ReadOnlyHint; hint == nil || !*hint {
			defer s.watch.changed()
		}
		start := time.Now()
		res, err := next(ctx, req)
		o := Outcome{Code: codeOf(res, err), Took: time.Since(start)}
		s.log.DebugContext(ctx, "tool called", "tool", req.Params.Name, "took", o.Took, "code", o.Code)
		done(o)
		return res, err
	}
}

// overloaded is the answer to one call too many.
func (s *Server) overloaded() *mcp.CallToolResult {
	return tools.ErrorResult(&engine.ErrorInfo{
		Code: engine.ErrOverloaded, Message: fmt.Sprintf("%d calls are being answered (limit calls)", cap(s.calls)),
		Hint: "call again in a second", Retryable: true,
	})
}
