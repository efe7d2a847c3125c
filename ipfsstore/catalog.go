package ipfsstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A rootRecord is what roots/ROOT.json says. One in a catalog is not changed.
type rootRecord struct {
	Version  int          `json:"version"`
	Root     string       `json:"root"`
	Name     string       `json:"name"`             // of the file or folder it was added from
	Single   bool         `json:"single,omitempty"` // the root is a file, not a folder
	Complete bool         `json:"complete"`
	Pinned   bool         `json:"pinned,omitempty"`
	Shared   bool         `json:"shared,omitempty"`
	Origin   string       `json:"origin,omitempty"`
	Named    bool         `json:"named,omitempty"`    // a caller has named Origin, so that it may be asked
	Selected []string     `json:"selected,omitempty"` // patterns of the origin's files; none are all
	License  string       `json:"license,omitempty"`
	Task     string       `json:"task,omitempty"`
	AddedAt  time.Time    `json:"added_at"`
	AddedBy  string       `json:"added_by,omitempty"`
	Files    []fileRecord `json:"files"`
	Changed  []string     `json:"changed,omitempty"` // files lost because their bytes changed
	Lost     []string     `json:"lost,omitempty"`    // files and folders of which the imported CAR lacked blocks

	public []File   // Files as callers see them
	paths  []string // of Files, absolute
	bytes  int64
}

// A fileRecord is a stored file and how it looked when its bytes were last known
// to be right.
type fileRecord struct {
	Name    string   `json:"name"`
	CID     string   `json:"cid"`
	Storage Storage  `json:"storage"`
	Path    string   `json:"path,omitempty"` // absolute, of a reference
	Stat    fileStat `json:"stat"`
}

// A nameRecord is what names/NAME.json says.
type nameRecord struct {
	Name string    `json:"name"`
	Root string    `json:"root"`
	At   time.Time `json:"at"`           // when it was given
	By   string    `json:"by,omitempty"` // the user who gave it
}

// A catalog is all metadata of the store as of one moment. It is not changed;
// [Store.snapshot] replaces it.
type catalog struct {
	roots map[string]*rootRecord
	names map[string]string   // name -> root
	tags  map[string][]string // root -> names, sorted
	files map[string]metaFile // by path below the store
	state dirState
}

// A metaFile is a metadata file that need not be read again while its stat is
// the same.
type metaFile struct {
	stat fileStat
	root *rootRecord
	name *nameRecord
}

// A dirState tells whether files of the metadata folders were replaced since.
type dirState struct{ roots, names fileStat }

func (s *Store) dirState() (dirState, error) {
	roots, err := lstat(s.path("roots"))
	if err != nil {
		return dirState{}, err
	}
	names, err := lstat(s.path("names"))
	return dirState{roots, names}, err
}

// fresh reports whether the folders were last changed so recently that another
// change might carry the same time.
func (d dirState) fresh() bool {
	return time.Now().UnixNano()-max(d.roots.Mtime, d.names.Mtime) < int64(clockTick)
}

// snapshot returns the metadata as it is on disk now. While nothing changes
// that costs two stats.
func (s *Store) snapshot() (*catalog, error) {
	state, err := s.dirState()
	if err != nil {
		return nil, err
	}
	if c := s.catalog.Load(); c != nil && c.state == state {
		return c, nil
	}
	s.reload.Lock()
	defer s.reload.Unlock()
	return s.loadCatalog()
}

func (s *Store) loadCatalog() (*catalog, error) {
	state, err := s.dirState()
	if err != nil {
		return nil, err
	}
	old := s.catalog.Load()
	if old == nil {
		old = &catalog{}
	}
	c := &catalog{
		roots: make(map[string]*rootRecord), names: make(map[string]string),
		tags: make(map[string][]string), files: make(map[string]metaFile), state: state,
	}
	if state.fresh() {
		c.state = dirState{} // look again next time
	}
	for _, folder := range []string{"roots", "names"} {
		if err := s.loadFolder(c, old, folder); err != nil {
			return nil, err
		}
	}
	for name, root := range c.names {
		c.tags[root] = append(c.tags[root], name)
	}
	for _, names := range c.tags {
		slices.Sort(names)
	}
	s.catalog.Store(c)
	return c, nil
}

