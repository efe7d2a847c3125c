// Package memory is a source of blocks that are held in memory: for tests, for
// small content a program carries with it, and as the shortest example of a
// source.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A Source holds blocks. It may be used concurrently.
type Source struct {
	name string

	mu     sync.RWMutex // guards all below
	blocks map[cid.Cid][]byte
}

var _ ipfsstore.Source = (*Source)(nil)

// New returns an empty source.
func New(name string) *Source {
	return &Source{name: name, blocks: make(map[cid.Cid][]byte)}
}

// Put adds a copy of a block. Its hash is not checked: whoever fetches it does
// that.
func (s *Source) Put(c cid.Cid, block []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks[c] = slices.Clone(block)
}

// Name implements [ipfsstore.Source].
func (s *Source) Name() string { return s.name }

// Fetch implements [ipfsstore.Source].
func (s *Source) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	var missing error
	for _, c := range want {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.RLock()
		block, ok := s.blocks[c]
		s.mu.RUnlock()
		if !ok {
			missing = fmt.Errorf("block %s: %w", c, ipfsstore.ErrNotFound)
			continue
		}
		if err := sink(c, slices.Clone(block)); err != nil {
			return err
		}
	}
	return missing
}
