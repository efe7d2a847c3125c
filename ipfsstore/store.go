package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/semaphore"
)

// Options configure a [Store]. The zero value is a store without sources.
type Options struct {
	// Sources are asked for what the store lacks, in tier order: those of an
	// earlier tier first, those of one tier all at once. Their names differ.
	Sources []Source
	// Origins are where models are fetched from by name; their names and
	// schemes differ from each other and from the sources' names.
	Origins []Origin
	// MaxBytes is what the store may own (see [Usage]) in bytes: when it is
	// nearly that much after an Add, an Import or a Fetch, models are removed
	// as [Store.GC] does. 0 is no limit.
	MaxBytes int64
	// Derived is a folder with what others make of models, such as copies that
	// load quicker, in a folder named as the model's root for each; "" if there is
	// none. It counts as the store's own, goes with the model, and before any
	// model when room is made.
	Derived string
	// LimitRate is how many bytes a second may come from sources and origins,
	// all fetches of this store together; 0 is no limit.
	LimitRate int64
	// Logger receives what is worth knowing but is no error; nil is silence.
	Logger *slog.Logger
}

// A Store keeps models in a directory. Its methods may be called concurrently,
// and several processes may have the same directory open.
type Store struct {
	dir     string
	sources []Source
	origins []Origin
	log     *slog.Logger

	maxBytes int64 // 0 is no limit
	limit    limit
	derived  string // see Options

	catalog atomic.Pointer[catalog]
	index   atomic.Pointer[blockIndex]
	reload  sync.Mutex          // held while catalog or index is made anew
	hashing *semaphore.Weighted // bounds the goroutines that hash files
	liars   sync.Map            // sources that sent a wrong block, not asked again; see fetcher
	stamps  func() bool         // see fineStamps
	touched sync.Map            // root -> time.Time of the last write of its use
}

// A Storage says how a file came into the store.
type Storage string

// The ways a file can be stored.
const (
	HardLink  Storage = "hardlink"  // the user's own file under a second name
	Reflink   Storage = "reflink"   // a copy that shares the file's blocks on disk
	Copy      Storage = "copy"      // bytes of the store's own
	Reference Storage = "reference" // the user's file where it is
)

// A File is one file of a model.
type File struct {
	Name    string // slash-separated, relative to the model's folder
	Bytes   int64
	CID     string
	Storage Storage
	Path    string // absolute: of the real file, wherever that is
}

// An Artifact is a model in the store.
type Artifact struct {
	Root  string   // the root CID
	Name  string   // the first of Names, or the file or folder name it was added with
	Names []string // in the catalogue, sorted
	// Model is the CID of the model in the store that this is, or is part of.
	Model string
	// Dir is the absolute path of a folder with the real files, and with
	// symbolic links to those that are stored by reference. Where the root is
	// a single file, it is the folder's only one.
	Dir      string
	Bytes    int64
	Files    []File // those that are here, sorted by name
	Complete bool   // no file of the root is missing
	// Lost are the files and folders that are missing because the CAR that was
	// imported lacked blocks of them, sorted.
	Lost    []string
	Pinned  bool
	Shared  bool   // see [Store.Share]
	Origin  string // where it came from, such as hf://ORG/NAME@COMMIT; "" if that is not known
	License string // as its own files say; "" if they don't
	Task    string // as its own files say; "" if they don't
	AddedAt time.Time
	AddedBy string    // the user of this machine who added it
	UsedAt  time.Time // to the minute
}

// A Progress says how far an import or a fetch has come. Done never decreases.
type Progress struct {
	Done, Total int64  // bytes; only those that were verified count, of an origin those that came
	Phase       string // "hash", "manifest", "leaves" or "sync"
}

var storeDirs = []string{"blobs", "models", "nodes", "roots", "names", "parts", "tmp", "locks", "used"}

// Open opens the store in dir, which it makes (mode 0700) if needed.
func Open(dir string, o Options) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, d := range append([]string{""}, storeDirs...) {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	s := &Store{dir: dir, sources: slices.Clone(o.Sources), origins: slices.Clone(o.Origins), log: o.Logger, maxBytes: o.MaxBytes, derived: o.Derived, limit: newLimit(o.LimitRate), hashing: semaphore.NewWeighted(int64(hashers()))}
	s.stamps = sync.OnceValue(func() bool { return fineStamps(s.path("nodes")) })
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	seen := make(map[string]bool)
	for _, src := range s.sources {
		if seen[src.Name()] {
			return nil, fmt.Errorf("open store: two sources are called %q", src.Name())
		}
		seen[src.Name()] = true
	}
	for _, o := range s.origins {
		for _, name := range []string{o.Name(), o.Scheme() + "://"} {
			if seen[name] {
				return nil, fmt.Errorf("open store: two sources or origins are called %q", name)
			}
			seen[name] = true
		}
	}
	return s, nil
}

// Close releases what the store holds. Calls in progress are the caller's to
// end first.
func (s *Store) Close() error {
	s.catalog.Store(nil)
	s.index.Store(nil)
	return nil
}

// SourceNames returns the names of the store's sources in tier order.
func (s *Store) SourceNames() []string {
	names := make([]string, len(s.sources))
	for i, src := range s.sources {
		names[i] = src.Name()
	}
	return names
}

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// viewPath is where a file of a model lies.
func (s *Store) viewPath(root, name string) string {
	return filepath.Join(s.dir, "models", root, filepath.FromSlash(name))
}

const lockPoll = 10 * time.Millisecond

// lock takes the store's lock, which every change of its metadata needs.
// Whoever wants a root's lock too takes that first.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	return acquire(ctx, s.path("lock"))
}

// lockRoot takes the lock of one root: only its holder fetches or re-checks it.
func (s *Store) lockRoot(ctx context.Context, root string) (unlock func(), err error) {
	return acquire(ctx, s.path("locks", root))
}

// acquire takes an advisory lock that excludes other processes and other
// goroutines alike, and that the system releases with the process.
func acquire(ctx context.Context, path string) (unlock func(), err error) {
	l := flock.New(path, flock.SetPermissions(0o600))
	if ok, err := l.TryLockContext(ctx, lockPoll); err != nil || !ok {
		return nil, fmt.Errorf("lock %s: %w", filepath.Base(path), err)
	}
	return func() { _ = l.Close() }, nil
}

var errLocked = errors.New("locked")

// tryAcquire is acquire without waiting; its error is errLocked or the system's.
func tryAcquire(path string) (unlock func(), err error) {
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err == nil && !ok {
		err = errLocked
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = l.Close() }, nil
}
