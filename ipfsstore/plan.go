package ipfsstore

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/ipfs/go-cid"
)

// A Plan is what a fetch would bring.
type Plan struct {
	Root    string // the root CID; "" for what an origin has, before it came
	Name    string // of the model where it comes from; "" if that has none
	Origin  string // see [Artifact]
	Files   []PlannedFile
	Bytes   int64  // of the files, each content once
	ToFetch int64  // bytes of them that are not here
	Free    int64  // bytes that the disk has room for; -1 if that is not known
	License string // as the model's own files say; "" if they don't
}

// A PlannedFile is one of the files that a fetch would bring.
type PlannedFile struct {
	Name  string
	Bytes int64
	Here  bool // all of it is in the store
}

// Plan returns what Fetch would bring, of which it brings only what tells: the
// nodes of a root, a list of an origin's files, and those files that name the
// licence. Nothing is kept. Its errors are those of Fetch.
func (s *Store) Plan(ctx context.Context, ref string, o FetchOptions) (Plan, error) {
	p, err := s.plan(ctx, ref, o)
	if err != nil {
		return Plan{}, fmt.Errorf("plan %s: %w", ref, err)
	}
	p.Free = -1
	if free, ok := freeBytes(s.dir); ok {
		p.Free = free
	}
	return p, nil
}

func (s *Store) plan(ctx context.Context, ref string, o FetchOptions) (Plan, error) {
	if origin, rest, ok := s.originOf(ref); ok {
		return s.planNamed(ctx, origin, rest, o)
	}
	j, err := s.newFetch(ref, o)
	if err != nil {
		return Plan{}, err
	}
	if err := j.findRoot(ctx); err != nil {
		return Plan{}, err
	}
	if j.nodes, err = loadNodes(s.path("nodes", rootKey(j.root)+".car")); err != nil {
		return Plan{}, err
	}
	t, err := readTree(ctx, j.nodes, j.root, j.bring)
	if err != nil {
		return Plan{}, err
	}
	return j.plan(ctx, t)
}

// plan is the plan of a root whose folders are known.
func (j *fetchJob) plan(ctx context.Context, t *tree) (Plan, error) {
	names, blobs, err := j.choose(t)
	if err != nil {
		return Plan{}, err
	}
	here, err := j.store.stored()
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Root: rootKey(j.root)}
	for _, b := range blobs {
		if err := j.measure(ctx, b, here); err != nil {
			return Plan{}, err
		}
		p.Bytes += b.size
		if !here(b) {
			p.ToFetch += b.size
		}
	}
	for _, name := range sortedKeys(names) {
		p.Files = append(p.Files, PlannedFile{name, names[name].size, here(names[name])})
	}
	c, err := j.store.snapshot()
	if err != nil {
		return Plan{}, err
	}
	if rec := c.roots[p.Root]; rec != nil {
		p.Name, p.Origin, p.License = rec.Name, rec.Origin, rec.License
	}
	if p.License == "" {
		p.License, _ = describe(func(name string) []byte { return j.peek(ctx, t.files[name], here) })
	}
	return p, nil
}

// measure makes the size of a blob known: that of a root which is a single leaf
// stands nowhere else.
func (j *fetchJob) measure(ctx context.Context, b *blob, here func(*blob) bool) error {
	if b.size != unknownBytes {
		return nil
	}
	if here(b) {
		c, err := j.store.snapshot()
		if err == nil {
			b.size = c.sizeOf(b.cid.String())
		}
		return err
	}
	return j.net.run(ctx, []*task{{cid: b.cid, take: func(block []byte) ([]*task, error) {
		b.size = int64(len(block))
		return nil, nil
	}}})
}

// sizeOf is the size of a stored file; [unknownBytes] if there is none.
func (c *catalog) sizeOf(fileCID string) int64 {
	for _, r := range c.roots {
		for _, f := range r.Files {
			if f.CID == fileCID {
				return f.Stat.Size
			}
		}
	}
	return unknownBytes
}

// peek returns the bytes of a small file, from the store or from a source; nil
// if it can't be had: it would have been good to know.
func (j *fetchJob) peek(ctx context.Context, b *blob, here func(*blob) bool) []byte {
	switch {
	case b == nil || b.size < 0 || b.size > maxAbout:
		return nil
	case here(b):
		return about(j.store.path("blobs", b.cid.String()))
	}
	if err := expand(ctx, j.nodes, []*blob{b}, j.bring); err != nil {
		return nil
	}
	data := make([]byte, b.size)
	places := make(map[cid.Cid][]chunk)
	for _, c := range b.chunks {
		places[c.cid] = append(places[c.cid], c)
	}
	var tasks []*task
	for id, at := range places {
		put := func(block []byte) ([]*task, error) { return nil, putChunks(data, at, block) }
		if block, ok := j.nodes.get(id); !ok {
			tasks = append(tasks, &task{cid: id, size: at[0].size, take: put})
		} else if _, err := put(block); err != nil {
			return nil
		}
	}
	if err := j.net.run(ctx, tasks); err != nil {
		return nil
	}
	return data
}

// putChunks writes a block's own bytes where they belong.
func putChunks(data []byte, at []chunk, block []byte) error {
	own, _, err := payload(at[0].cid, block)
	for _, c := range at {
		if err != nil || int64(len(own)) != c.size || c.off+c.size > int64(len(data)) {
			return fmt.Errorf("%w: block %s: %w", ErrInvalidDAG, c.cid, err)
		}
		copy(data[c.off:], own)
	}
	return nil
}

// planNamed is plan for a reference of an origin.
func (s *Store) planNamed(ctx context.Context, origin Origin, rest string, o FetchOptions) (Plan, error) {
	j, err := s.newNamedFetch(origin, o)
	if err != nil {
		return Plan{}, err
	}
	full, _, err := origin.Canonical(rest)
	if err != nil {
		return Plan{}, err
	}
	if j.snap, err = origin.Resolve(ctx, full); err != nil {
		return Plan{}, err
	}
	if root := j.known(j.snap.Ref); root != "" {
		return s.plan(ctx, root, FetchOptions{Sources: o.Sources})
	}
	total, err := j.choose()
	if err != nil {
		return Plan{}, err
	}
	j.dir = s.path("parts", j.key())
	p := Plan{Name: j.snap.Name, Origin: j.uri, Bytes: total, ToFetch: total - j.begun()}
	for _, f := range j.files {
		p.Files = append(p.Files, PlannedFile{Name: f.Name, Bytes: f.Bytes})
	}
	p.License, _ = describe(func(name string) []byte { return j.peek(ctx, name) })
	return p, nil
}

// begun is how many bytes an earlier fetch has left.
func (j *namedFetch) begun() int64 {
	var have int64
	seen := make(map[string]bool)
	for _, f := range j.files {
		if st, err := lstat(filepath.Join(j.dir, f.key())); err == nil && !seen[f.key()] {
			have += min(st.Size, f.Bytes)
		}
		seen[f.key()] = true
	}
	return have
}

// peek returns the beginning of a file; nil if it can't be had.
func (j *namedFetch) peek(ctx context.Context, name string) []byte {
	i := slices.IndexFunc(j.snap.Files, func(f OriginFile) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	body, err := j.origin.Read(ctx, j.snap.Ref, name, 0, min(j.snap.Files[i].Bytes, maxAbout))
	if err != nil {
		return nil
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return nil
	}
	return data
}
