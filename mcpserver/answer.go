package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// An answer is the response to one message: JSON, or, once a notification has
// gone ahead of it, an event stream. mcp-go has both, but a notification may
// be lost there, reach another call's stream, or come after the answer.
type answer struct {
	w   http.ResponseWriter
	own http.Header // what mcp-go sets, on goroutines of its own

	mu      sync.Mutex // guards what follows, and the writing
	begun   bool
	streams bool
	held    *bytes.Buffer // set while nothing may leave yet
	status  int           // of what is held
	fault   *rpcFault     // takes the place of the error that mcp-go answers
}

// A rpcFault is an error of JSON-RPC that mcp-go has no way to answer.
type rpcFault struct {
	code int // 0 leaves mcp-go's
	data any
}

type answerKey struct{}

func newAnswer(w http.ResponseWriter) *answer { return &answer{w: w, own: http.Header{}} }

// hold keeps everything back until release.
func (a *answer) hold() { a.held = &bytes.Buffer{} }

// release lets go what was held.
func (a *answer) release() {
	a.mu.Lock()
	held := a.held
	a.held = nil
	if held == nil || a.status == 0 {
		a.mu.Unlock()
		return
	}
	maps.Copy(a.w.Header(), a.own)
	a.w.WriteHeader(a.status)
	a.w.Write(held.Bytes()) //nolint:errcheck // the client has gone
	a.mu.Unlock()
}

// notify sends a notification if the answer is not on its way yet.
func (a *answer) notify(method string, params map[string]any) {
	message, err := notification(method, params)
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held != nil || a.begun && !a.streams {
		return
	}
	a.stream()
	a.event(message) //nolint:errcheck // the answer meets the same error
	a.flush()
}

// stream makes the answer an event stream.
func (a *answer) stream() {
	if a.begun {
		return
	}
	a.begun, a.streams = true, true
	h := a.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // a proxy that collects events would hold them back
	a.w.WriteHeader(http.StatusOK)
}

// finish ends an answer that nothing was written to, because its client took
// the request back: an event stream without events is what says nothing.
func (a *answer) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stream()
}

// event writes one event of the stream.
func (a *answer) event(message []byte) error {
	_, err := a.w.Write(append(append([]byte("event: message\ndata: "), bytes.TrimSpace(message)...), "\n\n"...))
	return err
}

// Header returns the header that mcp-go fills in.
func (a *answer) Header() http.Header { return a.own }

// WriteHeader begins the answer.
func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held != nil {
		a.status = status
		return
	}
	if a.begun {
		return
	}
	a.begun = true
	maps.Copy(a.w.Header(), a.own)
	a.streams = a.own.Get("Content-Type") == "text/event-stream"
	if a.fault != nil && a.fault.code != 0 {
		status = http.StatusBadRequest
	}
	a.w.WriteHeader(status)
}

// Write writes the answer, or an event, which mcp-go does at once.
func (a *answer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held != nil {
		return a.held.Write(p)
	}
	a.begun = true
	if bytes.HasPrefix(p, []byte("event: ")) {
		return a.w.Write(p)
	}
	out := a.amended(p)
	if a.streams {
		return len(p), a.event(out)
	}
	_, err := a.w.Write(out)
	return len(p), err
}

// amended puts the fault into the error that p holds, if there is one.
func (a *answer) amended(p []byte) []byte {
	var m struct {
		JSONRPC string                   `json:"jsonrpc"`
		ID      json.RawMessage          `json:"id"`
		Error   *mcp.JSONRPCErrorDetails `json:"error"`
	}
	if a.fault == nil || json.Unmarshal(p, &m) != nil || m.Error == nil {
		return p
	}
	m.Error.Data = a.fault.data
	if a.fault.code != 0 {
		m.Error.Code = a.fault.code
	}
	out, err := json.Marshal(m)
	if err != nil {
		return p
	}
	return out
}

// Flush sends what is written, for subscriptions are streams of mcp-go's.
func (a *answer) Flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil {
		a.flush()
	}
}

func (a *answer) flush() {
	_ = http.NewResponseController(a.w).Flush() // the connection may be gone
}

// plainAnswer is an answer to a client that takes no event stream: mcp-go
// looks whether it can flush.
type plainAnswer struct{ a *answer }

func (p plainAnswer) Header() http.Header         { return p.a.Header() }
func (p plainAnswer) WriteHeader(status int)      { p.a.WriteHeader(status) }
func (p plainAnswer) Write(b []byte) (int, error) { return p.a.Write(b) }

// explainFault notes what mcp-go leaves out of an error: which capability a
// client would have to have, and which resource is not there.
func explainFault(ctx context.Context, _ any, _ mcp.MCPMethod, message any, err error) {
	a, ok := ctx.Value(answerKey{}).(*answer)
	if !ok {
		return
	}
	var f *rpcFault
	if missing, ok := errors.AsType[mcp.MissingRequiredClientCapabilityError](err); ok {
		f = &rpcFault{mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, map[string]any{"requiredCapabilities": map[string]any{missing.Capability: map[string]any{}}}}
	}
	if read, ok := message.(*mcp.ReadResourceRequest); ok && errors.Is(err, server.ErrResourceNotFound) {
		f = &rpcFault{data: map[string]any{"uri": read.Params.URI}}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = f
}
