package ipfsstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ipfs/go-cid"
)

// A CAR may lack blocks. What it has is kept: whole files as files, the rest of
// their leaves in the sparse files that an interrupted fetch would leave in
// parts/ROOT, so that the next fetch goes on there. The record says what is lost.

// isAbsent reports whether a block can't be had, as far as that is known.
func (s *nodeSet) isAbsent(c cid.Cid) bool {
	_, sha := digestOf(c)
	return s.absent != nil && sha && s.absent(c)
}

// has reports whether a block is in the set.
func (s *nodeSet) has(c cid.Cid) bool {
	if _, sha := digestOf(c); !sha {
		return true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, held := s.data[c]
	_, large := s.large[c]
	return held || large
}

// lose notes that something of a file or folder is absent.
func (t *tree) lose(name string) {
	if name == "" {
		name = "." // something of the root itself
	}
	if !slices.Contains(t.lost, name) {
		t.lost = append(t.lost, name)
	}
}

// setAside takes the files out of names that are not whole, and notes that.
func (p *parts) setAside(t *tree, names map[string]*blob) {
	for _, name := range sortedKeys(names) {
		if b := names[name]; p.torn[b.cid] {
			delete(names, name)
			t.lose(name)
		}
	}
}

// lostOf is what a root lacks after a commit of files, of which old may have
// known already.
func (t *tree) lostOf(files map[string]string, old *rootRecord) []string {
	lost := slices.Clone(t.lost)
	if old != nil {
		for _, name := range old.Lost {
			if !slices.Contains(lost, name) {
				lost = append(lost, name)
			}
		}
	}
	lost = slices.DeleteFunc(lost, func(name string) bool { _, ok := files[name]; return ok })
	slices.Sort(lost)
	return lost
}

// Lacks returns an [ErrIncomplete] that says what is lost of the model; nil if
// nothing is.
func (a Artifact) Lacks() error {
	const some = 8
	if len(a.Lost) == 0 {
		return nil
	}
	names := strings.Join(a.Lost[:min(some, len(a.Lost))], ", ")
	if more := len(a.Lost) - some; more > 0 {
		names = fmt.Sprintf("%s and %d more", names, more)
	}
	return fmt.Errorf("model %s: %w: the CAR it came in lacked blocks of %s", a.Name, ErrIncomplete, names)
}

// lostBelow are those of a root's losses that a folder of it has.
func lostBelow(lost []string, folder string) []string {
	var out []string
	for _, name := range lost {
		if rest, ok := strings.CutPrefix(name, folder+"/"); ok {
			out = append(out, rest)
		} else if name == folder || name == "." || strings.HasPrefix(folder, name+"/") {
			out = append(out, ".")
		}
	}
	return out
}

// mayBeShared reports whether other machines may have the root's blocks: they
// never get a model that is not whole because its CAR was not.
func (r *rootRecord) mayBeShared() bool { return r.Shared && len(r.Lost) == 0 }

// indexParts enters the leaves that lie in sparse files.
func (s *Store) indexParts(ctx context.Context, rec *rootRecord, nodes *nodeSet, where map[string]blockPlace) error {
	if len(rec.Lost) == 0 {
		return nil
	}
	entries, err := os.ReadDir(s.path("parts", rec.Root))
	if err != nil {
		return nil //nolint:nilerr // nothing came of any file that is lost
	}
	nodes.absent = func(cid.Cid) bool { return true } // that are not among the nodes
	for _, e := range entries {
		c, err := cid.Decode(e.Name())
		if err != nil {
			continue
		}
		p := s.path("parts", rec.Root, e.Name())
		chunks, err := writtenChunks(ctx, p, c, nodes)
		if err != nil {
			return err
		}
		nodes.parts = append(nodes.parts, p)
		for _, ch := range chunks {
			where[string(ch.cid.Hash())] = blockPlace{
				rec: rec, nodes: nodes, leaf: true, wrapped: ch.cid.Type() != cid.Raw,
				file: int32(-len(nodes.parts)), size: int32(ch.size), off: ch.off,
			}
		}
	}
	return nil
}

// writtenChunks are the chunks of a sparse file that were written to.
func writtenChunks(ctx context.Context, p string, c cid.Cid, nodes *nodeSet) ([]chunk, error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, nil // it became a file, or was removed
	}
	defer f.Close()
	st, err := fstat(f)
	if err != nil {
		return nil, err
	}
	b := &blob{cid: c, size: st.Size}
	if err := expand(ctx, nodes, []*blob{b}, nil); err != nil {
		return nil, err
	}
	ranges := dataRanges(f, st.Size)
	return slices.DeleteFunc(b.chunks, func(ch chunk) bool { return !overlaps(ranges, ch) }), nil
}

// torn reads a leaf of a sparse file, which is only what its hash says it is.
func (s *Store) torn(c cid.Cid, p blockPlace, data []byte) ([]byte, bool) {
	f, err := os.Open(filepath.Clean(p.nodes.parts[-1-p.file]))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	if _, err := f.ReadAt(data, p.off); err != nil {
		return nil, false
	}
	if p.wrapped {
		return rewrap(c, data)
	}
	return data, blockMatches(c, data)
}
