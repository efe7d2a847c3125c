package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	"github.com/ipfs/go-cid"
)

// A blockIndex knows where each block of the models is. It is not
// changed once made.
type blockIndex struct {
	cat   *catalog
	roots map[*rootRecord]rootIndex
	where map[string]blockPlace // by multihash
}

// A rootIndex is one root's part of it.
type rootIndex struct {
	nodes *nodeSet
	where map[string]blockPlace
}

// A blockPlace is where a block is: among a root's nodes, or in a file.
type blockPlace struct {
	rec     *rootRecord
	nodes   *nodeSet
	leaf    bool
	wrapped bool  // the file has the block's bytes without their dag-pb dress
	file    int32 // of rec; negative: -1-i is part i of nodes
	size    int32
	off     int64
}

// blocks returns the index for the store as it is now.
func (s *Store) blocks(ctx context.Context) (*blockIndex, error) {
	c, err := s.snapshot()
	if err != nil {
		return nil, err
	}
	if x := s.index.Load(); x != nil && x.cat == c {
		return x, nil
	}
	s.reload.Lock()
	defer s.reload.Unlock()
	old := s.index.Load()
	x := &blockIndex{cat: c, roots: make(map[*rootRecord]rootIndex), where: make(map[string]blockPlace)}
	for _, rec := range c.roots {
		r, ok := old.root(rec)
		if !ok {
			if r, err = s.indexRoot(ctx, rec); err != nil {
				s.log.Warn("model can't be served", "root", rec.Root, "error", err)
				continue
			}
		}
		x.roots[rec] = r
		x.enter(r)
	}
	s.index.Store(x)
	return x, ctx.Err()
}

// enter adds what a root has. A sparse file, which may not have what it seems to
// have, comes after all else.
func (x *blockIndex) enter(r rootIndex) {
	if len(r.nodes.parts) == 0 {
		maps.Copy(x.where, r.where)
		return
	}
	for hash, p := range r.where {
		if old, ok := x.where[hash]; !ok || p.file >= 0 || old.file < 0 {
			x.where[hash] = p
		}
	}
}

func (x *blockIndex) root(rec *rootRecord) (rootIndex, bool) {
	if x == nil {
		return rootIndex{}, false
	}
	r, ok := x.roots[rec]
	return r, ok
}

func (s *Store) indexRoot(ctx context.Context, rec *rootRecord) (rootIndex, error) {
	nodes, err := loadNodes(s.path("nodes", rec.Root+".car"))
	if err != nil {
		return rootIndex{}, err
	}
	r := rootIndex{nodes, make(map[string]blockPlace)}
	if err := s.indexParts(ctx, rec, nodes, r.where); err != nil {
		return rootIndex{}, err
	}
	for i, f := range rec.Files {
		c, err := cid.Decode(f.CID)
		if err != nil {
			return rootIndex{}, err
		}
		b := &blob{cid: c, size: f.Stat.Size}
		if err := expand(ctx, nodes, []*blob{b}, nil); err != nil {
			return rootIndex{}, err
		}
		for _, ch := range b.chunks {
			r.where[string(ch.cid.Hash())] = blockPlace{rec: rec, nodes: nodes, leaf: true, wrapped: ch.cid.Type() != cid.Raw, file: int32(i), size: int32(ch.size), off: ch.off}
		}
	}
	for _, c := range nodes.order { // last: a node with bytes of its own is served whole
		r.where[string(c.Hash())] = blockPlace{rec: rec, nodes: nodes}
	}
	return r, nil
}

// at returns the block of c that is at p, in buf if it is a leaf that has room
// there, or errRetry.
func (s *Store) at(ctx context.Context, c cid.Cid, p blockPlace, buf []byte) ([]byte, error) {
	if p.leaf {
		return s.leaf(ctx, c, p, buf)
	}
	return p.nodes.byHash(c)
}

// byHash returns the block with c's hash, whatever codec it was asked under.
func (s *nodeSet) byHash(c cid.Cid) ([]byte, error) {
	for _, codec := range []uint64{c.Type(), cid.DagProtobuf, cid.DagCBOR, cid.Raw} {
		alias := cid.NewCidV1(codec, c.Hash())
		if b, ok := s.get(alias); ok {
			return b, nil
		}
	}
	if len(c.Hash()) == 34 {
		if b, ok := s.get(cid.NewCidV0(c.Hash())); ok {
			return b, nil
		}
	}
	return nil, fmt.Errorf("block %s: %w", c, ErrNotFound)
}

func (s *Store) leaf(ctx context.Context, c cid.Cid, p blockPlace, buf []byte) ([]byte, error) {
	if cap(buf) < int(p.size) {
		buf = make([]byte, p.size)
	}
	data := buf[:p.size]
	if p.file < 0 {
		if block, ok := s.torn(c, p, data); ok {
			return block, nil
		}
		return nil, fmt.Errorf("block %s: %w", c, ErrNotFound)
	}
	err := readSteady(p.rec.paths[p.file], p.rec.Files[p.file].Stat, p.off, data)
	if errors.Is(err, ErrModelChanged) {
		if err := s.recheck(ctx, p.rec.Root); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("block %s: %w", c, errRetry)
	}
	if err != nil || !p.wrapped {
		return data, err
	}
	block, ok := rewrap(c, data)
	if !ok {
		return nil, fmt.Errorf("block %s: %w", c, ErrNotFound)
	}
	return block, nil
}

// errRetry says that the record was renewed and the block can be had now.
var errRetry = errors.New("file was checked again")

// readSteady reads a part of a file that looks like want the whole time.
func readSteady(p string, want fileStat, off int64, data []byte) error {
	f, err := os.Open(p)
	if errors.Is(err, os.ErrNotExist) {
		return ErrModelChanged
	}
	if err != nil {
		return err
	}
	defer f.Close()
	before, err := fstat(f)
	if err != nil {
		return err
	}
	if before != want {
		return ErrModelChanged
	}
	if _, err := f.ReadAt(data, off); err != nil {
		return fmt.Errorf("%w: %w", ErrModelChanged, err)
	}
	after, err := fstat(f)
	if err == nil && after != want {
		err = ErrModelChanged
	}
	return err
}
