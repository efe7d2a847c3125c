package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"

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
// tags become the input schema, Out becomes structured content. A panic is a
// tool error like others.
func newTool[In, Out any](s spec, call func(context.Context, In, func(engine.Progress)) (Out, error), log *slog.Logger) server.ServerTool {
	var in In
	var out Out
	schema := inputSchema(in)
	args := newArgumentReader(schema)
	answer := func(ctx context.Context, req mcp.CallToolRequest) (res *mcp.CallToolResult, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = recovered(p)
			}
		}()
		raw, err := rawArguments(req)
		if err != nil {
			return nil, err
		}
		var in In
		if err := args.read(raw, &in); err != nil {
			return nil, err
		}
		out, err := call(ctx, in, reporter(ctx, req))
		if err != nil {
			return nil, err
		}
		return result(out)
	}
	handler := func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		res, err := answer(ctx, req)
		if err != nil { // told as an answer: an agent can act on it, and rarely sees a protocol error
			return errorResult(ctx, log, s.name, err), nil
		}
		return res, nil
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
	switch a := out.(type) {
	case engine.Inference:
		r.Content = append(r.Content, illustrate(a.Pictures, a.Files)...)
	case engine.Results:
		r.Content = append(r.Content, illustrate(a.Pictures, a.Files)...)
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
