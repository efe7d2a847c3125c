package ipfsstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/ipfs/go-cid"
)

// responseParams say what a client wants.
type responseParams struct {
	car   bool
	scope dagScope
	order string
	dups  bool
	span  *entityBytes
}

// entityBytes is a range of a file, from its end where negative.
type entityBytes struct {
	from, to int64
	open     bool // to the end
}

// negotiate finds the format: the query wins over the Accept header.
func negotiate(r *http.Request) (responseParams, error) {
	format, accept := r.URL.Query().Get("format"), map[string]string{}
	if format == "" {
		format, accept = acceptedFormat(r.Header.Values("Accept"))
	} else if _, params := acceptedFormat(r.Header.Values("Accept")); format == "car" && params != nil {
		accept = params
	}
	switch format {
	case "raw":
		return responseParams{}, nil
	case "car":
		return carParams(r, accept)
	case "":
		return responseParams{}, &gatewayError{http.StatusNotAcceptable, fmt.Errorf("only format=raw and format=car are served")}
	}
	return responseParams{}, badRequest("unknown format %q: only raw and car are served", format)
}

// acceptedFormat returns the first format of an Accept header that is served.
func acceptedFormat(accept []string) (string, map[string]string) {
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		t, params, err := mime.ParseMediaType(strings.TrimSpace(item))
		switch {
		case err != nil:
			continue
		case t == rawType:
			return "raw", params
		case t == carType:
			return "car", params
		}
	}
	return "", nil
}

func carParams(r *http.Request, accept map[string]string) (responseParams, error) {
	q := r.URL.Query()
	get := func(query, param string) string {
		if v := q.Get(query); v != "" {
			return v
		}
		return accept[param]
	}
	p := responseParams{car: true, scope: scopeAll, order: "dfs"}
	if v := get("car-version", "version"); v != "" && v != "1" {
		return p, badRequest("CAR version %q: only 1 is served", v)
	}
	if v := get("car-order", "order"); v == "unk" {
		p.order = v
	} else if v != "" && v != "dfs" {
		return p, badRequest("CAR order %q is neither dfs nor unk", v)
	}
	v := get("car-dups", "dups")
	if p.dups = v == "y"; v != "" && v != "y" && v != "n" {
		return p, badRequest("CAR dups %q is neither y nor n", v)
	}
	if q.Has("dag-scope") {
		p.scope = dagScope(q.Get("dag-scope"))
	}
	if p.scope != scopeAll && p.scope != scopeEntity && p.scope != scopeBlock {
		return p, badRequest("dag-scope %q is none of block, entity, all", p.scope)
	}
	var err error
	if q.Has("entity-bytes") {
		p.scope = scopeEntity
		p.span, err = parseEntityBytes(q.Get("entity-bytes"))
	}
	return p, err
}

func parseEntityBytes(s string) (*entityBytes, error) {
	from, to, ok := strings.Cut(s, ":")
	e := &entityBytes{open: to == "*"}
	var err error
	if e.from, err = strconv.ParseInt(from, 10, 64); err == nil && !e.open {
		e.to, err = strconv.ParseInt(to, 10, 64)
	}
	if !ok || err != nil || !e.open && (e.from >= 0) == (e.to >= 0) && e.from > e.to {
		return nil, badRequest("entity-bytes %q is no range FROM:TO", s)
	}
	return e, nil
}

// within turns e into a range of a file of size bytes.
func (e *entityBytes) within(size int64) *byteRange {
	if e == nil {
		return nil
	}
	abs := func(n int64) int64 {
		if n < 0 {
			n = max(0, size+n)
		}
		return n
	}
	r := byteRange{abs(e.from), size}
	if !e.open {
		r.to = abs(e.to)
		if r.to < math.MaxInt64 {
			r.to++ // the last byte belongs to it
		}
	}
	return &r
}

func (g *gateway) serveCAR(w http.ResponseWriter, r *http.Request, x *located, p responseParams) error {
	block, err := g.view.Block(r.Context(), x.cid())
	if err != nil {
		return err
	}
	dups := "n"
	if p.dups {
		dups = "y"
	}
	h := w.Header()
	h.Set("Content-Type", fmt.Sprintf("%s; version=1; order=%s; dups=%s", carType, p.order, dups))
	h.Set("Content-Disposition", attachment(r, x.carName()))
	h.Set("Accept-Ranges", "none")
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s %s", r.URL.Path, p.scope, p.order, dups, r.URL.Query().Get("entity-bytes")))
	etag := fmt.Sprintf(`W/"%s.car.%s"`, x.ref.CID, hex.EncodeToString(sum[:8]))
	h.Set("Etag", etag)
	if match := r.Header.Get("If-None-Match"); match == "*" || strings.Contains(match, strings.TrimPrefix(etag, "W/")) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if r.Method == http.MethodHead {
		return nil
	}
	if err := g.streamCAR(r.Context(), w, x, p, fileSize(x.cid(), block)); err != nil {
		g.log.Error("serve CAR", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler) // the status is out: only a broken connection tells
	}
	return nil
}

func (x *located) carName() string {
	if x.ref.Path == "" {
		return x.ref.CID.String() + ".car"
	}
	return x.ref.CID.String() + "_" + x.ref.Path[strings.LastIndex(x.ref.Path, "/")+1:] + ".car"
}

// fileSize is the size of the file that c is, if it is one.
func fileSize(c cid.Cid, block []byte) int64 {
	if c.Type() == cid.Raw {
		return int64(len(block))
	}
	n, err := decodeNode(c, block)
	if err != nil {
		return 0
	}
	return n.size
}

// streamCAR writes the nodes on the way to x, then what is asked for of x.
func (g *gateway) streamCAR(ctx context.Context, w http.ResponseWriter, x *located, p responseParams, size int64) error {
	cw, err := g.view.newCARWriter(w, x.cid(), p.dups)
	if err != nil {
		return err
	}
	for _, c := range x.inner {
		if _, _, err := cw.put(ctx, c); err != nil {
			return err
		}
	}
	cw.span = p.span.within(size)
	if err := cw.scope(ctx, x.cid(), p.scope); err != nil {
		return err
	}
	return cw.w.Flush()
}
