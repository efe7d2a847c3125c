package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A spec is what a client is told of a tool beside its schemas.
type spec struct {
	name, title, description string
	hints                    mcp.ToolAnnotation
}

// newTool binds a Go function to an MCP tool. In's fields and their jsonschema
// tags become the input schema, Out becomes structured content.
func newTool[In, Out any](s spec, call func(context.Context, In, func(engine.Progress)) (Out, error), log *slog.Logger) server.ServerTool {
	var in In
	var out Out
	schema := inputSchema(in)
	args := newArgumentReader(schema)
	handler := func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		raw, err := rawArguments(req)
		var in In
		if err == nil {
			err = args.read(raw, &in)
		}
		if err != nil {
			return errorResult(ctx, log, s.name, err), nil
		}
		out, err := call(ctx, in, reporter(ctx, req))
		if err != nil {
			return errorResult(ctx, log, s.name, err), nil
		}
		return result(out)
	}
	return server.ServerTool{Handler: handler, Tool: mcp.Tool{
		Name: s.name, Title: s.title, Description: s.description, Annotations: s.hints,
		RawInputSchema: schema, RawOutputSchema: outputSchema(out),
	}}
}

// rawArguments returns the arguments as JSON.
func rawArguments(req mcp.CallToolRequest) (json.RawMessage, error) {
	if raw := req.Params.RawArguments; len(raw) > 0 {
		return raw, nil
	}
	return json.Marshal(req.Params.Arguments)
}

// result is an answer as structured content and, for clients that read only
// text, as the same JSON.
func result(out any) (*mcp.CallToolResult, error) {
	text, err := compact(out)
	if err != nil {
		return nil, err
	}
	r := &mcp.CallToolResult{
		Content:           []mcp.Content{mcp.NewTextContent(string(text))},
		StructuredContent: json.RawMessage(text),
	}
	if a, ok := out.(engine.Inference); ok {
		r.Content = append(r.Content, pictures(a)...)
	}
	return r, nil
}

// compact encodes v without escaping <, > and &, which costs tokens.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// progressEvery is the least time between two notifications of one call.
const progressEvery = 200 * time.Millisecond

// reporter returns what tells the client how far a call is, if it asked.
func reporter(ctx context.Context, req mcp.CallToolRequest) func(engine.Progress) {
	srv := server.ServerFromContext(ctx)
	if srv == nil || req.Params.Meta == nil || req.Params.Meta.ProgressToken == nil {
		return func(engine.Progress) {}
	}
	var mu sync.Mutex
	var last time.Time
	return func(p engine.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) < progressEvery {
			return
		}
		last = time.Now()
		params := map[string]any{"progressToken": req.Params.Meta.ProgressToken, "progress": p.Done}
		if p.Total > 0 {
			params["total"] = p.Total
		}
		if p.Message != "" {
			params["message"] = p.Message
		}
		// A client that does not keep up misses some progress, nothing else.
		_ = srv.SendNotificationToClient(ctx, "notifications/progress", params)
	}
}