func (s *Store) loadFolder(c, old *catalog, folder string) error {
	entries, err := os.ReadDir(s.path(folder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		key := filepath.Join(folder, e.Name())
		st, err := lstat(s.path(key))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		f, ok := old.files[key]
		if !ok || f.stat != st || old.state == (dirState{}) {
			if f, err = s.readMeta(folder, key, st); err != nil {
				s.log.Warn("skip unreadable metadata", "file", key, "error", err)
				continue
			}
		}
		c.add(key, f)
	}
	return nil
}

func (s *Store) readMeta(folder, key string, st fileStat) (metaFile, error) {
	f := metaFile{stat: st}
	if folder == "names" {
		f.name = new(nameRecord)
		return f, readJSON(s.path(key), f.name)
	}
	f.root = new(rootRecord)
	if err := readJSON(s.path(key), f.root); err != nil {
		return f, err
	}
	s.finish(f.root)
	return f, nil
}

func (c *catalog) add(key string, f metaFile) {
	c.files[key] = f
	if f.name != nil {
		c.names[f.name.Name] = f.name.Root
		return
	}
	c.roots[f.root.Root] = f.root
}

// finish computes what is derived from the record's fields.
func (s *Store) finish(r *rootRecord) {
	slices.SortFunc(r.Files, func(a, b fileRecord) int { return strings.Compare(a.Name, b.Name) })
	r.public = make([]File, len(r.Files))
	r.paths = make([]string, len(r.Files))
	r.bytes = 0
	for i, f := range r.Files {
		if r.paths[i] = f.Path; f.Storage != Reference {
			r.paths[i] = s.viewPath(r.Root, f.Name)
		}
		r.public[i] = File{Name: f.Name, Bytes: f.Stat.Size, CID: f.CID, Storage: f.Storage, Path: r.paths[i]}
		r.bytes += f.Stat.Size
	}
}

// clone returns a copy that may be changed and written.
func (r *rootRecord) clone() *rootRecord {
	c := *r
	c.Files = slices.Clone(r.Files)
	c.Changed = slices.Clone(r.Changed)
	c.Lost = slices.Clone(r.Lost)
	return &c
}

func (r *rootRecord) file(name string) (fileRecord, bool) {
	i, ok := slices.BinarySearchFunc(r.Files, name, func(f fileRecord, n string) int { return strings.Compare(f.Name, n) })
	if !ok {
		return fileRecord{}, false
	}
	return r.Files[i], true
}

func (s *Store) rootFile(root string) string { return s.path("roots", root+".json") }

// nameFile escapes a name for file systems that know neither case nor slashes
// in names.
func (s *Store) nameFile(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= 'A' && r <= 'Z':
			b.WriteString("!" + strings.ToLower(string(r)))
		case r == '/':
			b.WriteString("+")
		case r == ':':
			b.WriteString("@")
		default:
			b.WriteRune(r)
		}
	}
	return s.path("names", b.String()+".json")
}

// artifact makes r what callers see.
func (s *Store) artifact(c *catalog, r *rootRecord) Artifact {
	a := Artifact{
		Root: r.Root, Name: r.Name, Names: slices.Clone(c.tags[r.Root]), Model: r.Root, Dir: s.viewPath(r.Root, ""),
		Bytes: r.bytes, Files: slices.Clone(r.public), Complete: r.Complete, Lost: slices.Clone(r.Lost), Pinned: r.Pinned, Shared: r.Shared,
		Origin: r.Origin, License: r.License, Task: r.Task, AddedAt: r.AddedAt, AddedBy: r.AddedBy, UsedAt: r.AddedAt,
	}
	if len(a.Names) > 0 {
		a.Name = a.Names[0]
	}
	if t, ok := s.touched.Load(r.Root); ok {
		a.UsedAt = t.(time.Time) // only times are stored
	} else if fi, err := os.Stat(s.path("used", r.Root)); err == nil {
		a.UsedAt = fi.ModTime()
	}
	return a
}

// touch notes that a root is used, at most once a minute.
func (s *Store) touch(root string) {
	now := time.Now()
	if t, ok := s.touched.Load(root); ok && now.Sub(t.(time.Time)) < time.Minute { // only times are stored
		return
	}
	s.touched.Store(root, now)
	if err := os.WriteFile(s.path("used", root), nil, 0o600); err != nil {
		s.log.Warn("note use of model", "root", root, "error", err)
	}
}
