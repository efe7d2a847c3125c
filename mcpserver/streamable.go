package mcpserver

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// streamable serves streamable HTTP. mcp-go does it without sessions, so that
// nothing of one client reaches another; what a client before 2026-07-28 needs
// a session for, taking back its own calls, is kept here.
type streamable struct {
	stop context.Context //nolint:containedctx // the server's, not a request's
	mcp  *server.StreamableHTTPServer

	mu       sync.Mutex // guards what follows
	inFlight map[string]context.CancelFunc
}

func newStreamable(stop context.Context, s *Server) *streamable {
	return &streamable{
		stop: stop, inFlight: map[string]context.CancelFunc{},
		mcp: server.NewStreamableHTTPServer(s.mcp, server.WithStateLess(true), server.WithDisableStreaming(true), server.WithStreamableHTTPLogger(s.log)),
	}
}

// ServeHTTP answers one message.
func (h *streamable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
	case http.MethodDelete: // a session holds nothing that could be ended
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "sessions end by themselves", http.StatusMethodNotAllowed)
		return
	default:
		h.mcp.ServeHTTP(w, r)
		return
	}
	e, ok := readMessage(w, r)
	if !ok {
		return
	}
	session := r.Header.Get(server.HeaderKeySessionID)
	switch e.Method {
	case "notifications/cancelled": // mcp-go would take any client's
		h.cancel(session + "\n" + e.cancels())
		w.WriteHeader(http.StatusAccepted)
		return
	case "initialize":
		w.Header().Set(server.HeaderKeySessionID, uuid.NewString())
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if e.Method == "subscriptions/listen" {
		defer context.AfterFunc(h.stop, cancel)() //nolint:contextcheck // the server may stop before the request
	}
	if id := e.request(); session != "" && id != "" {
		defer h.enter(session+"\n"+id, cancel)()
	}
	out := &answer{ResponseWriter: w}
	notify := out.notify
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		notify = func(string, map[string]any) {}
	}
	ctx = tools.WithNotifier(ctx, notify)
	h.mcp.ServeHTTP(out, r.WithContext(ctx))
}

// enter notes a call until the returned function is called.
func (h *streamable) enter(call string, cancel context.CancelFunc) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight[call] = cancel
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.inFlight, call)
	}
}

func (h *streamable) cancel(call string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if cancel := h.inFlight[call]; cancel != nil {
		cancel()
	}
}

// An answer is the response to one message: JSON, or, once a notification has
// gone ahead of it, an event stream. mcp-go has both, but a notification may
// be lost there, or come after the answer.
type answer struct {
	http.ResponseWriter

	mu      sync.Mutex // guards what follows, and the writing
	begun   bool
	streams bool
}

// notify sends a notification if the answer is not on its way yet.
func (a *answer) notify(method string, params map[string]any) {
	message, err := notification(method, params)
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun && !a.streams {
		return
	}
	if !a.begun {
		a.begun, a.streams = true, true
		a.Header().Set("Content-Type", "text/event-stream")
		a.Header().Set("Cache-Control", "no-cache")
		a.ResponseWriter.WriteHeader(http.StatusOK)
	}
	a.event(message) //nolint:errcheck // the answer meets the same error
	a.flush()
}

// event writes one event of the stream.
func (a *answer) event(message []byte) error {
	_, err := a.ResponseWriter.Write(append(append([]byte("event: message\ndata: "), bytes.TrimSpace(message)...), "\n\n"...))
	return err
}

// WriteHeader begins the answer.
func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun {
		a.begun = true
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write writes the answer, which mcp-go does at once.
func (a *answer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = true
	if a.streams {
		return len(p), a.event(p)
	}
	return a.ResponseWriter.Write(p)
}

// Flush sends what is written, for subscriptions are streams of mcp-go's.
func (a *answer) Flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flush()
}

func (a *answer) flush() {
	_ = http.NewResponseController(a.ResponseWriter).Flush() // the connection may be gone
}
