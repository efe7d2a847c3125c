package trustless_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/trustless"
)

// holding answers by do, and then nothing until the test ends.
func holding(t *testing.T, do func(http.ResponseWriter)) string {
	t.Helper()
	over := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		do(w)
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(over); srv.Close() })
	return srv.URL
}

// nowhere is the URL of a port that nobody listens on.
func nowhere(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// nameless is a client that no name server answers.
func nameless() *http.Client {
	noServer := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}
	return &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Resolver: noServer}).DialContext}}
}

// An error says in which phase of which source it was, by itself and as a store
// tells it.
func TestSource_phases(t *testing.T) {
	begun := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/vnd.ipld.raw")
		_, _ = io.WriteString(w, "begun") // the test sees if it did not arrive
		w.(http.Flusher).Flush()
	}
	for want, c := range map[ipfsstore.Phase]struct {
		url    string
		client *http.Client
	}{
		ipfsstore.PhaseFind:      {"http://gateway.test", nameless()},
		ipfsstore.PhaseConnect:   {nowhere(t), nil},
		ipfsstore.PhaseFirstByte: {holding(t, func(http.ResponseWriter) {}), nil},
		ipfsstore.PhaseStalled:   {holding(t, begun), nil},
	} {
		t.Run(string(want), func(t *testing.T) {
			src, err := trustless.New("gw", c.url, trustless.Options{Idle: 50 * time.Millisecond, Timeout: time.Hour, Client: c.client})
			if err != nil {
				t.Fatal(err)
			}
			block := storetest.CID([]byte("block"))
			err = src.Fetch(t.Context(), []cid.Cid{block}, func(cid.Cid, []byte) error { return nil })
			if e, ok := errors.AsType[*ipfsstore.PhaseError](err); !ok || e.Phase != want {
				t.Errorf("%v, want an error of the phase %q", err, want)
			}
			s, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{Sources: []ipfsstore.Source{src}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			_, err = s.Fetch(t.Context(), block.String(), ipfsstore.FetchOptions{})
			if err == nil || !strings.Contains(err.Error(), `source "gw": `) || !strings.Contains(err.Error(), ": "+string(want)+": ") {
				t.Errorf("the store says %v, want the source and the phase %q", err, want)
			}
		})
	}
}

// A caller's own end is not the gateway's fault, and its cause is told.
func TestSource_callerGone(t *testing.T) {
	asked := make(chan struct{})
	src, err := trustless.New("gw", holding(t, func(http.ResponseWriter) { close(asked) }), trustless.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() { <-asked; cancel(enough) }()
	err = src.Fetch(ctx, []cid.Cid{storetest.CID(nil)}, func(cid.Cid, []byte) error { return nil })
	if _, ok := errors.AsType[*ipfsstore.PhaseError](err); ok || !errors.Is(err, enough) {
		t.Errorf("%v, want the caller's own reason", err)
	}
}
