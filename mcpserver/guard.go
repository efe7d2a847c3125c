package mcpserver

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxBody bounds one request over HTTP, in bytes.
const maxBody = 16 << 20

// guarded refuses what a web page of somebody else could send to a server on
// this machine.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !localHost(r.Host):
			http.Error(w, "this Host is not served", http.StatusForbidden)
		case r.Header.Get("Origin") != "" && !localOrigin(r.Header.Get("Origin"), r.Host):
			http.Error(w, "this Origin is not allowed", http.StatusForbidden)
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
	return strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback())
}

// localOrigin reports whether a page of this origin is this server's own.
func localOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Scheme == "http" && u.Host == host
}

// readMessage reads the body of a POST, and leaves it to be read again. What
// can't be a message is answered, and false returned.
func readMessage(w http.ResponseWriter, r *http.Request) (envelope, bool) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		http.Error(w, "send application/json", http.StatusUnsupportedMediaType) // a page can send text/plain unasked
		return envelope{}, false
	}
	var body []byte
	err := error(&http.MaxBytesError{Limit: maxBody})
	if r.ContentLength <= maxBody { // else don't wait for what is refused
		body, err = io.ReadAll(r.Body)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, "the request is too large", http.StatusRequestEntityTooLarge)
		return envelope{}, false
	case err != nil:
		http.Error(w, "the request can't be read", http.StatusBadRequest)
		return envelope{}, false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return open(body), true
}
