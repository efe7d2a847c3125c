package ipfsstore

import (
	"context"
	"errors"
	"slices"
)

// lacking returns those of blobs that the store does not have.
func (p *parts) lacking(ctx context.Context, blobs []*blob) ([]*blob, error) {
	err := p.store.recheckLocked(ctx, rootKey(p.job.root), inspection{})
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrModelChanged) {
		return nil, err
	}
	here, err := p.store.stored()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(blobs, here), nil
}

// stored returns what reports whether the store has a blob, as it was when it
// was last looked at.
func (s *Store) stored() (func(*blob) bool, error) {
	c, err := s.snapshot()
	if err != nil {
		return nil, err
	}
	known, where := c.blobStats(), c.references()
	return func(b *blob) bool {
		key := b.cid.String()
		if f, ok := where[key]; ok {
			if st, err := lstat(f.Path); err == nil && st == f.Stat {
				return true
			}
		}
		st, err := lstat(s.path("blobs", key))
		return err == nil && slices.Contains(known[key], st)
	}, nil
}

// blobStats are the looks of all blobs, by CID.
func (c *catalog) blobStats() map[string][]fileStat {
	out := make(map[string][]fileStat)
	for _, r := range c.roots {
		for _, f := range r.Files {
			if f.Storage != Reference {
				out[f.CID] = append(out[f.CID], f.Stat)
			}
		}
	}
	return out
}

// references are the files that are stored where the user has them, by CID: one
// of each.
func (c *catalog) references() map[string]fileRecord {
	out := make(map[string]fileRecord)
	for _, r := range c.roots {
		for _, f := range r.Files {
			if f.Storage == Reference {
				out[f.CID] = f
			}
		}
	}
	return out
}
