package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ipfs/go-cid"
)

// ExportFiles copies the files of a complete model to dir, which must not exist
// or be empty, and which appears only when it is whole. Copies share nothing
// with the store but, where the file system can do that, their blocks on disk.
// Symbolic links are links again, so that adding the folder gives the same CID.
// A root that is a single file becomes a folder with that file.
func (s *Store) ExportFiles(ctx context.Context, ref, dir string) error {
	a, err := s.Open(ctx, ref)
	if err != nil {
		return err
	}
	if err := a.Lacks(); err != nil {
		return fmt.Errorf("export %s: %w", ref, err)
	}
	if !a.Complete {
		return fmt.Errorf("export %s: some files of the model: %w", ref, ErrNotFound)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("export to %s: %w and not empty", dir, fs.ErrExist)
	}
	t, err := s.treeOf(ctx, a.Root)
	if err != nil {
		return err
	}
	if len(t.data) > 0 {
		return fmt.Errorf("export %s: %w: it has DAG-CBOR, which only a CAR can hold", ref, ErrInvalidDAG)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".export-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone by then if all is well
	if err := copyTree(ctx, a, t, tmp); err != nil {
		return fmt.Errorf("export %s: %w", ref, diskFull(err))
	}
	if err := os.Chmod(tmp, 0o755); err != nil { //nolint:gosec // as any folder that a user makes
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// treeOf reads the folders of a stored root.
func (s *Store) treeOf(ctx context.Context, root string) (*tree, error) {
	c, err := cid.Decode(root)
	if err != nil {
		return nil, err
	}
	nodes := newNodeSet()
	return readTree(ctx, nodes, c, func(ctx context.Context, want []cid.Cid) error {
		for _, c := range want {
			block, err := s.All().Block(ctx, c)
			if err != nil {
				return err
			}
			if err := nodes.put(c, slices.Clone(block)); err != nil {
				return err
			}
		}
		return nil
	})
}

func copyTree(ctx context.Context, a Artifact, t *tree, to string) error {
	for _, d := range sortedKeys(t.dirs) {
		if err := os.MkdirAll(filepath.Join(to, filepath.FromSlash(d)), 0o755); err != nil {
			return err
		}
	}
	for _, f := range a.Files {
		if _, own := t.files[f.Name]; !own && t.files[""] == nil {
			continue // it is there by way of a link
		}
		dst := filepath.Join(to, filepath.FromSlash(f.Name))
		if err := copyOut(ctx, f, dst); err != nil {
			return err
		}
	}
	for name, target := range t.links {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(to, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
}

// copyOut copies one file, which looks the same before and after.
func copyOut(ctx context.Context, f File, dst string) error {
	before, err := lstat(f.Path)
	if err != nil {
		return err
	}
	if reflink(f.Path, dst) != nil {
		if err := copyFile(ctx, f.Path, dst); err != nil {
			return err
		}
	}
	if err := os.Chmod(dst, 0o644); err != nil { //nolint:gosec // as any file that a user makes
		return err
	}
	if after, err := lstat(f.Path); err != nil || after != before || after.Size != f.Bytes {
		return fmt.Errorf("file %q: %w", f.Name, ErrModelChanged)
	}
	return syncFile(dst)
}
