package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"
)

const (
	maxFails     = 3  // failed calls in a row before a source is left alone
	maxLanes     = 64 // calls in flight, all sources together
	maxAttempts  = 3  // sources asked for one block at a time
	batchBlocks  = 32 // blocks asked for in one call
	batchBytes   = 1 << 20
	firstHedge   = 150 * time.Millisecond // patience of a source whose speed is unknown
	shortHedge   = 25 * time.Millisecond
	retryPause   = 50 * time.Millisecond
	scoreWeight  = 0.3 // of the newest observation
	guessedBytes = 256 << 10
	maxPassed    = 256 // tasks of others that are looked past
)

// A task is a block to be fetched.
type task struct {
	cid  cid.Cid
	size int64 // expected, in bytes; a guess will do
	// take receives the verified block, which it may not keep, and returns
	// the blocks that are wanted next. It is called once.
	take func(block []byte) ([]*task, error)

	// Guarded by the fetcher's mu.
	taken   bool
	done    bool
	asked   []*lane  // who is at it now
	lacking []*donor // who does not have it
}

// A donor is a source as one fetch sees it. Its fields are guarded by the
// fetcher's mu.
type donor struct {
	src   Source
	tier  string
	order int // of the tier
	stat  SourceStat
	pace  time.Duration // of one call, recent ones weighing more
	fails int
	out   bool // not asked any more
	err   error
}

// A lane is one call of a source that is in progress.
type lane struct {
	donor   *donor
	tasks   []*task
	started time.Time
	cancel  context.CancelFunc
	bytes   int64
}

// A fetcher shares tasks out to sources. Every free lane of a source pulls the
// next task, so the faster a source is, the more it gets. When no task is left,
// free lanes ask again for blocks that other sources are slow with.
type fetcher struct {
	donors []*donor
	start  time.Time
	find   time.Duration // until the first verified block
	liars  *sync.Map     // name of a banned source -> *HashMismatchError; nil to forget

	mu       sync.Mutex // guards all below, the tasks and the donors
	wake     chan struct{}
	pending  []*task
	flying   []*task
	open     int // tasks that are not done
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
func (f *fetcher) run(ctx context.Context, tasks []*task) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
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
	return ctx.Err()
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
		err := d.src.Fetch(lctx, cidsOf(l.tasks), func(c cid.Cid, block []byte) error { return f.deliver(l, c, block) })
		cancelled := lctx.Err() != nil
		l.cancel()
		if f.settle(l, err, cancelled) {
			sleep(ctx, nil, retryPause)
		}
	}
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
	tasks := f.pull(d)
	var patience time.Duration
	if len(tasks) == 0 {
		var t *task
		if t, patience = f.hedge(d); t != nil {
			tasks = []*task{t}
		}
	}
	if len(tasks) == 0 {
		return nil, nil, f.sleeper(patience)
	}
	lctx, cancel := context.WithCancel(ctx)
	l := &lane{donor: d, tasks: tasks, started: time.Now(), cancel: cancel}
	for _, t := range tasks {
		t.asked = append(t.asked, l)
	}
	return l, lctx, nil
}

