package ipfsstore

import (
	"os"
	"strings"
)

// sweep removes what crashed processes have left. The caller holds the store's
// lock, and c is the catalog under it.
func (s *Store) sweep(c *catalog) {
	used := make(map[string]bool)
	for key := range c.blobStats() {
		used[key] = true
	}
	s.sweepFolder("blobs", func(name string) bool { return used[name] })
	s.sweepFolder("tmp", s.stagingInUse)
	s.sweepFolder("models", func(name string) bool { return c.roots[name] != nil })
	s.sweepFolder("nodes", func(name string) bool { return c.roots[strings.TrimSuffix(name, ".car")] != nil })
}

func (s *Store) sweepFolder(folder string, keep func(name string) bool) {
	entries, err := os.ReadDir(s.path(folder))
	if err != nil {
		s.log.Warn("look for leftovers", "folder", folder, "error", err)
		return
	}
	for _, e := range entries {
		if keep(e.Name()) {
			continue
		}
		s.log.Info("remove leftover", "folder", folder, "name", e.Name())
		if err := os.RemoveAll(s.path(folder, e.Name())); err != nil {
			s.log.Warn("remove leftover", "folder", folder, "name", e.Name(), "error", err)
		}
	}
}

func (s *Store) stagingInUse(name string) bool {
	unlock, err := tryAcquire(s.path("tmp", name, "lock"))
	if err != nil {
		return true
	}
	unlock()
	return false
}
