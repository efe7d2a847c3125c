package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
)

// FetchOptions say what to fetch and from where. The zero value fetches the
// whole root from all sources.
type FetchOptions struct {
	Name    string // a catalogue name for it, NAME or NAME:TAG
	Replace bool   // Name may point elsewhere; it is moved then
	// Files are patterns of the files to fetch, relative to the root: `*`, `?`
	// and `[..]` within an element, `**` for any number of them. None fetch all.
	Files    []string
	Exclude  []string       // patterns of files to leave out all the same
	Sources  []string       // names of the sources to ask; none ask all
	MaxBytes int64          // refuse files of more bytes in all; 0 means what the disk has room for
	Pin      bool           // see [Artifact]
	Progress func(Progress) // called for each leaf verified; never concurrently
}

// Timings say where the time of a fetch went.
type Timings struct {
	Find     time.Duration // until the first verified block
	Manifest time.Duration // until all nodes were there
	Leaves   time.Duration // until all leaves were there
	Sync     time.Duration // until everything was on disk and in place
	Total    time.Duration
}

// A Fetched is a model that was fetched.
type Fetched struct {
	Artifact
	Level   string // the farthest tier asked with success: "L2" is the store itself
	Sources []SourceStat
	Timings Timings
}

// Fetch makes the model that ref means part of the store, from its sources if it
// is not there yet. With the scheme of an [Origin], such as hf://ORG/NAME, it
// comes from there; those of its files that are chosen become a root of their own. With a path, the folder or file at its end is the model. A
// fetch that is interrupted, even by the end of its process, is resumed by the
// next one for the same root.
//
// Its errors are those of [ParseRef], [ErrNotFound], [HashMismatchError] (when
// no honest source was left), [ErrInvalidDAG], [ErrLinkOutside], [ErrTooLarge]
// and whatever a source said.
func (s *Store) Fetch(ctx context.Context, ref string, o FetchOptions) (Fetched, error) {
	start := time.Now()
	if origin, rest, ok := s.originOf(ref); ok {
		return s.fetchNamed(ctx, origin, rest, o)
	}
	j, err := s.newFetch(ref, o)
	if err != nil {
		return Fetched{}, err
	}
	a, level, err := j.run(ctx)
	if err != nil {
		return Fetched{Sources: j.net.stats()}, fmt.Errorf("fetch %s: %w", ref, diskFull(err))
	}
	if level != tierStore {
		s.makeRoom(ctx, a.Model)
	}
	j.times.Total = time.Since(start)
	return Fetched{a, level, j.net.stats(), j.times}, nil
}

// A fetchJob is one fetch.
type fetchJob struct {
	store *Store
	o     FetchOptions
	ref   Ref
	tag   string
	root  cid.Cid // defined once ref's path is resolved
	file  string  // what a root that is a single file is to be called
	net   *fetcher
	nodes *nodeSet
	meter *meter
	times Timings

	absent func(cid.Cid) bool // knows what no source has; nil: nothing
}

func (s *Store) newFetch(ref string, o FetchOptions) (*fetchJob, error) {
	r, err := ParseRef(ref)
	if err != nil {
		return nil, err
	}
	tag, err := optionalName(o.Name)
	if err != nil {
		return nil, err
	}
	if err := checkPatterns(slices.Concat(o.Files, o.Exclude)); err != nil {
		return nil, err
	}
	sources, err := chosen(slices.Concat(s.sources, s.originSources(r)), o.Sources)
	if err != nil {
		return nil, err
	}
	net := newFetcher(sources).remembering(&s.liars)
	net.limit = s.limit
	return &fetchJob{
		store: s, o: o, ref: r, tag: tag, net: net, nodes: newNodeSet(),
		meter: newMeter(o.Progress, "manifest", 0),
	}, nil
}

// chosen returns those of all sources that have the given names.
func chosen(all []Source, names []string) ([]Source, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []Source
	for _, n := range names {
		i := slices.IndexFunc(all, func(src Source) bool { return src.Name() == n })
		if i < 0 {
			return nil, fmt.Errorf("source %q: %w", n, ErrNotFound)
		}
		out = append(out, all[i])
	}
	return out, nil
}

