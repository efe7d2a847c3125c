// Package storetest checks that a source of blocks keeps the contract of
// [ipfsstore.Source], and has sources that misbehave on purpose: one that lies,
// one that is slow, one that is dead.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// Run runs the suite. newSource returns a source that has exactly the given
// blocks; it registers its own clean-up with t.
func Run(t *testing.T, newSource func(t *testing.T, blocks map[cid.Cid][]byte) ipfsstore.Source) {
	t.Helper()
	s := suite{newSource}
	t.Run("name", s.name)
	t.Run("all", s.all)
	t.Run("nothing", s.nothing)
	t.Run("missing", s.missing)
	t.Run("sinkError", s.sinkError)
	t.Run("cancelled", s.cancelled)
	t.Run("cancelledWithin", s.cancelledWithin)
	t.Run("concurrent", s.concurrent)
}

type suite struct {
	newSource func(t *testing.T, blocks map[cid.Cid][]byte) ipfsstore.Source
}

// Blocks returns n raw blocks of up to 64 KiB, the same for the same seed; the
// first is empty, the second the largest that is allowed.
func Blocks(seed uint64, n int) map[cid.Cid][]byte {
	bytesOf := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	rng := rand.New(bytesOf)
	out := make(map[cid.Cid][]byte, n)
	for i := range n {
		size := rng.IntN(64 << 10)
		switch i {
		case 0:
			size = 0
		case 1:
			size = 2 << 20
		}
		block := make([]byte, size)
		_, _ = bytesOf.Read(block) // never fails
		out[CID(block)] = block
	}
	return out
}

// CID is the CID of a raw block.
func CID(block []byte) cid.Cid {
	sum, err := mh.Sum(block, mh.SHA2_256, -1)
	if err != nil {
		panic(err) // sha2-256 is always there
	}
	return cid.NewCidV1(cid.Raw, sum)
}

func (s suite) make(t *testing.T) (ipfsstore.Source, map[cid.Cid][]byte) {
	t.Helper()
	blocks := Blocks(1, 24)
	return s.newSource(t, blocks), blocks
}

// collect is a sink that keeps what it gets.
type collect struct {
	t    *testing.T
	want map[cid.Cid][]byte

	mu   sync.Mutex // guards all below
	got  map[cid.Cid]int
	over bool
}

func newCollect(t *testing.T, want map[cid.Cid][]byte) *collect {
	return &collect{t: t, want: want, got: make(map[cid.Cid]int)}
}

func (c *collect) sink(id cid.Cid, block []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		c.t.Errorf("sink called for %s after Fetch had returned", id)
	}
	if c.got[id]++; c.got[id] > 1 {
		c.t.Errorf("block %s delivered twice", id)
	}
	if want, ok := c.want[id]; !ok || !bytes.Equal(want, block) {
		c.t.Errorf("block %s: got %d bytes that are not the block's", id, len(block))
	}
	return nil
}

func (c *collect) fetch(ctx context.Context, src ipfsstore.Source, want []cid.Cid) error {
	err := src.Fetch(ctx, want, c.sink)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	return err
}

func (s suite) name(t *testing.T) {
	src, _ := s.make(t)
	first := src.Name()
	if again := src.Name(); first == "" || again != first {
		t.Errorf("Name() is %q, then %q; want the same each time and not empty", first, again)
	}
}

func (s suite) all(t *testing.T) {
	src, blocks := s.make(t)
	c := newCollect(t, blocks)
	if err := c.fetch(t.Context(), src, slices.Collect(maps.Keys(blocks))); err != nil {
		t.Fatal(err)
	}
	if len(c.got) != len(blocks) {
		t.Errorf("got %d blocks of %d", len(c.got), len(blocks))
	}
}

func (s suite) nothing(t *testing.T) {
	src, blocks := s.make(t)
	if err := newCollect(t, blocks).fetch(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
}

func (s suite) missing(t *testing.T) {
	src, blocks := s.make(t)
	c := newCollect(t, blocks)
	want := append([]cid.Cid{CID([]byte("nobody has this"))}, slices.Collect(maps.Keys(blocks))...)
	if err := c.fetch(t.Context(), src, want); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("err = %v, want ErrNotFound", err)
	}
	if len(c.got) != len(blocks) {
		t.Errorf("got %d blocks of the %d that are there", len(c.got), len(blocks))
	}
}

func (s suite) sinkError(t *testing.T) {
	src, blocks := s.make(t)
	stop := errors.New("sink is full")
	err := src.Fetch(t.Context(), slices.Collect(maps.Keys(blocks)), func(cid.Cid, []byte) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("err = %v, want the sink's", err)
	}
}

func (s suite) cancelled(t *testing.T) {
	src, blocks := s.make(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newCollect(t, blocks).fetch(ctx, src, slices.Collect(maps.Keys(blocks))); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}

func (s suite) cancelledWithin(t *testing.T) {
	src, blocks := s.make(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := src.Fetch(ctx, slices.Collect(maps.Keys(blocks)), func(cid.Cid, []byte) error { cancel(); return ctx.Err() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}

func (s suite) concurrent(t *testing.T) {
	src, blocks := s.make(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := newCollect(t, blocks)
			if err := c.fetch(t.Context(), src, slices.Collect(maps.Keys(blocks))); err != nil {
				t.Error(err)
			}
			if len(c.got) != len(blocks) {
				t.Errorf("got %d blocks of %d", len(c.got), len(blocks))
			}
		})
	}
	wg.Wait()
}
