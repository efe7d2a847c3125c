package engine

import (
	"cmp"
	"context"
	"errors"
	"sync"
)

// A sessionKey says what an open session is of. Equal keys share a session.
type sessionKey struct {
	root, file, provider, device, precision string
	threads                                 int
	profile                                 string // where its profile goes; such a session is for one piece of work
}

// A sessionCache is the first level of the model cache: sessions stay open for
// the next call, the least recently used idle ones are closed when they are
// together larger than the budget.
type sessionCache struct {
	budget func() int64 // bytes that idle ones may take with the others
	limit  int64        // bytes that all may take; 0 is no limit

	mu     sync.Mutex // guards what follows and the fields of entries
	open   map[sessionKey]*cachedSession
	clock  int64
	closed bool
}

type cachedSession struct {
	ready   chan struct{} // closed when s or err is set
	s       Session
	err     error
	bytes   int64
	users   int
	lastUse int64
	gone    bool   // not in the map any more: the last user closes it
	lease   func() // called when the session is closed; may be nil
	joining joining

	described sync.Once
	info      SessionInfo // set by describe
	used      sync.Once   // it is weighed again after its first use, when it has all its memory
}

func newSessionCache(budget func() int64, limit int64) *sessionCache {
	return &sessionCache{budget: budget, limit: limit, open: map[sessionKey]*cachedSession{}}
}

// acquire returns the session of key, opening it if nobody has; bytes is what
// it is thought to take, and room what it may (0: as much as it likes). hit
// says that it was open already. release it.
func (c *sessionCache) acquire(ctx context.Context, key sessionKey, bytes int64, open func(ctx context.Context, room int64) (Session, error)) (s *cachedSession, hit bool, err error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, false, errClosing
	}
	c.clock++
	if e := c.open[key]; e != nil {
		e.users++
		e.lastUse = c.clock
		c.mu.Unlock()
		return c.await(ctx, e)
	}
	e := &cachedSession{ready: make(chan struct{}), bytes: bytes, users: 1, lastUse: c.clock}
	c.open[key] = e
	evicted := c.evict()
	room, fits := c.room(e)
	c.mu.Unlock()
	closeAll(evicted) //nolint:errcheck // they are given up either way
	if fits {
		e.s, e.err = c.openIn(ctx, key, e, room, open)
	} else {
		e.err = c.full(bytes)
	}
	close(e.ready)
	if e.err != nil {
		c.forget(key, e)
		return nil, false, e.err
	}
	return e, false, nil
}

// openIn opens a session. A device that has no memory left, of which only its
// driver knows, is rid of the sessions that are idle there, and tried again.
func (c *sessionCache) openIn(ctx context.Context, key sessionKey, e *cachedSession, room int64, open func(ctx context.Context, room int64) (Session, error)) (Session, error) {
	s, err := open(ctx, room)
	if !errors.Is(err, ErrOutOfMemory) {
		return s, err
	}
	c.mu.Lock()
	var idle []*cachedSession
	for k, other := range c.open {
		if k.device == key.device && other.users == 0 {
			delete(c.open, k)
			other.gone = true
			idle = append(idle, other)
		}
	}
	room, _ = c.room(e)
	c.mu.Unlock()
	if len(idle) == 0 {
		return nil, err
	}
	closeAll(idle) //nolint:errcheck // they are given up either way
	return open(ctx, room)
}

// await waits for a session that another call is opening.
func (c *sessionCache) await(ctx context.Context, e *cachedSession) (*cachedSession, bool, error) {
	select {
	case <-e.ready:
	case <-ctx.Done():
		c.release(e)
		return nil, false, ctx.Err()
	}
	if e.err != nil {
		c.release(e)
		return nil, false, e.err
	}
	return e, true, nil
}

// release ends one use of e.
func (c *sessionCache) release(e *cachedSession) {
	c.mu.Lock()
	e.users--
	last := e.gone && e.users == 0
	c.mu.Unlock()
	if last {
		_ = e.close() // it is given up either way
	}
}

