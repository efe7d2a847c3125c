package ipfsstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// counted counts the calls of a source.
type counted struct {
	ipfsstore.Source
	calls *atomic.Int64
}

func (c counted) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	c.calls.Add(1)
	return c.Source.Fetch(ctx, want, sink)
}

// Three honest gateways, one that lies and one that is dead: the bytes are
// right, the liar is banned at its first block and not asked again by the same
// store, and the dead one is given up.
func TestFetch_fiveSources(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	other := filepath.Join(t.TempDir(), "other")
	files := map[string][]byte{"big.bin": stream("other", 3<<20)}
	writeTree(t, other, files)
	second := mustAdd(t, from, other, ipfsstore.AddOptions{}).Root

	var lies atomic.Int64
	liar := counted{storetest.Lying(gateway(t, "liar", from)), &lies}
	s := openStore(t, gateway(t, "a", from), gateway(t, "b", from), gateway(t, "c", from), liar, storetest.Dead("dead"))

	_, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{Sources: []string{"liar"}})
	if !errors.Is(err, ipfsstore.ErrHashMismatch) || lies.Load() != 1 {
		t.Fatalf("%v after %d calls, want a hash mismatch at the first block", err, lies.Load())
	}
	_, err = s.Fetch(t.Context(), root, ipfsstore.FetchOptions{Sources: []string{"liar"}})
	if !errors.Is(err, ipfsstore.ErrHashMismatch) {
		t.Errorf("a banned source alone: %v", err)
	}
	for r, want := range map[string]map[string][]byte{root: modelFiles(), second: files} {
		f, err := s.Fetch(t.Context(), r, ipfsstore.FetchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sameTree(t, f.Artifact, want)
		for _, st := range f.Sources {
			if st.Banned != (st.Name == "liar") || st.Errors > 0 && st.Name != "dead" || st.Name == "dead" && st.Bytes > 0 {
				t.Errorf("%+v", st)
			}
		}
	}
	if lies.Load() != 1 {
		t.Errorf("the liar was asked %d times, want once", lies.Load())
	}
}
