package ipfsstore

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Usage says what a store takes on disk, in bytes.
type Usage struct {
	Owned  int64 // what removing everything would free
	Shared int64 // stored files that are the user's own too, by link or reference
	Parts  int64 // of Owned: fetches that have not finished
	// Derived are, of Owned, what was made of models; see [Options].
	Derived int64
	Models  []ModelUsage
}

// A ModelUsage is one model's part of it.
type ModelUsage struct {
	Root   string
	Name   string // see [Artifact]
	Bytes  int64  // of its files, twins counted once
	Owned  int64  // what removing it alone would free
	Shared int64  // the rest: shared with other models, or with the user's own files
	Pinned bool
	UsedAt time.Time
}

// Usage measures the store: several stats for each file in it.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	c, err := s.snapshot()
	if err != nil {
		return Usage{}, err
	}
	m := s.measure(c)
	out := Usage{Owned: m.owned(), Models: []ModelUsage{}}
	out.Parts, out.Derived = sum(m.parts), sum(m.derived)
	for _, b := range m.blobs {
		if !b.own {
			out.Shared += b.size
		}
	}
	for root, rec := range c.roots {
		a := s.artifact(c, rec)
		u := ModelUsage{Root: root, Name: a.Name, Pinned: a.Pinned, UsedAt: a.UsedAt}
		for _, key := range m.files[root] {
			b := m.blobs[key]
			u.Bytes += b.size
			if b.own && len(b.users) == 1 {
				u.Owned += b.disk
			}
		}
		u.Shared = max(0, u.Bytes-u.Owned)
		u.Owned += m.nodes[root] + m.derived[root].bytes
		out.Models = append(out.Models, u)
	}
	slices.SortFunc(out.Models, func(a, b ModelUsage) int { return strings.Compare(a.Name+"\x00"+a.Root, b.Name+"\x00"+b.Root) })
	return out, ctx.Err()
}

// A blobUse is what one stored file takes.
type blobUse struct {
	size  int64
	disk  int64 // what it takes on disk; holes take nothing
	own   bool  // the store's names are all that it has
	users map[string]bool
}

// A folderUse is what the files of a folder take: of an unfinished fetch, or of what
// was made of a model.
type folderUse struct {
	bytes int64
	used  time.Time
}

// A measurement is what is on disk at one moment.
type measurement struct {
	blobs map[string]*blobUse
	files map[string][]string // root -> CIDs of its files, each once
	nodes map[string]int64    // by root: see nodesUse

	parts, derived map[string]folderUse // by root
}

func (s *Store) measure(c *catalog) *measurement {
	m := &measurement{
		blobs: make(map[string]*blobUse), files: make(map[string][]string), nodes: make(map[string]int64),
		parts: measureFolders(s.path("parts")), derived: measureFolders(s.derived),
	}
	views := make(map[string]uint64) // by CID: names that the store has for the file
	for root, rec := range c.roots {
		for i, f := range rec.Files {
			b := m.blobs[f.CID]
			if b == nil {
				b = &blobUse{size: f.Stat.Size, users: make(map[string]bool)}
				m.blobs[f.CID] = b
			}
			if !b.users[root] {
				b.users[root] = true
				m.files[root] = append(m.files[root], f.CID)
			}
			if f.Storage == Reference {
				continue
			}
			if st, err := lstat(rec.paths[i]); err == nil && st.Ino == f.Stat.Ino {
				views[f.CID]++
			}
			b.own = b.own || f.Storage == Copy || f.Storage == HardLink && countsLinks
		}
	}
	for key, b := range m.blobs {
		links, disk, err := diskUse(s.path("blobs", key))
		b.disk = disk
		b.own = b.own && err == nil && links <= views[key]+1
	}
	for root := range c.roots {
		m.nodes[root] = s.nodesUse(root, m)
	}
	return m
}

// Nodes of files are a ten-thousandth of them, and not counted: a model of which the
// files are the user's own is to be nothing that room can be made with. Documents
// and what is below them are nodes too, and can be anything.
const (
	minNodes  = 64 << 10 // bytes that count
	nodesPart = 1000     // of the bytes of files, that nodes of files have not
)

// nodesUse is what the nodes of a root take, if that counts.
func (s *Store) nodesUse(root string, m *measurement) int64 {
	var files int64
	for _, key := range m.files[root] {
		files += m.blobs[key].size
	}
	_, disk, err := diskUse(s.path("nodes", root+".car"))
	if err != nil || disk < minNodes || disk < files/nodesPart {
		return 0
	}
	return disk
}

func sum(folders map[string]folderUse) (n int64) {
	for _, f := range folders {
		n += f.bytes
	}
	return n
}

// owned is what removing everything would free.
func (m *measurement) owned() int64 {
	var n int64
	for _, b := range m.blobs {
		if b.own {
			n += b.disk
		}
	}
	for _, bytes := range m.nodes {
		n += bytes
	}
	return n + sum(m.parts) + sum(m.derived)
}

// measureFolders measures what is in each folder within dir, if there is one.
func measureFolders(dir string) map[string]folderUse {
	out := make(map[string]folderUse)
	if dir == "" {
		return out
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return out
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // it is being made
			continue
		}
		var p folderUse
		_ = filepath.WalkDir(filepath.Join(dir, e.Name()), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // it is being finished
			}
			if fi, err := d.Info(); err == nil && fi.ModTime().After(p.used) {
				p.used = fi.ModTime()
			}
			if _, disk, err := diskUse(name); err == nil && d.Type().IsRegular() {
				p.bytes += disk
			}
			return nil
		})
		out[e.Name()] = p
	}
	return out
}
