package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

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
	return eachAtOnce(dirs, syncDir)
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
