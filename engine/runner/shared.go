package runner

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// errLink is why a folder is not all in one place.
var errLink = errors.New("a link")

// Within reports whether a folder lies in one of others with all that is in
// it: there is no link in it, which may lead elsewhere.
func Within(dir string, folders []string) bool {
	in := func(folder string) bool {
		rel, err := filepath.Rel(folder, dir)
		return err == nil && filepath.IsLocal(rel)
	}
	return slices.ContainsFunc(folders, in) && filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&fs.ModeSymlink != 0 {
			err = errLink
		}
		return err
	}) == nil
}

// household is the name of the child that a model shares with others on its
// device, "" if it gets one of its own: a child that gave up all files but
// those of the options can't read others, nor write a profile.
func (p *Provider) household(m *engine.Model, plan engine.Plan) string {
	if plan.Profile != "" || !Within(m.Dir, p.options.Shared) {
		return ""
	}
	return "of " + plan.Device.ID
}

// makeShared makes the folders that children share, for what is not there can't
// be kept when a child gives up the rest.
func (p *Provider) makeShared() error {
	for _, dir := range p.options.Shared {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return engine.Errorf(engine.ErrInternal, "make a folder for models: %w", errors.Unwrap(err)) // without its path
		}
	}
	return nil
}

// member returns the child of a household, and notes one more user of it; nil
// if there is none that lives.
func (p *Provider) member(household string) *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.shared[household]
	if c == nil || !c.alive() {
		return nil
	}
	c.users++
	return c
}

// move gives a child its first user, and others the way to it.
func (p *Provider) move(c *child, household string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.users = 1
	if household != "" {
		p.shared[household] = c
	}
}

// leave notes that a session has no use for a child any more, and reports
// whether it was the last, who then stops the child.
func (p *Provider) leave(c *child, s *session) (last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(c.held, s)
	if c.users--; c.users > 0 {
		return false
	}
	p.dissolve(c)
	return true
}

// dissolve has nobody move in with a child any more; p.mu is held.
func (p *Provider) dissolve(c *child) {
	maps.DeleteFunc(p.shared, func(_ string, other *child) bool { return other == c })
}

// share is what of the memory that a child holds is a session's: all that the
// others were not seen to take. What frees no memory when it is closed, such
// as a driver's, counts for the first.
func (c *child) share(s *session, held int64) int64 {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for other, bytes := range c.held {
		if other != s {
			held -= bytes
		}
	}
	c.held[s] = max(held, 0)
	return c.held[s]
}
