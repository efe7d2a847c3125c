package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// opened are the sessions that one piece of work uses on one device. It is
// what a pipeline sees as Sessions.
type opened struct {
	e       *Engine
	m       *loadedModel
	c       candidate
	threads int
	turn    *turn               // what its runs wait with; nil if they don't
	file    string              // that runs when none is named; "" is the model's main one
	loading func(time.Duration) // told how long each opening took

	mu      sync.Mutex // guards what follows
	byFile  map[string]*cachedSession
	hit     bool // every session was open already
	sandbox string
	nodes   map[string]int // by platform, of the last session that was opened
	profile string         // folder of profiles; "" if none are made
}

func (e *Engine) open(m *loadedModel, c candidate, loading func(time.Duration)) *opened {
	return &opened{e: e, m: m, c: c, threads: e.planThreads(&m.Model, c), loading: loading, byFile: map[string]*cachedSession{}, hit: true}
}

// Open returns the session of one of the model's files.
func (o *opened) Open(ctx context.Context, file string) (Session, error) {
	if file == "" {
		file = o.file
	}
	if file == "" {
		f, err := o.m.OnnxFile()
		if err != nil {
			return nil, err
		}
		file = f
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	g, err := o.m.graph(file)
	if err != nil {
		return nil, err
	}
	if s := o.byFile[file]; s != nil {
		return o.turned(s, g), nil
	}
	began := time.Now()
	key := sessionKey{o.m.Root, file, o.c.provider.Name(), o.c.ID, o.c.precision(g), o.threads, o.profilePrefix()}
	var lease func()
	s, hit, err := o.e.sessions.acquire(ctx, key, o.m.bytes(), func(ctx context.Context, room int64) (Session, error) {
		if lease == nil { // it may be opened a second time
			if lease, err = o.e.lease(ctx, o.m); err != nil {
				return nil, err
			}
		}
		s, err := o.newSession(ctx, file, Plan{Device: o.c.Device, Precision: o.c.precision(g), BatchSize: 1, Threads: o.threads, Memory: room, Profile: key.profile})
		if err != nil || o.c.Kind == hardware.CPU {
			return s, err
		}
		return &checkedSession{Session: s, e: o.e, m: o.m, c: o.c, file: file}, nil
	})
	if err != nil {
		if lease != nil {
			lease()
		}
		return nil, err
	}
	if !hit {
		o.e.sessions.holds(s, lease)
		o.hit = false
		o.loading(time.Since(began))
	}
	o.byFile[file] = s
	info := s.describe(ctx)
	o.sandbox, o.nodes = info.Sandbox, info.Nodes
	if !hit {
		o.e.sessions.weigh(s, info)
		o.e.layOut(o.m, file, g, o.c)
	}
	return o.turned(s, g), nil
}

// newSession loads a file as it is laid out for that, or else as it is.
func (o *opened) newSession(ctx context.Context, file string, p Plan) (Session, error) {
	m, name := o.e.layouts.of(&o.m.Model, file, o.c)
	s, err := o.c.provider.NewSession(ctx, m, name, p)
	if m == &o.m.Model || !errors.Is(err, ErrModelInvalid) {
		return s, err
	}
	o.e.log.WarnContext(ctx, "a layout can't be loaded and is made again", "model", o.m.Root, "file", file, "error", err)
	o.e.layouts.forget(&o.m.Model, file)
	return o.c.provider.NewSession(ctx, &o.m.Model, file, p)
}

// lease keeps a stored model where it is while a session has it open.
func (e *Engine) lease(ctx context.Context, m *loadedModel) (release func(), err error) {
	if m.stored == "" {
		return func() {}, nil
	}
	release, err = e.o.Models.Lease(ctx, m.stored)
	if err != nil {
		return nil, e.storeError(ctx, m.stored, err)
	}
	return release, nil
}

// describe asks the session once what it is.
func (s *cachedSession) describe(ctx context.Context) SessionInfo {
	s.described.Do(func() { s.info = s.ask(ctx) })
	return s.info
}

// ask asks the session what it is, and what it takes by now.
func (s *cachedSession) ask(ctx context.Context) SessionInfo {
	d, ok := s.s.(Describer)
	if !ok {
		return SessionInfo{}
	}
	info, err := d.Describe(ctx)
	if err != nil {
		return SessionInfo{}
	}
	return info
}

// release gives the sessions back to the cache.
func (o *opened) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.byFile {
		if o.profile != "" {
			o.e.sessions.retire(s)
		}
		s.used.Do(func() { o.e.sessions.weigh(s, s.ask(o.e.base)) })
		o.e.sessions.release(s)
	}
	clear(o.byFile)
}
