package ipfsstore

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// GCOptions say how much of a store is to be removed.
type GCOptions struct {
	MaxBytes int64 // what the store may own before anything is removed
	// LowBytes is what it may own afterwards; 0 is MaxBytes.
	LowBytes int64
	DryRun   bool // say what would be removed, and remove nothing

	keep string // a root that was just brought in
}

// A Collected is what [Store.GC] did. Bytes are those on disk that really become
// free: a file that has another name somewhere, the user's own or another
// model's, frees nothing.
type Collected struct {
	Before  int64 // what the store owned, see [Usage]
	After   int64
	Derived int64     // of what was made of models, see [Options], bytes that went
	Removed []Removed // the longest unused first
	Busy    int       // models left alone because a program has them open or fetches them
}

// A Removed is a model, or what a broken fetch has left of one.
type Removed struct {
	Root   string
	Name   string // see [Artifact]; "" of an unfinished fetch
	Bytes  int64  // freed by it, those before it being gone
	UsedAt time.Time
}

// GC removes what was made of models, then models, the longest unused first, until
// what the store owns is within the limit. It leaves out what is pinned, what a program has open (see
// [Store.Lease]) or fetches, and what would free nothing. Unfinished fetches are
// removed like models.
//
// That the limit can't be reached is no error; see the result.
func (s *Store) GC(ctx context.Context, o GCOptions) (Collected, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return Collected{}, err
	}
	defer unlock()
	c, err := s.snapshot()
	if err != nil {
		return Collected{}, err
	}
	if !o.DryRun {
		s.sweep(c)
	}
	g := &collector{store: s, cat: c, m: s.measure(c), keep: o.keep}
	defer g.release()
	out := Collected{Before: g.m.owned(), Removed: []Removed{}}
	if out.After = out.Before; out.Before <= o.MaxBytes {
		return out, nil
	}
	low := o.LowBytes
	if low == 0 {
		low = o.MaxBytes
	}
	out.Derived = g.shed(out.Before-low, o.DryRun)
	out.After -= out.Derived
	g.choose(out.After - low)
	out.Busy = g.busy
	for _, v := range g.victims {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if !o.DryRun {
			if err := s.discard(v.Root, v.Name == ""); err != nil {
				return out, err
			}
		}
		out.Removed = append(out.Removed, v)
		out.After -= v.Bytes
	}
	return out, nil
}

// discard removes a model or an unfinished fetch. The caller holds all locks.
func (s *Store) discard(root string, unfinished bool) error {
	s.log.Info("make room", "root", root)
	if unfinished {
		return os.RemoveAll(s.path("parts", root))
	}
	c, err := s.snapshot()
	if err != nil || c.roots[root] == nil {
		return err
	}
	return errors.Join(s.removeRoot(c, c.roots[root]), os.RemoveAll(s.path("parts", root)))
}

// Marks of a store with a limit, in parts of it: above the high one models are
// removed until it is at the low one.
const (
	highMark = 0.90
	lowMark  = 0.75
)

// Marks are the GCOptions that a limit of so many bytes means.
func Marks(limit int64) GCOptions {
	return GCOptions{MaxBytes: int64(highMark * float64(limit)), LowBytes: int64(lowMark * float64(limit))}
}

// makeRoom keeps the store within its limit, if it has one, after keep came in.
func (s *Store) makeRoom(ctx context.Context, keep string) {
	if s.maxBytes <= 0 {
		return
	}
	o := Marks(s.maxBytes)
	o.keep = keep
	if _, err := s.GC(ctx, o); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "make room in the store", "error", err)
	}
}

// A collector chooses what is removed.
type collector struct {
	store   *Store
	cat     *catalog
	m       *measurement
	keep    string
	victims []Removed
	held    map[string]func() // locks of the victims
	busy    int
}

func (g *collector) release() {
	for _, free := range g.held {
		free()
	}
}

// shed removes what was made of models that no program has open, until that has
// freed so many bytes.
func (g *collector) shed(want int64, dry bool) (freed int64) {
	byUse := slices.SortedFunc(maps.Keys(g.m.derived), func(a, b string) int {
		return cmp.Or(g.m.derived[a].used.Compare(g.m.derived[b].used), strings.Compare(a, b))
	})
	for _, root := range byUse {
		if freed >= want || !g.shedOne(root, dry) {
			continue
		}
		freed += g.m.derived[root].bytes
		delete(g.m.derived, root)
	}
	return freed
}

func (g *collector) shedOne(root string, dry bool) bool {
	if g.cat.roots[root] != nil {
		release, err := tryAcquire(g.store.leaseFile(root))
		if err != nil {
			return false
		}
		defer release()
	}
	if dry {
		return true
	}
	if err := g.store.dropDerived(root); err != nil {
		g.store.log.Warn("make room", "derived", root, "error", err)
		return false
	}
	return true
}

// choose finds victims that free so many bytes together, or all there are.
func (g *collector) choose(want int64) {
	g.held = make(map[string]func())
	var freed int64
	for _, v := range g.candidates() {
		if freed >= want {
			break
		}
		free, err := g.store.seize(v.Root)
		if err != nil {
			if errors.Is(err, errLocked) {
				g.busy++
			}
			continue
		}
		g.held[v.Root+v.Name] = free
		v.Bytes = g.without(v)
		freed += v.Bytes
		g.victims = append(g.victims, v)
	}
	g.spare()
}

// candidates are what may be removed, the longest unused first. A root with an
// unfinished fetch is one candidate for that, and one for itself.
func (g *collector) candidates() []Removed {
	var out []Removed
	for root, rec := range g.cat.roots {
		if a := g.store.artifact(g.cat, rec); !a.Pinned && root != g.keep {
			out = append(out, Removed{Root: root, Name: a.Name, UsedAt: a.UsedAt})
		}
	}
	for root, p := range g.m.parts {
		if g.cat.roots[root] == nil { // else it goes with its root
			out = append(out, Removed{Root: root, UsedAt: p.used})
		}
	}
	slices.SortFunc(out, func(a, b Removed) int {
		if c := a.UsedAt.Compare(b.UsedAt); c != 0 {
			return c
		}
		return strings.Compare(a.Root, b.Root)
	})
	return out
}

// without takes a victim out of the measurement and returns what that frees.
func (g *collector) without(v Removed) int64 {
	freed := g.m.parts[v.Root].bytes
	if v.Name == "" {
		return freed
	}
	freed += g.m.nodes[v.Root] + g.m.derived[v.Root].bytes
	for _, key := range g.m.files[v.Root] {
		b := g.m.blobs[key]
		delete(b.users, v.Root)
		if b.own && len(b.users) == 0 {
			freed += b.disk
		}
	}
	return freed
}

// spare gives back the victims that free nothing, not even with the others.
func (g *collector) spare() {
	for i, v := range slices.Backward(g.victims) {
		if g.m.parts[v.Root].bytes+g.m.nodes[v.Root]+g.m.derived[v.Root].bytes > 0 || slices.ContainsFunc(g.m.files[v.Root], func(key string) bool {
			b := g.m.blobs[key]
			return b.own && len(b.users) == 0
		}) {
			continue
		}
		for _, key := range g.m.files[v.Root] {
			g.m.blobs[key].users[v.Root] = true
		}
		g.victims = slices.Delete(g.victims, i, i+1)
	}
}
