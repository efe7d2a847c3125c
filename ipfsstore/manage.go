package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// List returns all models of the store, sorted by name, without looking at their
// files.
func (s *Store) List(ctx context.Context) ([]Artifact, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := s.snapshot()
	if err != nil {
		return nil, err
	}
	out := make([]Artifact, 0, len(c.roots))
	for _, r := range c.roots {
		out = append(out, s.artifact(c, r))
	}
	slices.SortFunc(out, func(a, b Artifact) int {
		return strings.Compare(a.Name+"\x00"+a.Root, b.Name+"\x00"+b.Root)
	})
	return out, nil
}

// Info returns a model as its record describes it, without looking at its files.
func (s *Store) Info(ctx context.Context, ref string) (Artifact, error) {
	if err := ctx.Err(); err != nil {
		return Artifact{}, err
	}
	r, err := ParseRef(ref)
	if err != nil {
		return Artifact{}, err
	}
	if r.Path != "" {
		return Artifact{}, fmt.Errorf("%w %q: only a whole model has a record", ErrInvalidRef, ref)
	}
	c, rec, err := s.lookup(r)
	if err != nil {
		return Artifact{}, err
	}
	return s.artifact(c, rec), nil
}

// Remove removes a model. By a name of a model that has several, it removes that
// name only. Files that other models share stay, and so do the user's own. A
// pinned model is [ErrPinned] without force, and one that a program has open
// (see [Store.Lease]) is [ErrInUse].
func (s *Store) Remove(ctx context.Context, ref string, force bool) error {
	r, err := ParseRef(ref)
	if err != nil {
		return err
	}
	if r.Path != "" {
		return fmt.Errorf("%w %q: only a whole model can be removed", ErrInvalidRef, ref)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	c, rec, err := s.lookup(r)
	if err != nil {
		return err
	}
	if r.Name != "" && len(c.tags[rec.Root]) > 1 {
		return removeFile(s.nameFile(r.Name))
	}
	if rec.Pinned && !force {
		return fmt.Errorf("remove %s: %w", ref, ErrPinned)
	}
	if !force {
		release, err := tryAcquire(s.leaseFile(rec.Root))
		if errors.Is(err, errLocked) {
			return fmt.Errorf("remove %s: %w", ref, ErrInUse)
		}
		if err != nil {
			return err
		}
		defer release()
	}
	if err := s.removeRoot(c, rec); err != nil {
		return err
	}
	return s.dropParts(rec.Root)
}

// dropParts removes what an unfinished fetch has left of a root. One that is in
// progress goes on.
func (s *Store) dropParts(root string) error {
	unlock, err := tryAcquire(s.path("locks", root))
	if errors.Is(err, errLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	return os.RemoveAll(s.path("parts", root))
}

// dropDerived removes what was made of a model.
func (s *Store) dropDerived(root string) error {
	if s.derived == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(s.derived, root))
}

// removeRoot takes a root out, but for what is left of a fetch: first what makes it visible, then its files. What
// a crash leaves of them is rubbish for sweep and for the next Add or Fetch.
func (s *Store) removeRoot(c *catalog, rec *rootRecord) error {
	for _, name := range c.tags[rec.Root] {
		if err := removeFile(s.nameFile(name)); err != nil {
			return err
		}
	}
	if err := removeFile(s.rootFile(rec.Root)); err != nil {
		return err
	}
	s.touched.Delete(rec.Root)
	before := c.sharedWith(rec)
	err := errors.Join(
		syncDir(s.path("roots")), syncDir(s.path("names")),
		os.RemoveAll(s.viewPath(rec.Root, "")),
		removeFile(s.path("nodes", rec.Root+".car")), removeFile(s.path("used", rec.Root)),
		s.dropDerived(rec.Root),
	)
	return errors.Join(err, s.dropBlobs(rec), s.relook(c, before))
}

// sharedWith finds the files that other roots have in common with rec and that
// look as recorded: root -> indexes of its files.
func (c *catalog) sharedWith(rec *rootRecord) map[string][]int {
	mine := make(map[string]bool)
	for _, f := range rec.Files {
		mine[f.CID] = true
	}
	out := make(map[string][]int)
	for _, r := range c.roots {
		for i, f := range r.Files {
			if r == rec || !mine[f.CID] {
				continue
			}
			if st, err := lstat(r.paths[i]); err == nil && st == f.Stat {
				out[r.Root] = append(out[r.Root], i)
			}
		}
	}
	return out
}

func (s *Store) dropBlobs(rec *rootRecord) error {
	c, err := s.snapshot()
	if err != nil {
		return err
	}
	used := c.blobStats()
	var errs []error
	for _, f := range rec.Files {
		if _, ok := used[f.CID]; !ok {
			errs = append(errs, removeFile(s.path("blobs", f.CID)))
		}
	}
	return errors.Join(errs...)
}

// relook records the change times of files that have lost a link.
func (s *Store) relook(c *catalog, shared map[string][]int) error {
	for root, files := range shared {
		rec := c.roots[root].clone()
		for _, i := range files {
			now, err := lstat(rec.paths[i])
			if err == nil && now.sameContent(rec.Files[i].Stat) {
				rec.Files[i].Stat = now
			}
		}
		if err := writeJSON(s.rootFile(root), rec); err != nil {
			return err
		}
	}
	return nil
}

// Pin marks a model, or takes the mark away: see [Artifact].
func (s *Store) Pin(ctx context.Context, ref string, pin bool) (Artifact, error) {
	r, err := ParseRef(ref)
	if err != nil {
		return Artifact{}, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Artifact{}, err
	}
	defer unlock()
	_, rec, err := s.lookup(r)
	if err != nil {
		return Artifact{}, err
	}
	if rec.Pinned != pin {
		if err := s.writePin(rec, pin); err != nil {
			return Artifact{}, err
		}
	}
	c, rec, err := s.lookup(r)
	if err != nil {
		return Artifact{}, err
	}
	return s.artifact(c, rec), nil
}

func (s *Store) writePin(rec *rootRecord, pin bool) error {
	c := rec.clone()
	c.Pinned = pin
	return diskFull(writeJSON(s.rootFile(rec.Root), c))
}
