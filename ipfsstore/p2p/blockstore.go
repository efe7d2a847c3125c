package p2p

import (
	"context"
	"errors"

	"github.com/ipfs/boxo/blockstore"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// shelf is what is shared, as bitswap's server wants it: read by pread, never
// written.
type shelf struct{ view *ipfsstore.View }

var _ blockstore.Blockstore = shelf{}

var errReadOnly = errors.New("the store is written by fetches only")

// Has implements [blockstore.Blockstore].
func (s shelf) Has(ctx context.Context, c cid.Cid) (bool, error) {
	_, err := s.view.Size(ctx, c)
	if unserved(err) {
		return false, nil
	}
	return err == nil, err
}

// Get implements [blockstore.Blockstore].
func (s shelf) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	data, err := s.view.Block(ctx, c)
	if unserved(err) {
		return nil, ipld.ErrNotFound{Cid: c}
	}
	if err != nil {
		return nil, err
	}
	return blocks.NewBlockWithCid(data, c)
}

// GetSize implements [blockstore.Blockstore].
func (s shelf) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	n, err := s.view.Size(ctx, c)
	if unserved(err) {
		return 0, ipld.ErrNotFound{Cid: c}
	}
	return n, err
}

// unserved reports whether err is that a block is not to be had.
func unserved(err error) bool {
	return errors.Is(err, ipfsstore.ErrNotFound) || errors.Is(err, ipfsstore.ErrModelChanged) || errors.Is(err, ipfsstore.ErrUnsupportedCID)
}

// Put implements [blockstore.Blockstore].
func (s shelf) Put(context.Context, blocks.Block) error { return errReadOnly }

// PutMany implements [blockstore.Blockstore].
func (s shelf) PutMany(context.Context, []blocks.Block) error { return errReadOnly }

// DeleteBlock implements [blockstore.Blockstore].
func (s shelf) DeleteBlock(context.Context, cid.Cid) error { return errReadOnly }

// AllKeysChan implements [blockstore.Blockstore]: who asks knows what for.
func (s shelf) AllKeysChan(context.Context) (<-chan cid.Cid, error) {
	keys := make(chan cid.Cid)
	close(keys)
	return keys, nil
}
