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
	Models []ModelUsage
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
	for _, p := range m.parts {
		out.Parts += p.bytes
	}
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

// A partUse is what the files of an unfinished fetch take.
type partUse struct {
	bytes int64
	used  time.Time
}

// A measurement is what is on disk at one moment.
type measurement struct {
	blobs map[string]*blobUse
	files map[string][]string // root -> CIDs of its files, each once
	parts map[string]partUse  // by root
}

func (s *Store) measure(c *catalog) *measurement {
	m := &measurement{blobs: make(map[string]*blobUse), files: make(map[string][]string), parts: s.measureParts()}
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
	return m
}

// owned is what removing everything would free.
func (m *measurement) owned() int64 {
	var n int64
	for _, b := range m.blobs {
		if b.own {
			n += b.disk
		}
	}
	for _, p := range m.parts {
		n += p.bytes
	}
	return n
}

func (s *Store) measureParts() map[string]partUse {
	out := make(map[string]partUse)
	entries, err := os.ReadDir(s.path("parts"))
	if err != nil {
		return out
	}
	for _, e := range entries {
		var p partUse
		_ = filepath.WalkDir(s.path("parts", e.Name()), func(name string, d fs.DirEntry, err error) error {
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
