package ipfsstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"

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

// A tally counts how often each block is asked for.
type tally struct {
	ipfsstore.Source

	mu    sync.Mutex
	asked map[cid.Cid]int
}

func (s *tally) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	s.mu.Lock()
	for _, c := range want {
		s.asked[c]++
	}
	s.mu.Unlock()
	return s.Source.Fetch(ctx, want, sink)
}

// Who fetches what another is fetching, in the same program or in another one, joins
// in: each block comes once.
func TestFetch_atOnce(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	source := &tally{Source: gateway(t, "one", from), asked: make(map[cid.Cid]int)}
	dir := filepath.Join(t.TempDir(), "store")
	var g errgroup.Group
	for range 2 {
		s := openStoreIn(t, dir, source)
		for range 3 {
			g.Go(func() error {
				f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
				if err == nil {
					sameTree(t, f.Artifact, modelFiles())
				}
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(source.asked) < 8 {
		t.Errorf("%d blocks were asked for", len(source.asked))
	}
	for c, n := range source.asked {
		if n != 1 {
			t.Errorf("block %s was asked for %d times", c, n)
		}
	}
}
