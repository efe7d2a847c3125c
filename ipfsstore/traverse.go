package ipfsstore

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// A dagScope says how much of a DAG a CAR holds.
type dagScope string

const (
	scopeBlock  dagScope = "block"
	scopeEntity dagScope = "entity"
	scopeAll    dagScope = "all"
)

// A carWriter writes blocks of the store as a CAR, depth first.
type carWriter struct {
	view  *View
	w     *bufio.Writer
	seen  *cid.Set // nil: blocks are repeated
	span  *byteRange
	index *carIndexer // not nil: blocks are measured, not written
}

func (v *View) newCARWriter(w io.Writer, root cid.Cid, dups bool) (*carWriter, error) {
	cw := &carWriter{view: v, w: bufio.NewWriterSize(w, 1<<16)}
	if !dups {
		cw.seen = cid.NewSet()
	}
	return cw, writeCARHeader(cw.w, root)
}

// put writes one block, unless it was written, and returns it; first says that
// what is below it is to be written too.
func (cw *carWriter) put(ctx context.Context, c cid.Cid) (block []byte, first bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	if cw.seen != nil && cw.seen.Has(c) {
		return nil, false, nil
	}
	if cw.seen != nil {
		cw.seen.Add(c)
	}
	if c.Prefix().MhType == mh.IDENTITY { // the CID is the block: readers need no other
		block, err = cw.view.Block(ctx, c)
		return block, err == nil, err
	}
	if cw.index != nil {
		block, err = cw.measure(ctx, c)
		return block, err == nil, err
	}
	if block, err = cw.view.Block(ctx, c); err != nil {
		return nil, false, err
	}
	return block, true, writeCARBlock(cw.w, c, block)
}

// scope writes what the scope has of the DAG below c.
func (cw *carWriter) scope(ctx context.Context, c cid.Cid, scope dagScope) error {
	block, _, err := cw.put(ctx, c)
	if err != nil || scope == scopeBlock || c.Type() == cid.Raw {
		return err
	}
	if block == nil { // written on the way here
		if block, err = cw.view.Block(ctx, c); err != nil {
			return err
		}
	}
	n, err := decodeNode(c, block)
	if err != nil {
		return err
	}
	return cw.below(ctx, n, scope == scopeEntity, 0)
}

// below writes what n links to: of an entity, only the shards of a folder and
// the parts of a file.
func (cw *carWriter) below(ctx context.Context, n *node, entity bool, off int64) error {
	pos := off + int64(len(n.data))
	for i, l := range n.links {
		end := pos
		if n.kind == fileNode {
			end += int64(n.sizes[i])
		}
		skip := n.kind == fileNode && !cw.wanted(pos, end) ||
			entity && (n.kind == folderNode || n.kind == dataNode || n.kind == shardNode && len(l.Name) > n.shard.prefix)
		if !skip {
			if err := cw.link(ctx, l.Cid, entity, pos); err != nil {
				return err
			}
		}
		pos = end
	}
	return nil
}

// wanted reports whether a part of a file is in the range asked for.
func (cw *carWriter) wanted(from, to int64) bool {
	return cw.span == nil || from < cw.span.to && to > cw.span.from
}

func (cw *carWriter) link(ctx context.Context, c cid.Cid, entity bool, off int64) error {
	block, first, err := cw.put(ctx, c)
	if err != nil || !first || c.Type() == cid.Raw {
		return err
	}
	n, err := decodeNode(c, block)
	if err != nil {
		return err
	}
	return cw.below(ctx, n, entity, off)
}

// whole finds the root of a complete model, for its export.
func (s *Store) whole(ctx context.Context, ref string) (cid.Cid, error) {
	a, err := s.Open(ctx, ref)
	if err != nil {
		return cid.Undef, err
	}
	if err := a.Lacks(); err != nil {
		return cid.Undef, fmt.Errorf("export %s: %w", ref, err)
	}
	if !a.Complete {
		return cid.Undef, fmt.Errorf("export %s: some files of the model: %w", ref, ErrNotFound)
	}
	return cid.Decode(a.Root)
}

// Export writes a complete model as a CARv1, each block once, depth first: the
// same bytes each time.
func (s *Store) Export(ctx context.Context, ref string, w io.Writer) error {
	c, err := s.whole(ctx, ref)
	if err != nil {
		return err
	}
	cw, err := s.All().newCARWriter(w, c, false)
	if err != nil {
		return err
	}
	if err := cw.scope(ctx, c, scopeAll); err != nil {
		return fmt.Errorf("export %s: %w", ref, err)
	}
	return cw.w.Flush()
}
