package ipfsstore

import (
	"context"
	"fmt"
)

// labels are what a root can be given later.
type labels struct {
	tag  string // catalogue name; "" for none
	move bool   // tag may point elsewhere
	pin  bool
}

// label gives a stored root a name and a pin.
func (s *Store) label(ctx context.Context, root string, l labels) (Artifact, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return Artifact{}, err
	}
	defer unlock()
	c, err := s.snapshot()
	if err != nil {
		return Artifact{}, err
	}
	rec := c.roots[root]
	if rec == nil {
		return Artifact{}, fmt.Errorf("model %s: %w", root, ErrNotFound)
	}
	if err := c.mayName(l.tag, root, l.move); err != nil {
		return Artifact{}, err
	}
	if l.pin && !rec.Pinned {
		if err := s.writePin(rec, true); err != nil {
			return Artifact{}, err
		}
	}
	if l.tag != "" && c.names[l.tag] != root {
		if err := s.writeName(l.tag, root); err != nil {
			return Artifact{}, diskFull(err)
		}
	}
	if c, err = s.snapshot(); err != nil {
		return Artifact{}, err
	}
	return s.artifact(c, c.roots[root]), nil
}
