package ipfsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
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
	if err := errors.Join(links.syncDirs(), s.writeNodes(set)); err != nil {
		return Artifact{}, err
	}
	if err := settle(ctx, touched); err != nil {
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
	nodes, err := set.nodes.encode(set.root)
	if err != nil {
		return err
	}
	return writeFile(s.path("nodes", rootKey(set.root)+".car"), nodes)
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
		Complete: set.complete, Pinned: set.pin, Origin: set.origin, Named: set.named, Selected: set.selected, AddedAt: time.Now().UTC(), AddedBy: userName(), Files: links.records(),
	}
	s.finish(rec)
	rec.License, rec.Task = describe(rec)
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

// A linker moves staged files to their CIDs and links them into a model's
// folder, keeping account of what that does to the files' change times.
type linker struct {
	store *Store
	set   *commitSet
	root  string
	stats map[string]fileRecord   // by CID: the file as it was last verified
	ours  map[string]bool         // by CID: the blob looked as it should before it was touched
	users map[string][]fileRecord // by CID: what other roots' records say
	cat   *catalog
	dirs  map[string]bool // folders with new entries
}

func newLinker(s *Store, c *catalog, set *commitSet) *linker {
	l := &linker{
		store: s, set: set, root: rootKey(set.root), cat: c,
		stats: make(map[string]fileRecord), ours: make(map[string]bool),
		users: make(map[string][]fileRecord), dirs: make(map[string]bool),
	}
	for _, r := range c.roots {
		for _, f := range r.Files {
			l.users[f.CID] = append(l.users[f.CID], f)
		}
	}
	return l
}

func (l *linker) place(ctx context.Context) error {
	for _, fileCID := range l.set.files {
		if _, done := l.stats[fileCID]; !done {
			if err := l.placeBlob(fileCID); err != nil {
				return err
			}
		}
	}
	for _, d := range l.set.dirs {
		if err := os.MkdirAll(l.store.viewPath(l.root, d), 0o700); err != nil {
			return err
		}
	}
	if err := l.rename(); err != nil {
		return err
	}
	for name, fileCID := range l.set.files {
		if err := l.link(ctx, name, fileCID); err != nil {
			return err
		}
	}
	return nil
}

// rename takes the file of a root that is a single file away from the name it
// had before, if it gets another.
func (l *linker) rename() error {
	old := l.cat.roots[l.root]
	if old == nil || !l.set.single {
		return nil
	}
	for i, f := range old.Files {
		if _, same := l.set.files[f.Name]; same {
			continue
		}
		if err := removeFile(old.paths[i]); err != nil {
			return err
		}
	}
	return nil
}

// errVanished says that a file of the store that was to be shared is not what it
// was a moment ago, or not there any more.
var errVanished = fmt.Errorf("%w while it was shared", ErrModelChanged)

// placeBlob makes sure that blobs/CID is the file, and notes how it looks.
func (l *linker) placeBlob(fileCID string) error {
	blob := l.store.path("blobs", fileCID)
	now, err := lstat(blob)
	if err == nil {
		if known, ok := l.recorded(fileCID, now); ok && (!l.set.replace || known.Storage == Copy) {
			l.stats[fileCID], l.ours[fileCID] = known, true
			return nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	st, ok := l.set.staged[fileCID]
	if ref, known := l.reference(fileCID); known && !ok {
		l.stats[fileCID] = ref
		return nil
	}
	if !ok {
		return fmt.Errorf("file %s: %w", fileCID, errVanished)
	}
	before, err := lstat(st.path)
	if err != nil {
		return err
	}
	if !before.sameContent(st.stat) {
		return fmt.Errorf("file %s: %w", fileCID, ErrChangedDuringImport)
	}
	l.stats[fileCID] = fileRecord{CID: fileCID, Storage: st.storage, Stat: st.stat}
	if st.storage == Reference {
		l.stats[fileCID] = fileRecord{CID: fileCID, Storage: Reference, Path: st.path, Stat: st.stat}
		return nil
	}
	l.ours[fileCID] = before == st.stat
	l.dirs[l.store.path("blobs")] = true
	return os.Rename(st.path, blob)
}

// recorded returns the record of a stored file that looks like now.
func (l *linker) recorded(fileCID string, now fileStat) (fileRecord, bool) {
	for _, f := range l.users[fileCID] {
		if f.Stat == now {
			return f, true
		}
	}
	return fileRecord{}, false
}

// reference returns the record of a file that is stored where the user has it,
// and that looks as recorded.
func (l *linker) reference(fileCID string) (fileRecord, bool) {
	for _, f := range l.users[fileCID] {
		if f.Storage != Reference {
			continue
		}
		if now, err := lstat(f.Path); err == nil && now == f.Stat {
			return f, true
		}
	}
	return fileRecord{}, false
}

// link makes the name in the model's folder a hard link to the blob, or a
// symbolic one to the user's file.
func (l *linker) link(ctx context.Context, name, fileCID string) error {
	if f := l.stats[fileCID]; f.Storage == Reference {
		return l.point(name, f.Path)
	}
	blob, view := l.store.path("blobs", fileCID), l.store.viewPath(l.root, name)
	b, err := lstat(blob)
	if err != nil {
		return err
	}
	if v, err := lstat(view); err == nil && v == b && b.Ino != 0 {
		return nil
	}
	if err := l.clear(view); err != nil {
		return err
	}
	if _, err := linkOrClone(blob, view); err == nil {
		return nil
	}
	return copyFile(ctx, blob, view) // the last resort: a file system without links
}

// point makes the name in the model's folder a symbolic link.
func (l *linker) point(name, target string) error {
	view := l.store.viewPath(l.root, name)
	if to, err := os.Readlink(view); err == nil && to == target {
		return nil
	}
	if err := l.clear(view); err != nil {
		return err
	}
	return os.Symlink(target, view)
}

// clear makes room for a name in the model's folder.
func (l *linker) clear(view string) error {
	dir := filepath.Dir(view)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	l.dirs[dir] = true
	return removeFile(view)
}

func (l *linker) syncDirs() error {
	dirs := make([]string, 0, len(l.dirs))
	for d := range l.dirs {
		dirs = append(dirs, d, filepath.Dir(d))
	}
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	if len(dirs) >= manyFiles {
		if err := syncAll(l.store.dir); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	for _, d := range dirs {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// records are the records of the model's files. Linking has changed the files'
// change times: the new ones are taken over where nothing else had changed.
func (l *linker) records() []fileRecord {
	out := make([]fileRecord, 0, len(l.set.files))
	for name, fileCID := range l.set.files {
		f := l.stats[fileCID]
		f.Name = name
		if now, err := lstat(l.store.viewPath(l.root, name)); err == nil && l.ours[fileCID] && (now.sameContent(f.Stat) || now.Ino != f.Stat.Ino) {
			f.Stat = now
		}
		out = append(out, f)
	}
	return out
}

// renewed are the records of other roots whose files got another link.
func (l *linker) renewed() []*rootRecord {
	var out []*rootRecord
	for _, r := range l.cat.roots {
		if r.Root == l.root {
			continue
		}
		var c *rootRecord
		for i, f := range r.Files {
			known, ok := l.stats[f.CID]
			if !ok || !l.ours[f.CID] || !known.Stat.sameContent(f.Stat) {
				continue
			}
			if now, err := lstat(r.paths[i]); err == nil && now != f.Stat && now.sameContent(f.Stat) {
				if c == nil {
					c = r.clone()
				}
				c.Files[i].Stat = now
			}
		}
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}

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