// sleeper returns a func that waits for a change, at most for d if that is not 0.
func (f *fetcher) sleeper(d time.Duration) func(context.Context) {
	wake := f.wake
	if d <= 0 {
		d = time.Hour
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

// pull takes pending tasks for d, about as many as fill a large block. Those
// that others must do stay in front; only so many of them are passed over.
func (f *fetcher) pull(d *donor) []*task {
	var batch, passed []*task
	var size int64
	i := 0
	for ; i < len(f.pending) && len(passed) < maxPassed; i++ {
		t := f.pending[i]
		if !f.mayAsk(d, t) {
			passed = append(passed, t)
			continue
		}
		if len(batch) >= batchBlocks || len(batch) > 0 && size+t.bytes() > batchBytes {
			break
		}
		batch, size = append(batch, t), size+t.bytes()
	}
	copy(f.pending[i-len(passed):i], passed)
	f.pending = f.pending[i-len(passed):]
	f.flying = append(f.flying, batch...)
	return batch
}

func (t *task) bytes() int64 {
	if t.size <= 0 {
		return guessedBytes
	}
	return t.size
}

// mayAsk reports whether it is d's turn: no source of an earlier tier is left.
func (f *fetcher) mayAsk(d *donor, t *task) bool {
	if slices.Contains(t.lacking, d) {
		return false
	}
	for _, e := range f.donors {
		if e.order < d.order && !e.out && !slices.Contains(t.lacking, e) {
			return false
		}
	}
	return true
}

// hedge picks a task that another source has been at for too long by d's own
// standard, or says when there could be one.
func (f *fetcher) hedge(d *donor) (*task, time.Duration) {
	patience := firstHedge
	if d.pace > 0 {
		patience = max(shortHedge, 2*d.pace)
	}
	soonest := time.Duration(0)
	for _, t := range f.flying {
		if t.taken || len(t.asked) >= maxAttempts || slices.Contains(t.lacking, d) ||
			slices.ContainsFunc(t.asked, func(l *lane) bool { return l.donor == d }) {
			continue
		}
		if len(t.asked) == 0 {
			continue
		}
		left := patience - time.Since(t.asked[len(t.asked)-1].started)
		if left <= 0 {
			return t, 0
		}
		if soonest == 0 || left < soonest {
			soonest = left
		}
	}
	return nil, soonest
}

// deliver takes a block from a source. This is where it is verified.
func (f *fetcher) deliver(l *lane, c cid.Cid, block []byte) error {
	i := slices.IndexFunc(l.tasks, func(t *task) bool { return t.cid == c })
	if i < 0 {
		return nil // not asked for: neither believed nor held against the source
	}
	if !blockMatches(c, block) {
		return f.ban(l.donor, c)
	}
	t := l.tasks[i]
	f.mu.Lock()
	if t.taken {
		f.mu.Unlock()
		return nil
	}
	t.taken = true
	if f.find == 0 {
		f.find = time.Since(f.start)
	}
	f.mu.Unlock()
	more, err := t.take(block)
	f.finish(l, t, more, len(block), err)
	return err
}

// finish books a block that was taken.
func (f *fetcher) finish(l *lane, t *task, more []*task, size int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.changed()
	if err != nil {
		f.stop(err)
		return
	}
	l.donor.stat.Bytes += int64(size)
	l.donor.stat.Blocks++
	l.bytes += int64(size)
	t.done = true
	f.open--
	f.open += len(more)
	f.pending = append(f.pending, more...)
	for _, m := range more {
		f.giveUp(m)
	}
	f.flying = slices.DeleteFunc(f.flying, func(o *task) bool { return o == t })
	for _, o := range t.asked {
		if o != l && !slices.ContainsFunc(o.tasks, func(t *task) bool { return !t.done }) {
			o.cancel() // a slower source was at it too
		}
	}
}

// ban leaves a source out for good: a wrong hash is proof.
func (f *fetcher) ban(d *donor, c cid.Cid) error {
	err := &HashMismatchError{Source: d.src.Name(), CID: c.String()}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mismatch == nil {
		f.mismatch = err
	}
	d.stat.Banned, d.err = true, err
	if _, origin := d.src.(*originSource); f.liars != nil && !origin { // an origin may have changed: that is no lie
		f.liars.Store(d.src.Name(), err)
	}
	f.dismiss(d)
	return err
}

// dismiss stops asking a source, and gives up what only it could have had.
func (f *fetcher) dismiss(d *donor) {
	if d.out {
		return
	}
	d.out = true
	for _, t := range f.flying {
		for _, l := range t.asked {
			if l.donor == d {
				l.cancel()
			}
		}
	}
	for _, t := range f.pending {
		f.giveUp(t)
	}
	f.changed()
}

// settle books the end of a call, and reports whether the source needs a pause.
func (f *fetcher) settle(l *lane, err error, cancelled bool) (pause bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.changed()
	d := l.donor
	failed := err != nil && !errors.Is(err, ErrNotFound) && !cancelled
	switch {
	case failed && !d.stat.Banned:
		d.err = err
		d.fails++
	case l.bytes > 0:
		d.fails = 0
		d.observe(l)
	}
	if failed {
		d.stat.Errors++
	}
	for _, t := range l.tasks {
		f.back(t, l, !failed && !cancelled)
	}
	if d.fails >= maxFails {
		f.dismiss(d)
	}
	return failed
}

// observe takes the speed of a call into the donor's score.
func (d *donor) observe(l *lane) {
	took := max(time.Since(l.started), time.Microsecond)
	rate := float64(l.bytes) / took.Seconds()
	if d.pace == 0 {
		d.pace, d.stat.Score = took, rate
		return
	}
	d.pace += time.Duration(scoreWeight * float64(took-d.pace))
	d.stat.Score += scoreWeight * (rate - d.stat.Score)
}

// back takes a task from a lane that is over. lacking says that the source does
// not have it, as opposed to having failed.
func (f *fetcher) back(t *task, l *lane, lacking bool) {
	t.asked = slices.DeleteFunc(t.asked, func(o *lane) bool { return o == l })
	if t.taken {
		return
	}
	if lacking {
		t.lacking = append(t.lacking, l.donor)
	}
	if len(t.asked) > 0 {
		return
	}
	f.flying = slices.DeleteFunc(f.flying, func(o *task) bool { return o == t })
	f.pending = slices.Insert(f.pending, 0, t)
	f.giveUp(t)
}

// giveUp ends the fetch if nobody is left who could have t.
func (f *fetcher) giveUp(t *task) {
	err := f.mismatch
	if err == nil {
		err = ErrNotFound
	}
	for _, d := range f.donors {
		if !d.out && !slices.Contains(t.lacking, d) {
			return
		}
		if d.err != nil && !d.stat.Banned {
			err = fmt.Errorf("%w; source %q: %w", err, d.src.Name(), d.err)
		}
	}
	f.stop(fmt.Errorf("block %s: %w", t.cid, err))
}

// stop ends the fetch with an error, the first one.
func (f *fetcher) stop(err error) {
	if f.fatal != nil {
		return
	}
	f.fatal = err
	for _, t := range f.flying {
		for _, l := range t.asked {
			l.cancel()
		}
	}
}

// changed wakes every lane that waits.
func (f *fetcher) changed() {
	close(f.wake)
	f.wake = make(chan struct{})
}

// stats are the statistics of the sources, in tier order.
func (f *fetcher) stats() []SourceStat {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]SourceStat, len(f.donors))
	for i, d := range f.donors {
		out[i] = d.stat
	}
	return out
}

// level is the farthest tier that a block came from.
func (f *fetcher) level() string {
	level := tierStore
	for _, d := range f.donors {
		if d.stat.Blocks > 0 {
			level = max(level, d.tier)
		}
	}
	return level
}
