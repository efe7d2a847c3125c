package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Timeouts of HTTP connections.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// ErrNotLoopback is the error for an address that others than this machine
// could reach.
var ErrNotLoopback = errors.New("not on the loopback interface; use 127.0.0.1:PORT")

// ListenLoopback listens on an address of the loopback interface, and refuses
// any other with [ErrNotLoopback]: there is no authentication yet.
func ListenLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address %q is not HOST:PORT: %w", address, ErrNotLoopback)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("listen address %q: %w", address, ErrNotLoopback)
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", address)
}

// ServeHTTP serves /mcp (streamable HTTP), /sse, /healthz and the mounts on l
// until ctx is done, and then for at most drain what is being answered. A
// mount's key is a pattern of [http.ServeMux].
func (s *Server) ServeHTTP(ctx context.Context, l net.Listener, mounts map[string]http.Handler, drain time.Duration) error {
	defer s.settle()
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler: s.handler(ctx, mounts), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		BaseContext: func(net.Listener) context.Context { return base },
	}
	stopped := make(chan error, 1)
	unlink := context.AfterFunc(ctx, func() {
		limit, done := context.WithTimeout(base, drain)
		defer done()
		err := srv.Shutdown(limit)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil // as announced
		}
		cancel()
		stopped <- errors.Join(err, srv.Close())
	})
	defer unlink()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// settle waits for the calls of tools, also those whose client has gone.
func (s *Server) settle() {
	s.running.Lock()
	defer s.running.Unlock()
}

// Handler returns everything that ServeHTTP serves.
func (s *Server) Handler(mounts map[string]http.Handler) http.Handler {
	return s.handler(context.Background(), mounts)
}

// handler serves until stop is done; event streams then end once what was
// asked on them is answered.
func (s *Server) handler(stop context.Context, mounts map[string]http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/mcp", newStreamable(stop, s))
	sse := newEvents(stop, s)
	mux.HandleFunc("/sse", sse.stream)
	mux.HandleFunc("/message", sse.message)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	for pattern, h := range mounts {
		mux.Handle(pattern, h)
	}
	return guarded(mux)
}