// retire has e closed by its last user.
func (c *sessionCache) retire(e *cachedSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.gone = true
	for k, other := range c.open {
		if other == e {
			delete(c.open, k)
		}
	}
}

// forget removes e, so that the next acquire opens afresh.
func (c *sessionCache) forget(key sessionKey, e *cachedSession) {
	c.mu.Lock()
	if c.open[key] == e {
		delete(c.open, key)
	}
	e.gone = true
	c.mu.Unlock()
	c.release(e)
}

// evict takes idle sessions out until the rest fit the budget; c.mu is held.
func (c *sessionCache) evict() []*cachedSession {
	var total int64
	for _, e := range c.open {
		total += e.bytes
	}
	var out []*cachedSession
	budget := c.budget()
	if c.limit > 0 {
		budget = min(budget, c.limit)
	}
	for total > budget {
		var oldest sessionKey
		var found *cachedSession
		for k, e := range c.open {
			if e.users == 0 && (found == nil || e.lastUse < found.lastUse) {
				oldest, found = k, e
			}
		}
		if found == nil {
			break
		}
		delete(c.open, oldest)
		total -= found.bytes
		out = append(out, found)
	}
	return out
}

// room is what a session may take beside the others, and whether that is
// enough; c.mu is held.
func (c *sessionCache) room(e *cachedSession) (room int64, fits bool) {
	if c.limit == 0 {
		return 0, true
	}
	room = c.limit
	for _, other := range c.open {
		if other != e {
			room -= other.bytes
		}
	}
	return room, room > 0 && e.bytes <= room
}

// full is the error for a session that does not fit beside those in use.
func (c *sessionCache) full(bytes int64) error {
	e := Errorf(ErrOutOfMemory, "the model takes at least %d bytes more, and all models together may take %d", bytes, c.limit)
	e.Retryable = true
	return e.WithHint("wait until other calls are done, take a smaller model or precision int8, or raise hardware.memory_limit")
}

// weigh counts a session with what it really takes, where it says.
func (c *sessionCache) weigh(e *cachedSession, info SessionInfo) {
	c.mu.Lock()
	e.bytes = cmp.Or(info.HeldBytes, max(e.bytes, info.MemoryBytes))
	evicted := c.evict()
	c.mu.Unlock()
	closeAll(evicted) //nolint:errcheck // they are given up either way
}

// size is how many sessions are open and what they take.
func (c *sessionCache) size() (n int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.open {
		bytes += e.bytes
	}
	return len(c.open), bytes
}

// drop closes the sessions of a model whose files have changed.
func (c *sessionCache) drop(root string) {
	c.mu.Lock()
	var idle []*cachedSession
	for k, e := range c.open {
		if k.root != root {
			continue
		}
		delete(c.open, k)
		e.gone = true
		if e.users == 0 {
			idle = append(idle, e)
		}
	}
	c.mu.Unlock()
	closeAll(idle) //nolint:errcheck // they are given up either way
}

// close closes every idle session; those in use are closed by their users.
func (c *sessionCache) close() error {
	c.mu.Lock()
	c.closed = true
	var idle []*cachedSession
	for k, e := range c.open {
		delete(c.open, k)
		e.gone = true
		if e.users == 0 {
			idle = append(idle, e)
		}
	}
	c.mu.Unlock()
	return closeAll(idle)
}

// holds has e keep its model's lease until it is closed.
func (c *sessionCache) holds(e *cachedSession, lease func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.lease = lease
}

// close ends a session that nobody uses or can find any more.
func (s *cachedSession) close() error {
	if s.lease != nil {
		defer s.lease()
	}
	if s.s == nil {
		return nil
	}
	return s.s.Close()
}

func closeAll(es []*cachedSession) error {
	var errs []error
	for _, e := range es {
		errs = append(errs, e.close())
	}
	return errors.Join(errs...)
}