func (j *fetchJob) run(ctx context.Context) (Artifact, string, error) {
	a, err := j.local(ctx)
	if err == nil || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrModelChanged) {
		return a, tierStore, err
	}
	if err := j.findRoot(ctx); err != nil {
		return Artifact{}, "", err
	}
	unlock, err := j.store.lockRoot(ctx, rootKey(j.root))
	if err != nil {
		return Artifact{}, "", err
	}
	defer unlock()
	c, err := j.store.snapshot()
	if err != nil {
		return Artifact{}, "", err
	}
	if err := c.mayName(j.tag, rootKey(j.root), j.o.Replace); err != nil {
		return Artifact{}, "", err // before anything is fetched
	}
	a, err = j.fetch(ctx)
	return a, j.net.level(), err
}

// local serves the fetch from the store, if all of it is there.
func (j *fetchJob) local(ctx context.Context) (Artifact, error) {
	a, err := j.store.Open(ctx, j.ref.String())
	if err != nil {
		return Artifact{}, err
	}
	if !a.Complete || j.ref.Path != "" && j.tag != "" { // only roots have names
		return Artifact{}, ErrNotFound
	}
	if j.ref.Path != "" {
		return a, nil
	}
	return j.store.label(ctx, a.Root, labels{tag: j.tag, move: j.o.Replace, pin: j.o.Pin})
}

// findRoot follows the reference to the CID that is to be fetched.
func (j *fetchJob) findRoot(ctx context.Context) error {
	j.root = j.ref.CID
	if !j.root.Defined() {
		_, rec, err := j.store.lookup(j.ref)
		if err != nil {
			return err
		}
		j.root, err = cid.Decode(rec.Root)
		return err
	}
	if j.ref.Path == "" {
		return nil
	}
	trail, err := resolve(ctx, j.nodes, j.root, j.ref.Path, j.bring, nil)
	if err != nil {
		return err
	}
	j.root, j.file = trail[len(trail)-1], path.Base(j.ref.Path)
	return nil
}

// bring is the job's nodeFetch.
func (j *fetchJob) bring(ctx context.Context, want []cid.Cid) error {
	tasks := make([]*task, len(want))
	for i, c := range want {
		tasks[i] = &task{cid: c, take: func(block []byte) ([]*task, error) {
			return nil, j.nodes.put(c, slices.Clone(block))
		}}
	}
	return j.net.run(ctx, tasks)
}

// fetch fetches the root. The caller holds its lock.
func (j *fetchJob) fetch(ctx context.Context) (Artifact, error) {
	s, start := j.store, time.Now()
	known, err := loadNodes(s.path("nodes", rootKey(j.root)+".car"))
	if err != nil {
		return Artifact{}, err
	}
	j.nodes = known
	j.nodes.absent = j.absent
	t, err := readTree(ctx, j.nodes, j.root, j.bring)
	if err != nil {
		return Artifact{}, err
	}
	if err := bringData(ctx, j.nodes, t, j.bring); err != nil {
		return Artifact{}, err
	}
	names, blobs, err := j.choose(t)
	if err != nil {
		return Artifact{}, err
	}
	for tries := 1; ; tries++ {
		a, err := j.complete(ctx, t, names, slices.Clone(blobs), start)
		if tries == maxTries || !errors.Is(err, errVanished) {
			return a, err
		}
	}
}

// maxTries is how often a fetch begins again because what it was to share with
// other models was removed meanwhile.
const maxTries = 8

