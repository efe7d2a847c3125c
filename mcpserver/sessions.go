package mcpserver

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
)

// errNoSession is the error for a session that is not, or not any more.
var errNoSession = errors.New("no such session")

// sessions are those of clients before 2026-07-28 over streamable HTTP. They
// authenticate nobody; they are how such a client takes back its own calls
// and hears what the server has to tell. It is the SessionIdManager of mcp-go.
type sessions struct {
	limit int
	idle  time.Duration
	ended func(id string) // is told of sessions that end by themselves

	mu    sync.Mutex // guards what follows
	byID  map[string]*list.Element
	order *list.List // of *session, the latest used first
}

// A session is one client.
type session struct {
	id    string
	used  time.Time
	busy  int // requests that are being answered, and streams
	calls map[string]context.CancelFunc
}

func newSessions(l Limits, ended func(string)) *sessions {
	return &sessions{limit: l.Sessions, idle: l.Idle, ended: ended, byID: map[string]*list.Element{}, order: list.New()}
}

// room ends sessions that were idle for too long, and the longest idle one if
// there are too many. It reports whether there is room for one more.
func (s *sessions) room() bool {
	var gone []string
	s.mu.Lock()
	for e := s.order.Back(); e != nil; {
		at, before := e.Value.(*session), e.Prev()
		full := s.order.Len() >= s.limit
		if !full && time.Since(at.used) < s.idle {
			break // those before it were used later
		}
		if at.busy == 0 {
			s.drop(e)
			gone = append(gone, at.id)
		}
		e = before
	}
	room := s.order.Len() < s.limit
	s.mu.Unlock()
	for _, id := range gone {
		s.ended(id)
	}
	return room
}

// drop forgets a session. The caller holds mu.
func (s *sessions) drop(e *list.Element) {
	at := e.Value.(*session)
	for _, cancel := range at.calls {
		cancel()
	}
	delete(s.byID, at.id)
	s.order.Remove(e)
}

// Generate begins a session.
func (s *sessions) Generate() string {
	id := uuid.NewString()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[id] = s.order.PushFront(&session{id: id, used: time.Now(), calls: map[string]context.CancelFunc{}})
	return id
}

// Validate reports a session that is not there. Requests without one are
// served: they just can't be taken back.
func (s *sessions) Validate(id string) (terminated bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != "" && s.byID[id] == nil {
		return false, errNoSession
	}
	return false, nil
}

// Terminate ends a session and what it asked.
func (s *sessions) Terminate(id string) (notAllowed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[id]; e != nil {
		s.drop(e)
	}
	return false, nil
}

// use keeps a session from ending until the returned function is called.
func (s *sessions) use(id string) (done func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[id]
	if e == nil {
		return nil, false
	}
	at := e.Value.(*session)
	at.busy++
	at.used = time.Now()
	s.order.MoveToFront(e)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		at.busy--
		at.used = time.Now()
	}, true
}

// enter notes a call of a session until the returned function is called.
func (s *sessions) enter(id, call string, cancel context.CancelFunc) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[id]
	if e == nil {
		return func() {}
	}
	at := e.Value.(*session)
	at.calls[call] = cancel
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(at.calls, call)
	}
}

// cancel takes back a call of a session.
func (s *sessions) cancel(id, call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[id]; e != nil {
		if cancel := e.Value.(*session).calls[call]; cancel != nil {
			cancel()
		}
	}
}

// close ends all sessions.
func (s *sessions) close() {
	s.mu.Lock()
	var gone []string
	for id, e := range s.byID {
		gone = append(gone, id)
		s.drop(e)
	}
	s.mu.Unlock()
	for _, id := range gone {
		s.ended(id)
	}
}
