package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

// HTTP limits.
const (
	maxBody       = 16 << 20 // bytes of one request
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 10 * time.Second // for answers in flight at shutdown
)

// ListenLoopback listens on an address of the loopback interface, and refuses
// any other: there is no authentication yet.
func ListenLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("listen address %q is not on the loopback interface; use 127.0.0.1:PORT", address)
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", address)
}

// ServeHTTP serves /mcp (streamable HTTP), /sse, /healthz and the mounts on l
// until ctx is done, and then what is being answered. A mount's key is a
// pattern of [http.ServeMux].
func (s *Server) ServeHTTP(ctx context.Context, l net.Listener, mounts map[string]http.Handler) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler: s.Handler(mounts), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		BaseContext: func(net.Listener) context.Context { return base },
	}
	stopped := make(chan error, 1)
	unlink := context.AfterFunc(ctx, func() {
		drain, done := context.WithTimeout(base, drainTimeout)
		defer done()
		err := srv.Shutdown(drain)
		cancel() // an open event stream never ends by itself
		stopped <- errors.Join(err, srv.Close())
	})
	defer unlink()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if err := <-stopped; !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// Handler returns everything that ServeHTTP serves.
func (s *Server) Handler(mounts map[string]http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/mcp", server.NewStreamableHTTPServer(s.mcp, server.WithStateLess(true), server.WithDisableStreaming(true)))
	// Naming an origin keeps mcp-go from allowing every one.
	sse := server.NewSSEServer(s.mcp, server.WithKeepAlive(true), server.WithUseFullURLForMessageEndpoint(false),
		server.WithSSECORS(server.WithCORSAllowedOrigins("http://localhost")))
	mux.Handle("/sse", sse.SSEHandler())
	mux.Handle("/message", sse.MessageHandler())
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }) //nolint:errcheck // the client has gone
	for pattern, h := range mounts {
		mux.Handle(pattern, h)
	}
	return guarded(mux)
}

// guarded refuses what a web page of somebody else could send to a server on
// this machine, and requests that are too large.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !localHost(r.Host):
			http.Error(w, "this Host is not served", http.StatusForbidden)
		case r.Header.Get("Origin") != "" && !localOrigin(r.Header.Get("Origin"), r.Host):
			http.Error(w, "this Origin is not allowed", http.StatusForbidden)
		case r.ContentLength > maxBody:
			http.Error(w, "the request is too large", http.StatusRequestEntityTooLarge)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			next.ServeHTTP(w, r)
		}
	})
}

// localHost reports whether a Host header names this machine. Another name
// that resolves to it is DNS rebinding.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// localOrigin reports whether a page of this origin is this server's own.
func localOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Scheme == "http" && u.Host == host
}