// complete fetches what is lacking of the blobs and makes the root part of the
// store.
func (j *fetchJob) complete(ctx context.Context, t *tree, names map[string]*blob, blobs []*blob, start time.Time) (Artifact, error) {
	p := &parts{store: j.store, job: j, dir: j.store.path("parts", rootKey(j.root))}
	blobs, err := p.lacking(ctx, blobs)
	if err != nil {
		return Artifact{}, err
	}
	if err := j.expandAll(ctx, blobs); err != nil {
		return Artifact{}, err
	}
	j.times.Find, j.times.Manifest = j.net.find, max(0, time.Since(start)-j.net.find)
	start = time.Now()
	if err := p.fetch(ctx, blobs); err != nil {
		return Artifact{}, err
	}
	j.times.Leaves = time.Since(start)
	start = time.Now()
	p.setAside(t, names)
	a, err := j.keep(ctx, t, names, p)
	j.times.Sync = time.Since(start)
	return a, err
}

// choose picks the files that were asked for, and checks the limits by what the
// nodes say.
func (j *fetchJob) choose(t *tree) (map[string]*blob, []*blob, error) {
	if err := t.resolveLinks(); err != nil {
		return nil, nil, err
	}
	names, seen := make(map[string]*blob), make(map[*blob]bool)
	var blobs []*blob
	var total int64
	for _, name := range sortedKeys(t.files) {
		b := t.files[name]
		if name == "" {
			name = j.single()
		} else if !wanted(j.o.Files, j.o.Exclude, name) {
			continue
		}
		if names[name] = b; seen[b] {
			continue
		}
		seen[b] = true
		blobs = append(blobs, b)
		if total += max(b.size, 0); j.o.MaxBytes > 0 && total > j.o.MaxBytes {
			return nil, nil, fmt.Errorf("%w: %d bytes and more, %d allowed", ErrTooLarge, total, j.o.MaxBytes)
		}
	}
	if len(names) == 0 && len(j.o.Files)+len(j.o.Exclude) > 0 {
		return nil, nil, fmt.Errorf("no file of it matches %q: %w", selection(j.o.Files, j.o.Exclude), ErrNotFound)
	}
	return names, blobs, nil
}

// single is the name of the only file of a root that is a file: the one it has
// had, the end of the path it was asked by, or else its CID.
func (j *fetchJob) single() string {
	if c, err := j.store.snapshot(); err == nil && c.roots[rootKey(j.root)] != nil {
		return c.roots[rootKey(j.root)].Name
	}
	if j.file != "" {
		return j.file
	}
	return rootKey(j.root)
}

// expandAll finds the leaves of the blobs.
func (j *fetchJob) expandAll(ctx context.Context, blobs []*blob) error {
	var total int64
	for _, b := range blobs {
		if total += max(b.size, 0); total > maxFileSize {
			return fmt.Errorf("%w: %d bytes, which is more than %d", ErrTooLarge, total, int64(maxFileSize))
		}
	}
	if err := expand(ctx, j.nodes, blobs, j.bring); err != nil {
		return err
	}
	j.meter.phase("leaves", total)
	return nil
}

// keep makes what was fetched part of the store.
func (j *fetchJob) keep(ctx context.Context, t *tree, names map[string]*blob, p *parts) (Artifact, error) {
	j.meter.phase("sync", 0)
	set := &commitSet{
		root: j.root, nodes: j.nodes, name: j.single(), tag: j.tag, move: j.o.Replace, pin: j.o.Pin, single: t.files[""] != nil,
		files: make(map[string]string, len(names)), dirs: sortedKeys(t.dirs), staged: p.staged, discard: p.discard,
	}
	for name, b := range names {
		set.files[name] = b.cid.String()
	}
	c, err := j.store.snapshot()
	if err != nil {
		return Artifact{}, err
	}
	old := c.roots[rootKey(j.root)]
	if set.complete = len(t.lost) == 0 && (set.single || t.completeWith(set.files, old)); !set.complete {
		set.lost, set.discard = t.lostOf(set.files, old), p.tidy
	}
	return j.store.commit(ctx, set)
}

// completeWith reports whether files and those of an earlier fetch are all.
func (t *tree) completeWith(files map[string]string, old *rootRecord) bool {
	for name := range t.files {
		if _, ok := files[name]; ok {
			continue
		}
		if old == nil {
			return false
		}
		if _, ok := old.file(name); !ok {
			return false
		}
	}
	return true
}
