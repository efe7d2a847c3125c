package trustless_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/trustless"
)

// serve is a minimal gateway over blocks, below a path of its own.
func serve(t *testing.T, blocks map[cid.Cid][]byte) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := strings.CutPrefix(r.URL.Path, "/sub/ipfs/")
		c, err := cid.Decode(id)
		block, have := blocks[c]
		switch {
		case !ok || err != nil || r.URL.Query().Get("format") != "raw" || r.Header.Get("Accept") != "application/vnd.ipld.raw":
			http.Error(w, "bad request", http.StatusBadRequest)
		case !have:
			http.Error(w, "no such block", http.StatusNotFound)
		default:
			_, _ = w.Write(block)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/sub/"
}

func newSource(t *testing.T, url string) *trustless.Source {
	t.Helper()
	s, err := trustless.New("gw", url, trustless.Options{Parallel: 4})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSource(t *testing.T) {
	storetest.Run(t, func(t *testing.T, blocks map[cid.Cid][]byte) ipfsstore.Source {
		return newSource(t, serve(t, blocks))
	})
}

func TestNew_refuses(t *testing.T) {
	for _, u := range []string{"", "ftp://x", "http://", "127.0.0.1:80", "http://x/?q=1", "http://x/#f", "http://x:y:z"} {
		if _, err := trustless.New("gw", u, trustless.Options{}); err == nil {
			t.Errorf("%q is accepted", u)
		}
	}
	if _, err := trustless.New("", "http://x", trustless.Options{}); err == nil {
		t.Error("a source without a name is accepted")
	}
}

// fetch gets one block from a gateway that answers as h does.
func fetch(t *testing.T, h http.HandlerFunc, block []byte) error {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return newSource(t, srv.URL).Fetch(t.Context(), []cid.Cid{storetest.CID(block)}, func(_ cid.Cid, got []byte) error {
		if !bytes.Equal(got, block) {
			return fmt.Errorf("got %d other bytes", len(got))
		}
		return nil
	})
}

func TestSource_answers(t *testing.T) {
	block := []byte("block")
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		_, _ = w.Write(block)
	}))
	t.Cleanup(other.Close)
	for name, c := range map[string]struct {
		h  http.HandlerFunc
		ok func(error) bool
	}{
		"gone":          {status(http.StatusGone), notFound},
		"not found":     {status(http.StatusNotFound), notFound},
		"error":         {status(http.StatusBadGateway), func(err error) bool { return err != nil && !notFound(err) }},
		"no content":    {status(http.StatusNoContent), func(err error) bool { return err != nil && !notFound(err) }},
		"other host":    {http.RedirectHandler(other.URL, http.StatusFound).ServeHTTP, func(err error) bool { return err != nil && elsewhere.Load() == 0 }},
		"same host":     {redirectOnce(block), func(err error) bool { return err == nil }},
		"redirect loop": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }, func(err error) bool { return err != nil }},
		"endless":       {endless, func(err error) bool { return errors.Is(err, ipfsstore.ErrTooLarge) }},
		"cut short":     {cutShort, func(err error) bool { return err != nil && !notFound(err) }},
		"chunked":       {chunked(block), func(err error) bool { return err == nil }},
	} {
		if err := fetch(t, c.h, block); !c.ok(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func notFound(err error) bool { return errors.Is(err, ipfsstore.ErrNotFound) }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func redirectOnce(block []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/there" {
			http.Redirect(w, r, "/there", http.StatusFound)
			return
		}
		_, _ = w.Write(block)
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(make([]byte, 64<<10)); err != nil {
			return
		}
	}
}

func cutShort(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte("blo"))
	panic(http.ErrAbortHandler)
}

func chunked(block []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, b := range block {
			_, _ = w.Write([]byte{b})
			w.(http.Flusher).Flush() // the server's writer is one
		}
	}
}
