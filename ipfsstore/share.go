package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/ipfs/go-cid"
)

// Share says whether other machines may have a model's blocks: those who ask a
// gateway that is not on loopback, and peers. Nothing is shared until it is
// said, and a fetch or an import changes nothing about it. A model of whose CAR
// blocks were lacking can't be shared: that is [ErrIncomplete].
func (s *Store) Share(ctx context.Context, ref string, on bool) (Artifact, error) {
	r, err := ParseRef(ref)
	if err != nil {
		return Artifact{}, err
	}
	if r.Path != "" {
		return Artifact{}, fmt.Errorf("%w %q: only a whole model can be shared", ErrInvalidRef, ref)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Artifact{}, err
	}
	defer unlock()
	c, rec, err := s.lookup(r)
	if err != nil {
		return Artifact{}, err
	}
	if on && len(rec.Lost) > 0 {
		return Artifact{}, s.artifact(c, rec).Lacks()
	}
	if rec.Shared != on {
		changed := rec.clone()
		changed.Shared = on
		if err := writeJSON(s.rootFile(rec.Root), changed); err != nil {
			return Artifact{}, err
		}
	}
	c, rec, err = s.lookup(r)
	if err != nil {
		return Artifact{}, err
	}
	return s.artifact(c, rec), nil
}

// A View is those blocks of a store that a circle of callers may have. What it
// holds changes with the store. It has every identity block.
type View struct {
	store  *Store
	shared bool
}

// All returns the view of whoever is on this machine: every model, and what is
// there of those that are not complete.
func (s *Store) All() *View { return &View{s, false} }

// Shared returns the view of other machines: the models that are shared.
func (s *Store) Shared() *View { return &View{s, true} }

// Gateway returns a handler that serves the view: see [Store.Gateway].
func (v *View) Gateway() http.Handler { return &gateway{v, v.store.log} }

// Block returns a block. A file is looked at before and after it is read:
// changed bytes are [ErrModelChanged], never returned. What the view does not
// have is [ErrNotFound].
func (v *View) Block(ctx context.Context, c cid.Cid) ([]byte, error) { return v.read(ctx, c, nil) }

// read is Block, in buf if there is room.
func (v *View) read(ctx context.Context, c cid.Cid, buf []byte) ([]byte, error) {
	b, err := v.block(ctx, c, buf)
	if errors.Is(err, errRetry) {
		b, err = v.block(ctx, c, buf)
	}
	return b, err
}

func (v *View) block(ctx context.Context, c cid.Cid, buf []byte) ([]byte, error) {
	if err := checkCID(c); err != nil {
		return nil, err
	}
	if digest, sha := digestOf(c); !sha {
		return digest, nil
	}
	p, err := v.find(ctx, c)
	if err != nil {
		return nil, err
	}
	return v.store.at(ctx, c, p, buf)
}

// Size returns the length of a block in bytes, without reading it where that
// can be done.
func (v *View) Size(ctx context.Context, c cid.Cid) (int, error) {
	if err := checkCID(c); err != nil {
		return 0, err
	}
	if digest, sha := digestOf(c); !sha {
		return len(digest), nil
	}
	p, err := v.find(ctx, c)
	if err != nil {
		return 0, err
	}
	if p.leaf && !p.wrapped {
		return int(p.size), nil
	}
	b, err := v.Block(ctx, c)
	return len(b), err
}

// find says where a block is that the view has.
func (v *View) find(ctx context.Context, c cid.Cid) (blockPlace, error) {
	x, err := v.store.blocks(ctx)
	if err != nil {
		return blockPlace{}, err
	}
	p, ok := x.where[string(c.Hash())]
	if ok && v.shared && !p.rec.mayBeShared() { // another root may have it too
		p, ok = x.findShared(string(c.Hash()))
	}
	if !ok {
		return blockPlace{}, fmt.Errorf("block %s: %w", c, ErrNotFound)
	}
	return p, nil
}

func (x *blockIndex) findShared(hash string) (blockPlace, bool) {
	for rec, r := range x.roots {
		if !rec.mayBeShared() {
			continue
		}
		if p, ok := r.where[hash]; ok {
			return p, true
		}
	}
	return blockPlace{}, false
}

// Roots returns what others can look for: the roots of the view's models, and
// of their files, each once.
func (v *View) Roots(ctx context.Context) ([]cid.Cid, error) {
	x, err := v.store.blocks(ctx)
	if err != nil {
		return nil, err
	}
	seen := cid.NewSet()
	for rec := range x.roots {
		if v.shared && !rec.mayBeShared() {
			continue
		}
		for _, key := range append([]string{rec.Root}, rec.fileCIDs()...) {
			c, err := cid.Decode(key)
			if err != nil {
				return nil, err
			}
			seen.Add(c)
		}
	}
	roots := seen.Keys()
	slices.SortFunc(roots, func(a, b cid.Cid) int { return slices.Compare(a.Bytes(), b.Bytes()) })
	return roots, nil
}

func (r *rootRecord) fileCIDs() []string {
	out := make([]string, len(r.Files))
	for i, f := range r.Files {
		out[i] = f.CID
	}
	return out
}

// Nodes hands the nodes of the DAG below c, c first, to yield: everything but
// its leaves, each once. A c that is a leaf has none. An error of yield ends it
// and is returned.
func (v *View) Nodes(ctx context.Context, c cid.Cid, yield func(cid.Cid, []byte) error) error {
	p, err := v.find(ctx, c)
	if err != nil {
		return err
	}
	if p.leaf {
		return nil
	}
	seen := cid.NewSet()
	for level := []cid.Cid{c}; len(level) > 0; {
		next := level[1:]
		block, ok := p.nodes.get(level[0])
		if _, sha := digestOf(level[0]); !ok || !sha || !seen.Visit(level[0]) {
			level = next
			continue
		}
		if err := errors.Join(ctx.Err(), yield(level[0], block)); err != nil {
			return err
		}
		n, err := decodeNode(level[0], block)
		if err != nil {
			return err
		}
		for _, l := range n.links {
			next = append(next, l.Cid)
		}
		level = next
	}
	return nil
}
