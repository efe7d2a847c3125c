package mcpserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// headerTimeout is how long a client may take for its header: one that drips
// is cut off.
const headerTimeout = 10 * time.Second

// HTTPOptions configure a server's routes over HTTP. The zero value works.
type HTTPOptions struct {
	// Token is what clients must send, as "Authorization: Bearer TOKEN", to
	// reach /mcp, /sse, /metrics and Mounts. Empty means that nobody is asked,
	// which is for addresses that only this user can reach. There is no OAuth.
	Token string

	// Hosts are names that clients may use for this server, beside localhost
	// and the addresses it listens on.
	Hosts []string

	// Mounts and OpenMounts are further routes, by pattern of [http.ServeMux].
	// Those that are open need no token.
	Mounts, OpenMounts map[string]http.Handler

	// Metrics serves /metrics; nil means there is none.
	Metrics http.Handler

	// Ready says why the server can't do its work, for /readyz; nil means that
	// it always can.
	Ready func(context.Context) error

	// Report says more of how the server is, for /readyz: whoever has the
	// token, where there is one, is told. nil says nothing more.
	Report func(context.Context) string

	// Drain is how long calls may go on after the server is stopped.
	Drain time.Duration
}

// ServeHTTP serves /mcp (streamable HTTP), /sse, /healthz, /readyz and what o
// adds on l until ctx is done, and then for at most o.Drain what is being
// answered. It closes l.
func (s *Server) ServeHTTP(ctx context.Context, l net.Listener, o HTTPOptions) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	h := s.handler(ctx, o)
	defer s.settle()
	defer h.end()
	srv := &http.Server{
		Handler: h.guard, ReadHeaderTimeout: min(headerTimeout, s.limits.Patience), IdleTimeout: min(2*time.Minute, s.limits.Idle/2),
		MaxHeaderBytes: s.limits.Header, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // of clients, which anyone can be
		BaseContext: func(net.Listener) context.Context { return base },
	}
	stopped := make(chan error, 1)
	unlink := context.AfterFunc(ctx, func() {
		limit, done := context.WithTimeout(base, o.Drain)
		defer done()
		err := srv.Shutdown(limit)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil // as announced
		}
		cancel()
		stopped <- errors.Join(err, srv.Close())
	})
	defer unlink()
	if err := srv.Serve(s.crowd(l)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// settle waits for the calls of tools, also those whose client has gone.
func (s *Server) settle() {
	s.running.Lock()
	defer s.running.Unlock()
	s.watch.wait()
}

// routes are what a server serves over HTTP.
type routes struct {
	guard *guard
	end   func() // ends what clients left open
}

// handler serves until stop is done; event streams then end once what was
// asked on them is answered.
func (s *Server) handler(stop context.Context, o HTTPOptions) routes {
	open, closed := http.NewServeMux(), http.NewServeMux()
	g := &guard{
		hosts: o.Hosts, token: sha256.Sum256([]byte(o.Token)), asks: o.Token != "", log: s.log, limits: s.limits,
		rate: rate.NewLimiter(rate.Limit(s.limits.Rate), int(max(1, s.limits.Rate))), open: open, closed: closed,
	}
	mcp := newStreamable(stop, s)
	sse := newEvents(stop, s)
	closed.Handle("/mcp", mcp)
	closed.HandleFunc("/sse", sse.stream)
	closed.HandleFunc("/message", sse.message)
	open.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	open.HandleFunc("/readyz", s.readyz(stop, o.Ready, func(r *http.Request) string {
		if o.Report == nil || !g.trusts(r) {
			return ""
		}
		return o.Report(r.Context())
	}))
	if o.Metrics != nil {
		closed.Handle("/metrics", o.Metrics)
	}
	for pattern, h := range o.Mounts {
		closed.Handle(pattern, h)
	}
	for pattern, h := range o.OpenMounts {
		open.Handle(pattern, h)
	}
	return routes{g, mcp.sessions.close}
}

// readyz says whether the server can do its work. The reason that it can't is
// for the log: strangers may ask.
func (s *Server) readyz(stop context.Context, ready func(context.Context) error, report func(*http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if stop.Err() != nil {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		if ready != nil {
			if err := ready(r.Context()); err != nil { //nolint:contextcheck // a request's, not the server's
				s.log.WarnContext(r.Context(), "the server is not ready", "error", err) //nolint:contextcheck // as above
				http.Error(w, "not ready: the server's log says why", http.StatusServiceUnavailable)
				return
			}
		}
		fmt.Fprint(w, "ready\n", report(r))
	}
}
