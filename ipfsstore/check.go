package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Open returns a model that is in the store, after looking whether its files
// are still what they were: one stat each. A file that looks different is
// hashed again; if its bytes are wrong the error is a [ModelChangedError]. A
// model of which only some files were fetched is returned as it is. ref may have
// a path, to a folder or a file of the model.
//
// Its errors are [ErrNotFound], [ErrModelChanged] and those of [ParseRef].
func (s *Store) Open(ctx context.Context, ref string) (Artifact, error) {
	r, err := ParseRef(ref)
	if err != nil {
		return Artifact{}, err
	}
	c, rec, err := s.lookup(r)
	if err != nil {
		return Artifact{}, err
	}
	if !rec.intact() {
		if err := s.recheck(ctx, rec.Root); err != nil {
			return Artifact{}, err
		}
		if c, rec, err = s.lookup(r); err != nil {
			return Artifact{}, err
		}
	}
	s.touch(rec.Root)
	return s.below(ctx, s.artifact(c, rec), rec, r.Path)
}

// lookup finds the record of the root that r means.
func (s *Store) lookup(r Ref) (*catalog, *rootRecord, error) {
	c, err := s.snapshot()
	if err != nil {
		return nil, nil, err
	}
	root := c.names[r.Name]
	if r.CID.Defined() {
		root = rootKey(r.CID)
	}
	rec := c.roots[root]
	if rec == nil {
		return nil, nil, fmt.Errorf("model %s: %w", r, ErrNotFound)
	}
	return c, rec, nil
}

// intact reports whether every file looks as it did when it was verified.
func (r *rootRecord) intact() bool {
	for i, f := range r.Files {
		if st, err := lstat(r.paths[i]); err != nil || st != f.Stat {
			return false
		}
	}
	return len(r.Changed) == 0
}

// recheck hashes the files of a root that look different. Those with the right
// bytes get their record renewed; the others are detached.
func (s *Store) recheck(ctx context.Context, root string) error {
	unlock, err := s.lockRoot(ctx, root)
	if err != nil {
		return err
	}
	defer unlock()
	return s.recheckLocked(ctx, root, inspection{})
}

// An inspection says what of files that look as they should is hashed all the
// same.
type inspection struct {
	part  float64 // of each file's leaves: 0 none, 1 all, between them a random choice
	meter *meter  // nil: nobody asks
}

// A finding is what a check has found of a root's files.
type finding struct {
	mu      sync.Mutex          // guards all below
	renewed map[string]fileStat // files that look different and are right
	wrong   []string
}

