package mcpserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

func TestCodeOf(t *testing.T) {
	for want, c := range map[engine.Code]struct {
		res *mcp.CallToolResult
		err error
	}{
		"":                    {&mcp.CallToolResult{StructuredContent: json.RawMessage(`{}`)}, nil},
		engine.ErrTooLarge:    {tools.ErrorResult(&engine.ErrorInfo{Code: engine.ErrTooLarge}), nil},
		engine.ErrInternal:    {nil, errors.New("x")},
		engine.ErrOutOfMemory: {tools.ErrorResult(&engine.ErrorInfo{Code: engine.ErrOutOfMemory}), nil},
	} {
		if got := codeOf(c.res, c.err); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	if got := codeOf(mcp.NewToolResultError("plain"), nil); got != engine.ErrInternal {
		t.Errorf("%q", got)
	}
}

// Every call has a number of its own, whatever id its client gave, and leaves
// the connection's header as it is.
func TestNumber(t *testing.T) {
	s := &Server{}
	shared := http.Header{"A": {"b"}}
	seen := map[string]bool{}
	for _, id := range []any{1, 1, "x\nforged: line", strings.Repeat("long", 1000)} {
		req := &mcp.CallToolRequest{Header: shared}
		s.number(t.Context(), id, req)
		got := req.Header.Get(numberHeader)
		if seen[got] || len(got) > 200 || strings.Contains(got, "\n") || got == "" {
			t.Errorf("%q", got)
		}
		seen[got] = true
	}
	if len(shared) != 1 {
		t.Errorf("%v", shared)
	}
}
