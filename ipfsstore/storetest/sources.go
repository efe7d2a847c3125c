package storetest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/memory"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/trustless"
)

// Memory returns a source that has the blocks.
func Memory(name string, blocks map[cid.Cid][]byte) ipfsstore.Source {
	src := memory.New(name)
	for c, b := range blocks {
		src.Put(c, b)
	}
	return src
}

// HTTP returns a source for the gateway at url.
func HTTP(name, url string) (ipfsstore.Source, error) {
	return trustless.New(name, url, trustless.Options{})
}

// Gateway serves h, such as a store's gateway, over loopback until the test ends
// and returns a source that fetches from it.
func Gateway(t testing.TB, name string, h http.Handler) ipfsstore.Source {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	src, err := HTTP(name, srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// Lying returns a source that has what src has, with one bit flipped in every
// block that is not empty.
func Lying(src ipfsstore.Source) ipfsstore.Source { return lying{src} }

type lying struct{ ipfsstore.Source }

func (l lying) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	return l.Source.Fetch(ctx, want, func(c cid.Cid, block []byte) error {
		bad := slices.Clone(block)
		if len(bad) > 0 {
			bad[len(bad)/2] ^= 1
		}
		return sink(c, bad)
	})
}

// Slow returns a source that waits for gate (a value, or that it is closed)
// before each call.
func Slow(src ipfsstore.Source, gate <-chan struct{}) ipfsstore.Source { return slow{src, gate} }

type slow struct {
	ipfsstore.Source
	gate <-chan struct{}
}

func (s slow) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	select {
	case <-s.gate:
		return s.Source.Fetch(ctx, want, sink)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Dead returns a source that fails every call.
func Dead(name string) ipfsstore.Source { return dead(name) }

type dead string

func (d dead) Name() string { return string(d) }

func (d dead) Fetch(context.Context, []cid.Cid, func(cid.Cid, []byte) error) error {
	return fmt.Errorf("source %q is dead", string(d))
}
