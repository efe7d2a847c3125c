package ipfsstore

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
)

const (
	rawType   = "application/vnd.ipld.raw"
	carType   = "application/vnd.ipld.car"
	immutable = "public, max-age=29030400, immutable"
)

// Gateway returns a handler that serves the store's models under
// /ipfs/CID[/path] as a trustless gateway does: single blocks (format=raw) and
// CARs (format=car), to GET and HEAD. It has no other formats, knows nothing
// but the store, and serves no file whose bytes have changed.
//
// See https://specs.ipfs.tech/http-gateways/trustless-gateway/.
func (s *Store) Gateway() http.Handler { return s.All().Gateway() }

type gateway struct {
	view *View
	log  *slog.Logger
}

// A gatewayError is an error with its HTTP status.
type gatewayError struct {
	status int
	err    error
}

func (e *gatewayError) Error() string { return e.err.Error() }
func (e *gatewayError) Unwrap() error { return e.err }

func badRequest(format string, args ...any) error {
	return &gatewayError{http.StatusBadRequest, fmt.Errorf(format, args...)}
}

// ServeHTTP implements [http.Handler].
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	if err := g.serve(w, r); err != nil {
		g.fail(w, r, err)
	}
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) error {
	rest, ok := strings.CutPrefix(r.URL.Path, "/ipfs/")
	if !ok {
		return &gatewayError{http.StatusNotFound, errors.New("only /ipfs/ is served")}
	}
	ref, err := parseContentPath(r.URL.Path, rest)
	if err != nil {
		return &gatewayError{http.StatusBadRequest, err}
	}
	params, err := negotiate(r)
	if err != nil {
		return err
	}
	x, err := g.resolve(r, ref)
	if err != nil {
		return err
	}
	x.headers(w.Header(), r.URL.Path)
	if params.car {
		return g.serveCAR(w, r, x, params)
	}
	return g.serveRaw(w, r, x)
}

// fail answers with an error. A client that wants only what is cached is told
// so: here, nothing else is ever served.
func (g *gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	for _, h := range []string{"Etag", "Cache-Control", "Content-Disposition", "X-Ipfs-Roots"} {
		w.Header().Del(h)
	}
	status := http.StatusInternalServerError
	var ge *gatewayError
	switch {
	case errors.As(err, &ge):
		status = ge.status
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrModelChanged):
		status = http.StatusNotFound
		if strings.Contains(r.Header.Get("Cache-Control"), "only-if-cached") {
			status = http.StatusPreconditionFailed
		}
	case r.Context().Err() != nil:
		return
	default:
		g.log.Error("serve block", "path", r.URL.Path, "error", err)
	}
	http.Error(w, err.Error(), status)
}

// A located is a content path that was followed to its end.
type located struct {
	ref   Ref
	trail []cid.Cid // the CIDs of the path's elements
	inner []cid.Cid // all nodes passed on the way, shards included
}

func (x *located) cid() cid.Cid { return x.trail[len(x.trail)-1] }

func (g *gateway) resolve(r *http.Request, ref Ref) (*located, error) {
	x := &located{ref: ref, trail: []cid.Cid{ref.CID}}
	if ref.Path == "" {
		return x, nil
	}
	p, err := g.view.find(r.Context(), ref.CID)
	if err != nil {
		return nil, err
	}
	x.trail, err = resolve(r.Context(), p.nodes, ref.CID, ref.Path, nil, func(c cid.Cid) { x.inner = append(x.inner, c) })
	return x, err
}

func (x *located) headers(h http.Header, path string) {
	h.Set("Cache-Control", immutable)
	if isASCII(path) {
		h.Set("X-Ipfs-Path", path)
	}
	uri := url.URL{Scheme: "ipfs", Host: x.ref.CID.String(), Path: "/" + x.ref.Path}
	h.Set("Ipfs-Uri", strings.TrimSuffix(uri.String(), "/"))
	roots := make([]string, len(x.trail))
	for i, c := range x.trail {
		roots[i] = c.String()
	}
	h.Set("X-Ipfs-Roots", strings.Join(roots, ","))
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func (g *gateway) serveRaw(w http.ResponseWriter, r *http.Request, x *located) error {
	buf := leafBuffers.Get().(*[]byte) // the pool holds nothing else
	defer leafBuffers.Put(buf)
	block, err := g.view.read(r.Context(), x.cid(), *buf)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", rawType)
	w.Header().Set("Etag", `"`+x.cid().String()+`.raw"`)
	w.Header().Set("Content-Disposition", attachment(r, x.cid().String()+".bin"))
	if r.Method != http.MethodGet || isConditional(r.Header) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(block))
		return nil
	}
	w.Header().Set("Accept-Ranges", "bytes")
	w.Header().Set("Content-Length", strconv.Itoa(len(block)))
	_, _ = w.Write(block) // in one piece; a client that is gone needs none
	return nil
}

// isConditional reports whether a request may be for something other than all
// of it.
func isConditional(h http.Header) bool {
	for _, name := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

func attachment(r *http.Request, name string) string {
	if want := r.URL.Query().Get("filename"); want != "" {
		name = want
	}
	if isASCII(name) {
		return `attachment; filename=` + strconv.Quote(name)
	}
	return `attachment; filename*=UTF-8''` + url.PathEscape(name)
}
