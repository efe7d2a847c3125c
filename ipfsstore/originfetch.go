package ipfsstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A namedFetch fetches a model that is named by its origin.
type namedFetch struct {
	store    *Store
	origin   Origin
	o        FetchOptions
	tag      string
	selected []string // the patterns, as a record keeps them
	uri      string   // fixed
	snap     Snapshot
	files    []OriginFile // those that were chosen
	dir      string       // of what has come
	meter    *meter

	mu   sync.Mutex // guards stat
	stat SourceStat
}

// fetchNamed is Fetch for a reference of an origin.
func (s *Store) fetchNamed(ctx context.Context, origin Origin, rest string, o FetchOptions) (Fetched, error) {
	j, err := s.newNamedFetch(origin, o)
	if err != nil {
		return Fetched{}, err
	}
	full, fixed, err := origin.Canonical(rest)
	if err != nil {
		return Fetched{}, err
	}
	if fixed { // then nobody need be asked
		if root := j.known(full); root != "" {
			return j.again(ctx, root)
		}
	}
	return j.run(ctx, full)
}

func (s *Store) newNamedFetch(origin Origin, o FetchOptions) (*namedFetch, error) {
	tag, err := optionalName(o.Name)
	if err != nil {
		return nil, err
	}
	if err := checkPatterns(slices.Concat(o.Files, o.Exclude)); err != nil {
		return nil, err
	}
	return &namedFetch{
		store: s, origin: origin, o: o, tag: tag, selected: selection(o.Files, o.Exclude),
		meter: newMeter(o.Progress, "manifest", 0), stat: SourceStat{Name: origin.Name()},
	}, nil
}

// selection is what of an origin's files a root was made of.
func selection(include, exclude []string) []string {
	out := slices.Clone(include)
	for _, p := range exclude {
		out = append(out, "!"+p)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// known returns the root that the same of the same revision has become, if it
// was fetched before.
func (j *namedFetch) known(full string) string {
	j.uri = j.origin.Scheme() + "://" + full
	c, err := j.store.snapshot()
	if err != nil {
		return ""
	}
	for root, r := range c.roots {
		if r.Named && r.Origin == j.uri && slices.Equal(r.Selected, j.selected) {
			return root
		}
	}
	return ""
}

// again fetches by content what was fetched by name before: it is there, or the
// origin is one of the sources of what is lost.
func (j *namedFetch) again(ctx context.Context, root string) (Fetched, error) {
	o := j.o
	o.Files, o.Exclude = nil, nil
	return j.store.Fetch(ctx, root, o)
}

func (j *namedFetch) run(ctx context.Context, full string) (Fetched, error) {
	start := time.Now()
	var err error
	if j.snap, err = j.origin.Resolve(ctx, full); err != nil {
		return Fetched{}, fmt.Errorf("fetch %s://%s: %w", j.origin.Scheme(), full, err)
	}
	if root := j.known(j.snap.Ref); root != "" {
		return j.again(ctx, root)
	}
	times := Timings{Find: time.Since(start)}
	unlock, err := j.store.lockRoot(ctx, j.key())
	if err != nil {
		return Fetched{}, err
	}
	defer unlock()
	if root := j.known(j.snap.Ref); root != "" { // another was at it
		return j.again(ctx, root)
	}
	a, err := j.fetch(ctx, &times)
	if err != nil {
		return Fetched{Sources: []SourceStat{j.stat}}, fmt.Errorf("fetch %s: %w", j.uri, diskFull(err))
	}
	j.store.makeRoom(ctx, a.Root)
	times.Total = time.Since(start)
	return Fetched{a, tierFar, []SourceStat{j.stat}, times}, nil
}

// key names the lock and the folder of what has come.
func (j *namedFetch) key() string {
	sum := sha256.Sum256([]byte(j.uri))
	return "origin-" + hex.EncodeToString(sum[:16])
}

func (j *namedFetch) fetch(ctx context.Context, times *Timings) (Artifact, error) {
	total, err := j.choose()
	if err != nil {
		return Artifact{}, err
	}
	j.dir = j.store.path("parts", j.key())
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return Artifact{}, err
	}
	j.meter.phase("leaves", total)
	start := time.Now()
	if err := j.download(ctx, total); err != nil {
		return Artifact{}, err
	}
	times.Leaves, start = time.Since(start), time.Now()
	j.meter.phase("sync", 0)
	a, err := j.keep(ctx)
	times.Sync = time.Since(start)
	return a, err
}

// choose picks the files that were asked for, and checks all that can be checked
// before they come.
func (j *namedFetch) choose() (total int64, err error) {
	if err := j.snap.check(); err != nil {
		return 0, err
	}
	counted := make(map[string]bool)
	for _, f := range j.snap.Files {
		if !wanted(j.o.Files, j.o.Exclude, f.Name) {
			continue
		}
		j.files = append(j.files, f)
		if counted[f.key()] {
			continue
		}
		counted[f.key()] = true
		if total += f.Bytes; total > maxFileSize || j.o.MaxBytes > 0 && total > j.o.MaxBytes {
			return 0, fmt.Errorf("%w: %d bytes and more, %d allowed", ErrTooLarge, total, j.o.MaxBytes)
		}
	}
	if len(j.files) == 0 {
		return 0, fmt.Errorf("no file of it matches: %w", ErrNotFound)
	}
	if j.tag == "" {
		return total, nil
	}
	c, err := j.store.snapshot()
	if err != nil {
		return 0, err
	}
	if c.names[j.tag] != "" && !j.o.Replace { // its root is not known yet, and can't be this one's
		return 0, c.mayName(j.tag, "", false)
	}
	return total, nil
}

// keep imports the files, which are all there and have the right hashes.
func (j *namedFetch) keep(ctx context.Context) (Artifact, error) {
	s := j.store
	st, err := s.newStaging(ctx)
	if err != nil {
		return Artifact{}, err
	}
	defer st.discard()
	sh, err := ProfileV1.shape()
	if err != nil {
		return Artifact{}, err
	}
	im := &importer{store: s, list: j.listing(), shape: sh, stage: st, nodes: newNodeSet()}
	set, err := im.run(ctx, AddOptions{})
	if err != nil {
		return Artifact{}, err
	}
	set.tag, set.pin, set.move, set.suggest = j.tag, j.o.Pin, j.o.Replace, j.suggest()
	set.named, set.selected = true, j.selected
	set.discard = func() {
		st.discard()
		_ = os.RemoveAll(j.dir)
	}
	return s.commit(ctx, set)
}

// suggest is the name that the model gets without one.
func (j *namedFetch) suggest() string {
	name, err := parseName(j.snap.Name)
	if err != nil {
		return ""
	}
	return name
}

// listing is what has come, as if it lay in a folder.
func (j *namedFetch) listing() *listing {
	l := &listing{
		base: j.dir, owned: true, links: map[string]string{}, sources: map[string]string{},
		title: path.Base(j.snap.Name), origin: j.uri,
	}
	dirs := map[string]bool{"": true}
	for _, f := range j.files {
		l.files, l.sources[f.Name] = append(l.files, f.Name), filepath.Join(j.dir, f.key())
		l.bytes += f.Bytes
		for dir := path.Dir(f.Name); dir != "."; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	l.dirs = sortedKeys(dirs)
	slices.SortFunc(l.dirs, func(a, b string) int { // a folder before those within it
		if n := strings.Count(a, "/") - strings.Count(b, "/"); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return l
}
