package ipfsstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A source folder or file as it was found by [walkFolder].
type listing struct {
	base   string            // absolute path of what was added
	single bool              // it is a file
	files  []string          // slash-separated, relative to base; [""] if single
	owned  bool              // the files are the store's own
	links  map[string]string // symbolic links: name -> target
	dirs   []string          // "" first; none if single
	bytes  int64
	follow bool // see AddOptions

	sources map[string]string // where files lie that are not below base, absolute

	// What is set only where another program's store was recognised.
	foreign bool
	hashes  map[string]blobHash // that files must have
	title   string              // what the whole is called
	origin  string              // where it comes from, as a URI
	suggest string              // a catalogue name for it
}

// list looks at what is to be added. Folders are read through an [os.Root], so
// that nothing that changes meanwhile leads out of them.
func (s *Store) list(p string, hidden, follow bool) (*listing, error) {
	base, err := filepath.Abs(p)
	if err != nil {
		return nil, err
	}
	if l, err := listForeign(base, hidden); l != nil || err != nil {
		return l, err
	}
	given := base
	if base, err = filepath.EvalSymlinks(base); err != nil {
		return nil, err
	}
	if base != given {
		if l, err := listForeign(base, hidden); l != nil || err != nil {
			return l, err
		}
	}
	fi, err := os.Stat(base)
	if err != nil {
		return nil, err
	}
	l := &listing{base: base, follow: follow, links: make(map[string]string), sources: make(map[string]string)}
	switch {
	case fi.Mode().IsRegular():
		l.single, l.files, l.bytes = true, []string{""}, fi.Size()
		return l, checkFileName(filepath.Base(base))
	case !fi.IsDir():
		return nil, fmt.Errorf("%s: %w", p, ErrSpecialFile)
	}
	if rel, err := filepath.Rel(base, s.dir); err == nil && filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%w %s: it holds the store itself", ErrInvalidRef, p)
	}
	return l, l.walk(hidden)
}

func (l *listing) walk(hidden bool) error {
	root, err := os.OpenRoot(l.base)
	if err != nil {
		return err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == "." {
			l.dirs = append(l.dirs, "")
			return nil
		}
		if !hidden && strings.HasPrefix(e.Name(), ".") {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return l.enter(root, name, e)
	})
	if err != nil {
		return err
	}
	return l.checkLinks()
}

func (l *listing) enter(root *os.Root, name string, e fs.DirEntry) error {
	if err := checkFileName(e.Name()); err != nil {
		return err
	}
	if len(l.files)+len(l.dirs)+len(l.links) >= maxEntries {
		return fmt.Errorf("%w: more than %d files", ErrTooLarge, maxEntries)
	}
	switch {
	case e.IsDir():
		if l.dirs = append(l.dirs, name); strings.Count(name, "/") >= maxDepth {
			return fmt.Errorf("%w: %q is more than %d levels deep", ErrTooLarge, name, maxDepth)
		}
	case e.Type()&fs.ModeSymlink != 0:
		target, err := root.Readlink(filepath.FromSlash(name))
		if err != nil {
			return err
		}
		if l.follow && filepath.IsAbs(target) {
			return l.take(name, target)
		}
		l.links[name] = target
	case e.Type().IsRegular():
		fi, err := e.Info()
		if err != nil {
			return err
		}
		l.files = append(l.files, name)
		l.bytes += fi.Size()
	default:
		return fmt.Errorf("%s: %w", name, ErrSpecialFile)
	}
	return nil
}

// take adds a file that lies elsewhere.
func (l *listing) take(name, target string) error {
	p, err := filepath.EvalSymlinks(target)
	if err != nil {
		return err
	}
	fi, err := os.Stat(p)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", name, ErrSpecialFile)
	}
	l.files, l.sources[name] = append(l.files, name), p
	l.bytes += fi.Size()
	return nil
}

// checkLinks refuses symbolic links that another machine could not follow:
// absolute ones, those that lead out, and those to what is not added.
func (l *listing) checkLinks() error {
	t := l.tree()
	for _, f := range l.files {
		t.files[f] = nil
	}
	err := t.resolveLinks()
	if errors.Is(err, ErrLinkOutside) || err == nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLinkOutside, err)
}

// tree is the listing as a tree without files.
func (l *listing) tree() *tree {
	t := &tree{links: l.links, files: make(map[string]*blob), dirs: make(map[string]bool)}
	for _, d := range l.dirs {
		t.dirs[d] = true
	}
	return t
}

// srcPath is where a listed file lies.
func (l *listing) srcPath(name string) string {
	if p, ok := l.sources[name]; ok {
		return p
	}
	return filepath.Join(l.base, filepath.FromSlash(name))
}

// name is what the whole is called.
func (l *listing) name() string {
	if l.title != "" {
		return l.title
	}
	return filepath.Base(l.base)
}

// children returns the entries of each folder, by folder.
func (l *listing) children() map[string][]string {
	out := make(map[string][]string)
	put := func(name string) {
		dir := path.Dir(name)
		if dir == "." {
			dir = ""
		}
		out[dir] = append(out[dir], name)
	}
	for _, names := range [][]string{l.files, sortedKeys(l.links), l.dirs} {
		for _, n := range slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" }) {
			put(n)
		}
	}
	return out
}

// narrow leaves out the files that are not wanted, and the folders that have
// nothing else. What links led to must be there still.
func (l *listing) narrow(include, exclude []string) error {
	if len(include)+len(exclude) == 0 || l.single {
		return nil
	}
	unwanted := func(name string) bool { return !wanted(include, exclude, name) }
	l.files = slices.DeleteFunc(l.files, unwanted)
	for name := range l.links {
		if unwanted(name) {
			delete(l.links, name)
		}
	}
	kept := map[string]bool{"": true}
	l.bytes = 0
	for _, name := range slices.Concat(l.files, sortedKeys(l.links)) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			kept[dir] = true
		}
	}
	for _, name := range l.files {
		if fi, err := os.Stat(l.srcPath(name)); err == nil {
			l.bytes += fi.Size()
		}
	}
	l.dirs = slices.DeleteFunc(l.dirs, func(d string) bool { return !kept[d] })
	if len(l.files)+len(l.links) == 0 {
		return fmt.Errorf("no file of it matches %q: %w", selection(include, exclude), ErrNotFound)
	}
	return l.checkLinks()
}
