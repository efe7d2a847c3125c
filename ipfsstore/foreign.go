package ipfsstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's name for a blob, checked beside the CID's sha2-256
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A blobHash is the hash that another store names a file by.
type blobHash struct {
	digest string // in lower-case hex
	git    bool   // git's sha1 of a blob, else sha256
}

var hexName = regexp.MustCompile(`^([0-9a-f]{64}|[0-9a-f]{40})$`)

// hashOfName reads the name of a blob of a Hugging Face cache: the sha256 of a
// large file, git's own hash of a small one.
func hashOfName(name string) (blobHash, error) {
	if !hexName.MatchString(name) {
		return blobHash{}, fmt.Errorf("blob %q: %w: its name is neither a sha256 nor a git hash", name, ErrHashMismatch)
	}
	return blobHash{name, len(name) == 40}, nil
}

// check reads the file at p and refuses it if it has another hash.
func (b blobHash) check(ctx context.Context, p string, size int64) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if b.git {
		h = sha1.New() //nolint:gosec // as above
		fmt.Fprintf(h, "blob %d\x00", size)
	}
	if _, err := io.Copy(h, io.LimitReader(contextReader{ctx, f}, size)); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != b.digest {
		return fmt.Errorf("%w: its store says %s, its bytes %s", ErrHashMismatch, b.digest, got)
	}
	return nil
}

// A contextReader ends with its context.
type contextReader struct {
	ctx context.Context //nolint:containedctx // a reader has no other way
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// listForeign lists what is at an absolute path if that is a model of another
// program's store, else nothing.
func listForeign(p string, hidden bool) (*listing, error) {
	if hub, ok := hubPath(p); ok {
		return hub.list(hidden)
	}
	if store, ref, ok := ollamaPath(p); ok {
		return listOllama(store, ref)
	}
	return nil, nil //nolint:nilnil // nothing foreign, nothing wrong
}

// ForeignModels returns the paths of the models within a store of another
// program, each of which [Store.Add] takes; none if p is no such store, or is
// one of its models itself.
func ForeignModels(p string) ([]string, error) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return nil, err
	}
	if _, ok := hubPath(abs); ok {
		return nil, nil
	}
	if out, err := ollamaModels(abs); len(out) > 0 || err != nil {
		return out, err
	}
	repos, err := filepath.Glob(filepath.Join(globEscape(abs), "models--*", "snapshots"))
	for i, r := range repos {
		repos[i] = filepath.Dir(r)
	}
	return repos, err
}

// globEscape keeps what a pattern would mean in a path from meaning it.
func globEscape(p string) string {
	if os.PathSeparator == '\\' {
		return p // there is no escaping there, and no path with these either
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(p)
}

// A hubRepo is a model's folder in a Hugging Face cache.
type hubRepo struct {
	dir    string // models--ORG--NAME
	name   string // ORG/NAME
	commit string // "" for the one that main is
	below  string // slash-separated, within the snapshot
}

// hubPath takes a path in a cache apart.
func hubPath(p string) (hubRepo, bool) {
	parts := strings.Split(filepath.ToSlash(p), "/")
	i := slices.IndexFunc(parts, func(s string) bool { return strings.HasPrefix(s, "models--") })
	if i < 0 || len(parts) > i+1 && (parts[i+1] != "snapshots" || len(parts) == i+2) {
		return hubRepo{}, false
	}
	r := hubRepo{dir: filepath.FromSlash(strings.Join(parts[:i+1], "/"))}
	r.name = strings.Replace(strings.TrimPrefix(parts[i], "models--"), "--", "/", 1)
	if len(parts) > i+2 {
		r.commit, r.below = parts[i+2], strings.Join(parts[i+3:], "/")
	}
	fi, err := os.Stat(filepath.Join(r.dir, "snapshots"))
	return r, err == nil && fi.IsDir()
}

func (r hubRepo) list(hidden bool) (*listing, error) {
	var err error
	if r.dir, err = filepath.EvalSymlinks(r.dir); err != nil {
		return nil, err
	}
	if r.commit == "" {
		if r.commit, err = r.main(); err != nil {
			return nil, err
		}
	}
	l := &listing{
		base: filepath.Join(r.dir, "snapshots", r.commit, filepath.FromSlash(r.below)), links: map[string]string{},
		foreign: true, sources: map[string]string{}, hashes: map[string]blobHash{},
		title: path.Base(path.Join(r.name, r.below)), origin: "hf://" + r.name + "@" + r.commit,
	}
	if r.below != "" {
		l.origin += "/" + r.below // a part has no name of its own
	} else {
		l.suggest = r.name
	}
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	start := path.Join("snapshots", r.commit, r.below)
	fi, err := root.Stat(start) // links are followed, but not out of the repository
	if err != nil {
		return nil, err
	}
	if fi.Mode().IsRegular() {
		l.single = true
		return l, r.file(root, l, start, "")
	}
	return l, r.walk(root, l, start, hidden)
}

// main is the commit that the branch main is at, or the only one there is.
func (r hubRepo) main() (string, error) {
	if data, err := os.ReadFile(filepath.Join(r.dir, "refs", "main")); err == nil {
		if commit := strings.TrimSpace(string(data)); filepath.IsLocal(commit) && len(commit) <= 64 {
			return commit, nil
		}
	}
	entries, err := os.ReadDir(filepath.Join(r.dir, "snapshots"))
	if err != nil {
		return "", err
	}
	if len(entries) != 1 {
		return "", fmt.Errorf("%w: the cache of %s has %d snapshots and no main; name the folder of one", ErrInvalidRef, r.name, len(entries))
	}
	return entries[0].Name(), nil
}

func (r hubRepo) walk(root *os.Root, l *listing, start string, hidden bool) error {
	return fs.WalkDir(root.FS(), start, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p == start {
			l.dirs = append(l.dirs, "")
			return nil
		}
		if !hidden && strings.HasPrefix(e.Name(), ".") {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		name := strings.TrimPrefix(p, start+"/")
		if e.Type()&fs.ModeSymlink == 0 {
			return l.enter(root, name, e)
		}
		if len(l.files)+len(l.dirs) >= maxEntries {
			return fmt.Errorf("%w: more than %d files", ErrTooLarge, maxEntries)
		}
		return r.file(root, l, p, name)
	})
}

const incomplete = ".incomplete" // how the cache calls a download that is not done

// file enters the blob that a link of the snapshot leads to, under the link's
// name. The blob's name is its hash.
func (r hubRepo) file(root *os.Root, l *listing, link, name string) error {
	fi, err := root.Stat(link)
	if err != nil {
		if target, lerr := root.Readlink(link); lerr == nil && strings.HasSuffix(target, incomplete) {
			return nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w: its download is not complete", link, err)
		}
		return fmt.Errorf("%w: %s: %w", ErrLinkOutside, link, err)
	}
	blob, err := filepath.EvalSymlinks(filepath.Join(r.dir, filepath.FromSlash(link)))
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(r.dir, blob); err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("%w: %s", ErrLinkOutside, link)
	}
	if strings.HasSuffix(blob, incomplete) {
		return nil
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", link, ErrSpecialFile)
	}
	if filepath.Dir(blob) == filepath.Join(r.dir, "blobs") {
		if l.hashes[name], err = hashOfName(filepath.Base(blob)); err != nil {
			return fmt.Errorf("%s: %w", link, err)
		}
	}
	l.files, l.sources[name] = append(l.files, name), blob
	l.bytes += fi.Size()
	return checkFileName(path.Base(link))
}
