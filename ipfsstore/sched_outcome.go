package ipfsstore

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
)

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
	if f.open+len(more) == 1 { // this was the last
		defer f.end()
	}
	l.donor.stat.Bytes += int64(size)
	l.donor.stat.Blocks++
	l.bytes += int64(size)
	l.left -= t.bytes()
	l.donor.gauge.load -= t.bytes()
	l.donor.gauge.take(int64(size), time.Now())
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
	d.lanes = slices.DeleteFunc(d.lanes, func(o *lane) bool { return o == l })
	d.gauge.load -= l.left
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
