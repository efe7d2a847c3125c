package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A Call is a call of a tool, as it begins.
type Call struct {
	Tool        string
	RequestID   string // its number since the start, and the client's own id
	TraceParent string // of W3C's trace context, "" if the client sent none
}

// An Outcome is how a call ended.
type Outcome struct {
	Code engine.Code // of the error, "" if there was none
	Took time.Duration
}

// numberHeader carries a call's number from where its id is known to where it
// is made: mcp-go hands a tool no id.
const numberHeader = "Ipfs-Accelerate-Request"

// maxLoggedID bounds what of a client's id is in the log.
const maxLoggedID = 64

// number gives a call its number.
func (s *Server) number(_ context.Context, id any, req *mcp.CallToolRequest) {
	text := fmt.Sprint(id)
	req.Header = req.Header.Clone() // it is the connection's
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set(numberHeader, fmt.Sprintf("%d/%q", s.counted.Add(1), text[:min(len(text), maxLoggedID)]))
}

// begin tells that a call begins.
func (s *Server) begin(ctx context.Context, req mcp.CallToolRequest) (context.Context, func(Outcome)) {
	c := Call{Tool: req.Params.Name, RequestID: req.Header.Get(numberHeader)}
	if meta := req.Params.Meta; meta != nil {
		c.TraceParent, _ = meta.AdditionalFields["traceparent"].(string)
	}
	return s.observe(engine.WithRequestID(ctx, c.RequestID), c)
}

// codeOf is what went wrong with a call, "" if nothing did.
func codeOf(res *mcp.CallToolResult, err error) engine.Code {
	switch {
	case err != nil:
		return engine.ErrInternal
	case res == nil || !res.IsError:
		return ""
	}
	var failed struct {
		Error engine.ErrorInfo `json:"error"`
	}
	data, ok := res.StructuredContent.(json.RawMessage)
	if !ok || json.Unmarshal(data, &failed) != nil || failed.Error.Code == "" {
		return engine.ErrInternal
	}
	return failed.Error.Code
}