// recheckLocked is recheck for the holder of the root's lock.
func (s *Store) recheckLocked(ctx context.Context, root string, in inspection) error {
	c, err := s.snapshot()
	if err != nil {
		return err
	}
	rec := c.roots[root]
	if rec == nil {
		return fmt.Errorf("model %s: %w", root, ErrNotFound)
	}
	nodes, err := loadNodes(s.path("nodes", root+".car"))
	if err != nil {
		return err
	}
	found := &finding{renewed: make(map[string]fileStat)}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * hashers())
	for i := range rec.Files {
		g.Go(func() error { return s.examine(gctx, rec, i, nodes, in, found) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	slices.Sort(found.wrong)
	if err := s.renew(ctx, root, found.renewed, found.wrong); err != nil {
		return err
	}
	if wrong := append(found.wrong, rec.Changed...); len(wrong) > 0 {
		return &ModelChangedError{Root: root, File: wrong[0]}
	}
	return nil
}

// examine looks at one file of a root, and hashes it if need be.
func (s *Store) examine(ctx context.Context, rec *rootRecord, i int, nodes *nodeSet, in inspection, found *finding) error {
	f, p := rec.Files[i], rec.paths[i]
	st, err := lstat(p)
	same := err == nil && st == f.Stat
	switch {
	case same && in.part == 0:
		return nil
	case !same:
		in.part = 1
	}
	st, ok, err := s.hashesRight(ctx, p, f.CID, nodes, in)
	if err != nil {
		return fmt.Errorf("check file %q of model %s: %w", f.Name, rec.Root, err)
	}
	found.mu.Lock()
	defer found.mu.Unlock()
	if !ok {
		found.wrong = append(found.wrong, f.Name)
	} else if in.part == 1 {
		found.renewed[f.Name] = st
	}
	return nil
}

// hashesRight reports whether the file at p is the blob it should be, and how it
// looked before it was read.
func (s *Store) hashesRight(ctx context.Context, p, fileCID string, nodes *nodeSet, in inspection) (fileStat, bool, error) {
	st, err := lstat(p)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.irregular {
		return st, false, nil
	}
	if err != nil {
		return st, false, err
	}
	ok, err := s.hashBlob(ctx, p, fileCID, st.Size, nodes, in)
	return st, ok, err
}

// renew writes what a check has found: new looks of right files, and that wrong
// files are gone.
func (s *Store) renew(ctx context.Context, root string, renewed map[string]fileStat, wrong []string) error {
	if len(renewed) == 0 && len(wrong) == 0 {
		return nil
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	old := new(rootRecord)
	if err := readJSON(s.rootFile(root), old); err != nil {
		return notExistIsNotFound(err)
	}
	rec := old.clone()
	for i := range rec.Files {
		if st, ok := renewed[rec.Files[i].Name]; ok {
			rec.Files[i].Stat = st
		}
	}
	for _, name := range wrong {
		s.log.Warn("stored file has changed, leave it out", "root", root, "file", name)
		if err := s.detach(rec, name); err != nil {
			return err
		}
	}
	return writeJSON(s.rootFile(root), rec)
}

// detach takes a file whose bytes are wrong out of the model and the store. The
// user's own name for the file stays as it is.
func (s *Store) detach(rec *rootRecord, name string) error {
	i := slices.IndexFunc(rec.Files, func(f fileRecord) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	view, blob := s.viewPath(rec.Root, name), s.path("blobs", rec.Files[i].CID)
	vst, verr := lstat(view) // of a reference, this is a link and no blob
	if bst, err := lstat(blob); err == nil && verr == nil && bst == vst {
		if err := removeFile(blob); err != nil {
			return err
		}
	}
	rec.Files = slices.Delete(rec.Files, i, i+1)
	rec.Changed = append(rec.Changed, name)
	rec.Complete = false
	return removeFile(view)
}

// removeFile is os.Remove for what may be gone already.
func removeFile(p string) error {
	if err := os.Remove(p); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func notExistIsNotFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// below narrows a to the folder or file at p within it.
func (s *Store) below(ctx context.Context, a Artifact, rec *rootRecord, p string) (Artifact, error) {
	if p == "" {
		return a, nil
	}
	r, err := ParseRef(a.Root)
	if err != nil {
		return Artifact{}, err
	}
	nodes, err := loadNodes(s.path("nodes", a.Root+".car"))
	if err != nil {
		return Artifact{}, err
	}
	trail, err := resolve(ctx, nodes, r.CID, p, nil, nil)
	if err != nil {
		return Artifact{}, err
	}
	a.Root, a.Name, a.Names = rootKey(trail[len(trail)-1]), path.Base(p), nil
	if f, ok := rec.file(p); ok {
		a.Dir, a.Bytes = s.viewPath(rec.Root, path.Dir(p)), f.Stat.Size
		i := slices.IndexFunc(a.Files, func(g File) bool { return g.Name == p })
		a.Files, a.Complete, a.Lost = a.Files[i:i+1], true, nil
		a.Files[0].Name = path.Base(p)
		return a, nil
	}
	a.Dir = s.viewPath(rec.Root, p)
	files := a.Files
	a.Files, a.Bytes, a.Lost = nil, 0, lostBelow(a.Lost, p)
	for _, f := range files {
		if rest, ok := strings.CutPrefix(f.Name, p+"/"); ok {
			f.Name = rest
			a.Files = append(a.Files, f)
			a.Bytes += f.Bytes
		}
	}
	if len(a.Files) == 0 {
		return Artifact{}, fmt.Errorf("%s in model %s: %w", p, rec.Root, ErrNotFound)
	}
	return a, nil
}
