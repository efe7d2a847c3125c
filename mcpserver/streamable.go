package mcpserver

import (
	"context"
	"net/http"
	"strings"

	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// streamable serves streamable HTTP: every message is a POST, and a client
// before 2026-07-28 has a session, on whose GET the server tells what changed.
type streamable struct {
	stop     context.Context //nolint:containedctx // the server's, not a request's
	mcp      *server.StreamableHTTPServer
	sessions *sessions
	streams  slots
	limits   Limits
}

func newStreamable(stop context.Context, s *Server) *streamable {
	h := &streamable{stop: stop, streams: newSlots(s.limits.Streams), limits: s.limits}
	h.sessions = newSessions(s.limits, h.forget)
	h.mcp = server.NewStreamableHTTPServer(s.mcp, server.WithSessionIdManager(h.sessions),
		server.WithDisableLocalhostProtection(true), // the guard has looked, and knows more names
		server.WithHeartbeatInterval(heartbeat), server.WithStreamableHTTPLogger(s.log))
	return h
}

// forget has mcp-go end what it keeps of a session.
func (h *streamable) forget(id string) {
	header := http.Header{}
	header.Set(server.HeaderKeySessionID, id)
	h.mcp.Handle(nowhere{http.Header{}}, &server.HTTPRequest{Method: http.MethodDelete, Header: header, Context: context.WithoutCancel(h.stop)})
}

// ServeHTTP answers one request.
func (h *streamable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		h.post(w, r)
	case http.MethodGet, http.MethodDelete:
		h.session(w, r)
	default:
		w.Header().Set("Allow", "POST, GET, DELETE")
		http.Error(w, "send messages by POST", http.StatusMethodNotAllowed)
	}
}

// session serves the stream of a session, or its end.
func (h *streamable) session(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(server.HeaderKeySessionID)
	if modernHeader(r) || id == "" {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "only a session of an older protocol has that; send messages by POST", http.StatusMethodNotAllowed)
		return
	}
	done, ok := h.sessions.use(id)
	if !ok {
		http.Error(w, "no such session: send initialize", http.StatusNotFound)
		return
	}
	defer done()
	if r.Method == http.MethodDelete {
		h.mcp.ServeHTTP(w, r)
		return
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		http.Error(w, "GET is for an event stream", http.StatusNotAcceptable)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.stop, cancel)() //nolint:contextcheck // the server may stop before the request
	if !h.streams.take() {
		full(w, "streams", h.limits.Streams)
		return
	}
	defer h.streams.give()
	h.mcp.ServeHTTP(w, r.WithContext(ctx))
}

// post answers one message.
func (h *streamable) post(w http.ResponseWriter, r *http.Request) {
	e, ok := readMessage(w, r, h.limits)
	if !ok {
		return
	}
	id := r.Header.Get(server.HeaderKeySessionID)
	if modernHeader(r) {
		id = "" // there are no sessions any more
	}
	if id != "" && e.Method != "initialize" {
		done, ok := h.sessions.use(id)
		if !ok {
			http.Error(w, "no such session: send initialize", http.StatusNotFound)
			return
		}
		defer done()
	}
	switch {
	case e.Method == "notifications/cancelled": // mcp-go would take any client's
		h.sessions.cancel(id, e.cancels())
		w.WriteHeader(http.StatusAccepted)
	case e.Method == "resources/subscribe" && id == "" && !modernHeader(r):
		http.Error(w, "to subscribe takes a session: send initialize", http.StatusBadRequest)
	case e.Method == "initialize" && !h.sessions.room():
		full(w, "sessions", h.limits.Sessions)
	default:
		h.answer(w, r, e, id)
	}
}

// answer has mcp-go answer a message.
func (h *streamable) answer(w http.ResponseWriter, r *http.Request, e envelope, session string) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if e.Method == "subscriptions/listen" {
		if !h.streams.take() {
			full(w, "streams", h.limits.Streams)
			return
		}
		defer h.streams.give()
		defer context.AfterFunc(h.stop, cancel)() //nolint:contextcheck // the server may stop before the request
	}
	if id := e.request(); session != "" && id != "" {
		defer h.sessions.enter(session, id, cancel)()
	}
	out := newAnswer(w)
	if e.Method == "initialize" {
		out.hold() // mcp-go knows the session only after it has answered
		defer out.release()
	}
	ctx = context.WithValue(ctx, answerKey{}, out)
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		h.mcp.ServeHTTP(out, r.WithContext(tools.WithNotifier(ctx, out.notify)))
	} else {
		h.mcp.ServeHTTP(plainAnswer{out}, r.WithContext(tools.WithNotifier(ctx, func(string, map[string]any) {})))
	}
	if ctx.Err() != nil {
		out.finish()
	}
}

// nowhere takes an answer that nobody waits for.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) WriteHeader(int)             {}
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) Flush()                      {}
func (n nowhere) CanStream() bool             { return false }
