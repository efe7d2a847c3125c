package mcpserver

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"golang.org/x/time/rate"
)

// A guard stands before every route. It refuses what a web page of somebody
// else could send to this server, whoever is without the token, and more than
// the limits allow.
type guard struct {
	hosts  []string // names that this server is reached under, beside its addresses
	token  [sha256.Size]byte
	asks   bool // for the token
	rate   *rate.Limiter
	limits Limits
	log    *slog.Logger
	open   *http.ServeMux // needs no token
	closed *http.ServeMux
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !g.knows(r):
		http.Error(w, "this Host is not served", http.StatusForbidden)
	case r.Header.Get("Origin") != "" && !ownOrigin(r):
		http.Error(w, "this Origin is not allowed", http.StatusForbidden)
	case !g.rate.Allow():
		w.Header().Set("Retry-After", "1")
		http.Error(w, fmt.Sprintf("overloaded: more than %.0f requests a second (limit rate); try again later", g.limits.Rate), http.StatusTooManyRequests)
	default:
		r.Body = http.MaxBytesReader(w, r.Body, g.limits.Body)
		g.admit(&patient{ResponseWriter: w, control: http.NewResponseController(w), wait: g.limits.Patience}, r)
	}
}

// admit asks for the token where one is needed.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) {
	if _, pattern := g.open.Handler(r); pattern != "" {
		g.open.ServeHTTP(w, r)
		return
	}
	if !g.trusts(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="ipfs-accelerate"`)
		http.Error(w, "send the server's token: Authorization: Bearer TOKEN", http.StatusUnauthorized)
		return
	}
	g.closed.ServeHTTP(w, r)
}

// trusts reports whether a request may be told more than a stranger.
func (g *guard) trusts(r *http.Request) bool { return !g.asks || g.holds(r) }

// holds reports whether a request has the token. The sums are compared, so
// that neither what is right in it nor its length shows in the time.
func (g *guard) holds(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// knows reports whether a Host header names this server: by loopback, by the
// very address that the connection came to, or by a name it was told. Another
// name that resolves to it is DNS rebinding.
func (g *guard) knows(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") || slices.ContainsFunc(g.hosts, func(name string) bool { return strings.EqualFold(name, host) }) {
		return true
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ip.IsLoopback() || ok && ip.Equal(local.IP)
}

// ownOrigin reports whether a request comes from a page of this server.
func ownOrigin(r *http.Request) bool {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Scheme == scheme && u.Host == r.Host && u.User == nil
}

// readMessage reads the body of a POST, and leaves it to be read again. What
// can't be a message is answered, and false returned.
func readMessage(w http.ResponseWriter, r *http.Request, l Limits) (envelope, bool) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		http.Error(w, "send application/json", http.StatusUnsupportedMediaType) // a page can send text/plain unasked
		return envelope{}, false
	}
	body, err := readBody(w, r, l)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, fmt.Sprintf("the request is larger than %d bytes (limit body)", l.Body), http.StatusRequestEntityTooLarge)
		return envelope{}, false
	case err != nil:
		http.Error(w, "the request can't be read", http.StatusBadRequest)
		return envelope{}, false
	}
	e, refused := check(body, l.Depth)
	if refused != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		w.Write(refused.message()) //nolint:errcheck // the client has gone
		return envelope{}, false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return e, true
}

// readBody reads a body for as long as the patience lasts.
func readBody(w http.ResponseWriter, r *http.Request, l Limits) ([]byte, error) {
	if r.ContentLength > l.Body { // don't wait for what is refused
		return nil, &http.MaxBytesError{Limit: l.Body}
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(l.Patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		control.SetReadDeadline(time.Time{}) //nolint:errcheck // as above
	}
	return body, err
}

// modernHeader reports whether a request says that it is of 2026-07-28 or
// later, which has no sessions.
func modernHeader(r *http.Request) bool {
	return mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion))
}

// A patient writer gives up on a client that does not take what it is sent.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	wait    time.Duration
}

// Write writes within the time that is left for it.
func (p *patient) Write(data []byte) (int, error) {
	p.control.SetWriteDeadline(time.Now().Add(p.wait)) //nolint:errcheck // not every writer has one
	return p.ResponseWriter.Write(data)
}

// Flush sends what is written.
func (p *patient) Flush() {
	p.control.SetWriteDeadline(time.Now().Add(p.wait)) //nolint:errcheck // as above
	p.control.Flush()                                  // the connection may be gone
}

// Unwrap returns the writer inside, for http.ResponseController.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }
