package ipfsstore

import (
	"context"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"
)

const (
	maxFails     = 3  // failed calls in a row before a source is left alone
	maxLanes     = 64 // calls in flight, all sources together
	maxAttempts  = 3  // sources asked for one block at a time, unless all of them are stuck
	batchBlocks  = 32 // blocks asked for in one call
	batchBytes   = 1 << 20
	firstHedge   = 150 * time.Millisecond // patience of a source whose speed is unknown
	shortHedge   = 25 * time.Millisecond
	longHedge    = 5 * time.Second // at most, of one whose calls were short
	tierHedge    = 5 * time.Second // of one that is to be asked only if nearer ones fail
	stuckHedge   = time.Second     // of one more, if those that may be asked at a time are all stuck
	retryPause   = 50 * time.Millisecond
	scoreWeight  = 0.3 // of the newest observation
	guessedBytes = 256 << 10
	maxPassed    = 256 // tasks of others that are looked past
)

// A fetcher shares tasks out to sources. Every free lane of a source pulls the
// next task, so the faster a source is, the more it gets. When no task is left,
// free lanes ask again for blocks that other sources are slow with.
type fetcher struct {
	donors []*donor
	start  time.Time
	find   time.Duration // until the first verified block
	liars  *sync.Map     // name of a banned source -> *HashMismatchError; nil to forget
	limit  limit         // of the store

	mu       sync.Mutex // guards all below, the tasks and the donors
	wake     chan struct{}
	pending  []*task
	flying   []*task
	open     int    // tasks that are not done
	end      func() // lets nobody wait for anything any more
	fatal    error
	mismatch error
}

func newFetcher(sources []Source) *fetcher {
	f := &fetcher{start: time.Now(), wake: make(chan struct{})}
	tiers := map[string]int{}
	for _, s := range sources {
		t := tierOf(s)
		if _, ok := tiers[t]; !ok {
			tiers[t] = len(tiers)
		}
		f.donors = append(f.donors, &donor{src: s, tier: t, order: tiers[t], stat: SourceStat{Name: s.Name()}})
	}
	return f
}

// remembering leaves out those of the sources that are in liars, and adds the
// next that are banned.
func (f *fetcher) remembering(liars *sync.Map) *fetcher {
	f.liars = liars
	for _, d := range f.donors {
		if err, ok := liars.Load(d.src.Name()); ok {
			d.out, d.stat.Banned = true, true
			f.mismatch = err.(*HashMismatchError) // nothing else is stored
			d.err = f.mismatch
		}
	}
	return f
}

// run fetches the tasks and all that come out of them.
func (f *fetcher) run(caller context.Context, tasks []*task) error {
	ctx, cancel := context.WithCancel(caller)
	defer cancel()
	f.end = cancel
	f.pending, f.flying, f.open, f.fatal = tasks, nil, len(tasks), nil
	for _, t := range tasks {
		f.giveUp(t)
	}
	var g errgroup.Group
	for _, d := range f.donors {
		lanes := min(parallelOf(d.src), max(2, maxLanes/len(f.donors)))
		for range lanes {
			g.Go(func() error { f.serve(ctx, d); return nil })
		}
	}
	_ = g.Wait()
	if f.fatal != nil {
		return f.fatal
	}
	return caller.Err()
}

// serve lets one lane of d work until there is nothing left for it.
func (f *fetcher) serve(ctx context.Context, d *donor) {
	for ctx.Err() == nil {
		l, lctx, wait := f.next(ctx, d)
		if wait == nil && l == nil {
			return
		}
		if l == nil {
			wait(ctx)
			continue
		}
		err := f.ask(lctx, l)
		cancelled := lctx.Err() != nil
		l.cancel()
		if f.settle(l, err, cancelled) {
			sleep(ctx, nil, retryPause)
		}
	}
}

// ask is the call of a lane. It begins when the limit allows for what it is
// known to bring; the rest is paid for by the next.
func (f *fetcher) ask(ctx context.Context, l *lane) error {
	var known int64
	for _, t := range l.tasks {
		known += max(0, t.size)
	}
	if err := f.limit.wait(ctx, known); err != nil {
		return err
	}
	f.mu.Lock()
	l.started = time.Now()
	f.mu.Unlock()
	err := f.call(ctx, l)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit.owe(l.bytes - known)
	return err
}

func (f *fetcher) call(ctx context.Context, l *lane) error {
	return l.donor.src.Fetch(ctx, cidsOf(l.tasks), func(c cid.Cid, block []byte) error { return f.deliver(l, c, block) })
}

func cidsOf(tasks []*task) []cid.Cid {
	out := make([]cid.Cid, len(tasks))
	for i, t := range tasks {
		out[i] = t.cid
	}
	return out
}

// next returns the work for a free lane of d, or a func that waits until there
// may be some; neither if there will be none.
func (f *fetcher) next(ctx context.Context, d *donor) (*lane, context.Context, func(context.Context)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == 0 || f.fatal != nil || d.out {
		return nil, nil, nil
	}
	now := time.Now()
	if !f.mayTake(d, now) {
		return nil, nil, f.sleeper(recheck)
	}
	tasks := f.pull(d)
	if len(tasks) == 0 {
		t, soonest := f.hedge(d)
		if t == nil {
			return nil, nil, f.sleeper(soonest)
		}
		tasks = []*task{t}
	}
	lctx, cancel := context.WithCancel(ctx)
	l := &lane{donor: d, tasks: tasks, cancel: cancel}
	for _, t := range tasks {
		t.asked = append(t.asked, l)
		l.left += t.bytes()
	}
	d.lanes = append(d.lanes, l)
	d.gauge.ask(l.left, now)
	return l, lctx, nil
}

// sleeper returns a func that waits for a change, at most for d if that is not 0.
// A call that begins is no change, but may be one to help with by and by.
func (f *fetcher) sleeper(d time.Duration) func(context.Context) {
	wake := f.wake
	if d <= 0 {
		d = stuckHedge
	}
	return func(ctx context.Context) { sleep(ctx, wake, d) }
}

func sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// changed wakes every lane that waits.
func (f *fetcher) changed() {
	close(f.wake)
	f.wake = make(chan struct{})
}
