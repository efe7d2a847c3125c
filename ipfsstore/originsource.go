package ipfsstore

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/ipfs/go-cid"
)

// An originSource serves the leaves of a root out of the files that it was made
// of: what was lost of it, the origin still has.
type originSource struct {
	origin Origin
	ref    string // fixed
	places func(context.Context) (map[cid.Cid]originPlace, error)
}

// An originPlace is where a leaf is.
type originPlace struct {
	file string
	chunk
}

var _ Source = (*originSource)(nil)

// originSources returns the origin that a root was fetched from by name: only
// then has a caller said that it may be asked.
func (s *Store) originSources(r Ref) []Source {
	_, rec, err := s.lookup(r)
	if err != nil || !rec.Named {
		return nil
	}
	origin, ref, ok := s.originOf(rec.Origin)
	if !ok {
		return nil
	}
	src := &originSource{origin: origin, ref: ref}
	var mu sync.Mutex
	var known map[cid.Cid]originPlace
	src.places = func(ctx context.Context) (map[cid.Cid]originPlace, error) { // only when it is asked
		mu.Lock()
		defer mu.Unlock()
		var err error
		if known == nil {
			known, err = s.originPlaces(ctx, rec)
		}
		return known, err
	}
	return []Source{src}
}

func (s *Store) originPlaces(ctx context.Context, rec *rootRecord) (map[cid.Cid]originPlace, error) {
	root, err := cid.Decode(rec.Root)
	if err != nil {
		return nil, err
	}
	nodes, err := loadNodes(s.path("nodes", rec.Root+".car"))
	if err != nil {
		return nil, err
	}
	t, err := readTree(ctx, nodes, root, nil)
	if err != nil {
		return nil, err
	}
	out := make(map[cid.Cid]originPlace)
	for name, b := range t.files {
		if err := expand(ctx, nodes, []*blob{b}, nil); err != nil {
			return nil, err
		}
		for _, c := range b.chunks {
			if c.cid.Type() == cid.Raw && c.size >= 0 && c.size <= maxBlock { // so is all that comes from an origin
				out[c.cid] = originPlace{name, c}
			}
		}
	}
	return out, nil
}

// Name implements [Source].
func (o *originSource) Name() string { return o.origin.Name() }

// Fetch implements [Source].
func (o *originSource) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	places, err := o.places(ctx)
	if err != nil {
		return err
	}
	buf := leafBuffers.Get().(*[]byte) // the pool holds nothing else
	defer leafBuffers.Put(buf)
	var missing error
	for _, c := range want {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, ok := places[c]
		if !ok {
			missing = fmt.Errorf("block %s: %w", c, ErrNotFound)
			continue
		}
		block := (*buf)[:at.size]
		if err := o.read(ctx, at, block); err != nil {
			return err
		}
		if err := sink(c, block); err != nil {
			return err
		}
	}
	return missing
}

func (o *originSource) read(ctx context.Context, at originPlace, block []byte) error {
	if at.size == 0 {
		return nil
	}
	body, err := o.origin.Read(ctx, o.ref, at.file, at.off, at.size)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.ReadFull(body, block)
	return err
}
