package mcpserver

import (
	"bytes"
	"context"
	"net/http"
	"sync"

	"github.com/google/uuid"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// events serves the older transport: a stream of events per client, and the
// messages that are answered on it.
type events struct {
	stop context.Context //nolint:containedctx // the server's, not a request's
	mcp  *server.SSEServer

	limits Limits
	places slots

	mu      sync.Mutex // guards what follows
	streams map[string]*stream
}

// A stream is one client.
type stream struct {
	*ledger
	ctx context.Context //nolint:containedctx // done when the client has gone
}

type streamKey struct{}

func newEvents(stop context.Context, s *Server) *events {
	e := &events{stop: stop, limits: s.limits, places: newSlots(s.limits.Streams), streams: map[string]*stream{}}
	e.mcp = server.NewSSEServer(s.mcp,
		server.WithKeepAlive(true), server.WithSSEDisableLocalhostProtection(true), server.WithUseFullURLForMessageEndpoint(false),
		server.WithSessionIDGenerator(e.enter),
		// Naming an origin keeps mcp-go from allowing every one.
		server.WithSSECORS(server.WithCORSAllowedOrigins("http://localhost")),
	)
	return e
}

// enter names a stream.
func (e *events) enter(ctx context.Context, _ *http.Request) (string, error) {
	id := uuid.NewString()
	s, _ := ctx.Value(streamKey{}).(*stream)
	e.mu.Lock()
	e.streams[id] = s
	e.mu.Unlock()
	context.AfterFunc(ctx, func() {
		e.mu.Lock()
		delete(e.streams, id)
		e.mu.Unlock()
	})
	return id, nil
}

// stream serves a client's events until it goes, or until the server stops
// and everything is answered.
func (e *events) stream(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if !e.places.take() {
			full(w, "streams", e.limits.Streams)
			return
		}
		defer e.places.give()
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &stream{newLedger(), ctx}
	defer context.AfterFunc(e.stop, func() { //nolint:contextcheck // the server may stop before the request
		s.answered(ctx, "")
		cancel()
	})()
	e.mcp.SSEHandler().ServeHTTP(&eventWriter{w, s.ledger}, r.WithContext(context.WithValue(ctx, streamKey{}, s)))
}

// message takes one message of a client.
func (e *events) message(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "send messages by POST", http.StatusMethodNotAllowed)
		return
	}
	id := r.URL.Query().Get("sessionId")
	e.mu.Lock()
	s := e.streams[id]
	e.mu.Unlock()
	if s == nil {
		http.Error(w, "no such session; open /sse", http.StatusNotFound)
		return
	}
	m, ok := readMessage(w, r, e.limits)
	if !ok {
		return
	}
	s.note(m)
	ctx := tools.WithNotifier(r.Context(), func(method string, params map[string]any) {
		if message, err := notification(method, params); err == nil {
			_ = e.mcp.SendEventToSession(id, rawMessage(message)) // a client that does not keep up misses some progress
		}
	})
	e.mcp.MessageHandler().ServeHTTP(w, r.WithContext(context.WithValue(ctx, streamKey{}, s)))
}

// rawMessage is JSON already.
type rawMessage []byte

// MarshalJSON returns the message as it is.
func (m rawMessage) MarshalJSON() ([]byte, error) { return m, nil }

// untilGone returns a context that is done when the client of an event stream
// has gone: mcp-go lets such calls go on.
func untilGone(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	s, ok := ctx.Value(streamKey{}).(*stream)
	if !ok {
		return ctx, cancel
	}
	unlink := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { unlink(); cancel() }
}

// An eventWriter notes the answers that leave on a stream, and drops those to
// requests that were taken back.
type eventWriter struct {
	http.ResponseWriter
	ledger *ledger
}

// Write passes one event on. mcp-go writes a whole one at a time.
func (w *eventWriter) Write(p []byte) (int, error) {
	data, ok := bytes.CutPrefix(p, []byte("event: message\ndata: "))
	if id := answerID(data); ok && id != "" {
		defer w.ledger.settle(id)
		if w.ledger.isCancelled(id) {
			return len(p), nil
		}
	}
	return w.ResponseWriter.Write(p)
}

// Flush sends what is written.
func (w *eventWriter) Flush() {
	_ = http.NewResponseController(w.ResponseWriter).Flush() // the connection may be gone
}
