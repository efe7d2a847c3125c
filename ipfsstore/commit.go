package ipfsstore

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os/user"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"
)

// A commitSet is everything that makes a root part of the store.
type commitSet struct {
	root     cid.Cid
	nodes    *nodeSet
	name     string // of the file or folder
	tag      string // catalogue name; "" for none
	suggest  string // the one it gets if tag is "" and this is free; "" for none
	move     bool   // tag may point elsewhere
	origin   string // see Artifact
	named    bool   // by the caller: origin may be asked for what is lost
	selected []string
	single   bool
	complete bool
	lost     []string
	pin      bool
	replace  bool              // blobs that are not the store's own bytes are replaced by staged ones
	files    map[string]string // name -> CID
	dirs     []string
	staged   map[string]stagedFile // by CID; what is not here is in blobs already
	discard  func()                // removes what is still staged
}

// A stagedFile is a verified file that is not under its CID yet.
type stagedFile struct {
	path    string
	storage Storage
	stat    fileStat // when it was verified
}

// commit is place, with what it means to the caller.
func (s *Store) commit(ctx context.Context, set *commitSet) (Artifact, error) {
	a, err := s.place(ctx, set)
	return a, diskFull(err)
}

// place puts set into the store: blobs first, then the model's folder, last the
// record that makes it visible. Every step is durable before the next, so that
// a crash leaves at most rubbish for sweep.
func (s *Store) place(ctx context.Context, set *commitSet) (Artifact, error) {
	if err := s.syncStaged(set); err != nil {
		return Artifact{}, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Artifact{}, err
	}
	defer unlock()
	c, err := s.snapshot()
	if err != nil {
		return Artifact{}, err
	}
	s.sweep(c)
	if err := c.claim(set); err != nil {
		return Artifact{}, err
	}
	links := newLinker(s, c, set)
	if err := links.place(ctx); err != nil {
		return Artifact{}, fmt.Errorf("store model %s: %w", set.root, err)
	}
	set.discard() // now: removing a staged link changes its file's times
	touched := time.Now()
	var g errgroup.Group // the record is what comes after all of them
	g.Go(links.syncDirs)
	g.Go(func() error { return s.writeNodes(set) })
	if set.references() || !s.stamps() {
		g.Go(func() error { return settle(ctx, touched) })
	}
	if err := g.Wait(); err != nil {
		return Artifact{}, err
	}
	rec := s.newRecord(c, set, links)
	if err := s.writeRecord(set, rec, links); err != nil {
		return Artifact{}, err
	}
	if c, err = s.snapshot(); err != nil {
		return Artifact{}, err
	}
	return s.artifact(c, c.roots[rec.Root]), nil
}

// references reports whether files of set stay where they are, on whatever file
// system that is.
func (set *commitSet) references() bool {
	for _, f := range set.staged {
		if f.storage == Reference {
			return true
		}
	}
	return false
}

func (s *Store) syncStaged(set *commitSet) error {
	paths := make([]string, 0, len(set.staged))
	for _, f := range set.staged {
		if f.storage != Reference {
			paths = append(paths, f.path)
		}
	}
	return syncFiles(s.dir, paths)
}

func (s *Store) writeNodes(set *commitSet) error {
	return writeFile(s.path("nodes", rootKey(set.root)+".car"), func(w io.Writer) error { return set.nodes.encode(w, set.root) })
}

// writeRecord writes the metadata of a root whose files are all in place.
func (s *Store) writeRecord(set *commitSet, rec *rootRecord, links *linker) error {
	for _, other := range links.renewed() {
		if err := writeJSON(s.rootFile(other.Root), other); err != nil {
			return err
		}
	}
	if err := writeJSON(s.rootFile(rec.Root), rec); err != nil {
		return err
	}
	s.touch(rec.Root)
	if set.tag == "" {
		return nil
	}
	return s.writeName(set.tag, rec.Root)
}

func (s *Store) writeName(name, root string) error {
	return writeJSON(s.nameFile(name), nameRecord{name, root, time.Now().UTC(), userName()})
}

// claim chooses the name of set, which must be free, its own or one that may be
// moved.
func (c *catalog) claim(set *commitSet) error {
	root := rootKey(set.root)
	if set.tag == "" {
		if at := c.names[set.suggest]; at == "" || at == root {
			set.tag = set.suggest
		}
		return nil
	}
	return c.mayName(set.tag, root, set.move)
}

// mayName refuses a name of another root.
func (c *catalog) mayName(name, root string, move bool) error {
	if at := c.names[name]; at != "" && at != root && !move {
		return &NameTakenError{Name: name, Root: at}
	}
	return nil
}

// userName is who runs this program, as the system calls them.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// newRecord is the record of set's root, merged with the one it may have.
func (s *Store) newRecord(c *catalog, set *commitSet, links *linker) *rootRecord {
	rec := &rootRecord{
		Version: 1, Root: rootKey(set.root), Name: set.name, Single: set.single,
		Complete: set.complete, Lost: set.lost, Pinned: set.pin, Origin: set.origin, Named: set.named, Selected: set.selected, AddedAt: time.Now().UTC(), AddedBy: userName(), Files: links.records(),
	}
	s.finish(rec)
	rec.License, rec.Task = describe(rec.about)
	old := c.roots[rec.Root]
	if old == nil {
		return rec
	}
	rec.AddedAt, rec.AddedBy, rec.Pinned = old.AddedAt, old.AddedBy, old.Pinned || set.pin
	rec.Shared = old.Shared
	if !rec.Named && (old.Named || rec.Origin == "") {
		rec.Origin, rec.Named, rec.Selected = old.Origin, old.Named, old.Selected
	}
	rec.License, rec.Task = cmp.Or(rec.License, old.License), cmp.Or(rec.Task, old.Task)
	have := func(name string) bool { _, ok := set.files[name]; return ok }
	for _, f := range old.Files {
		if !have(f.Name) && !set.single {
			rec.Files = append(rec.Files, f)
		}
	}
	rec.Changed = slices.DeleteFunc(slices.Clone(old.Changed), have)
	return rec
}
