package mcpserver

import (
	"context"
	"encoding/json"
	"sync"
)

// A ledger notes which requests of one client are still to be answered, and
// which of those the client took back.
type ledger struct {
	mu        sync.Mutex // guards what follows
	pending   map[string]int
	cancelled map[string]bool
	changed   chan struct{} // closed and replaced when pending shrinks
}

func newLedger() *ledger {
	return &ledger{pending: map[string]int{}, cancelled: map[string]bool{}, changed: make(chan struct{})}
}

// An envelope is what is read of a message before mcp-go reads all of it.
type envelope struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
}

// open returns the envelope of a message. What is no JSON object has none;
// mcp-go says so to the client.
func open(message []byte) envelope {
	var e envelope
	if json.Unmarshal(message, &e) != nil {
		return envelope{}
	}
	return e
}

// request returns the id of a message that will be answered, or "".
func (e envelope) request() string {
	if e.Method == "" || e.Method == "subscriptions/listen" || len(e.Result) > 0 {
		return ""
	}
	return canonical(e.ID)
}

// cancels returns the id of the request that a message takes back, or "".
func (e envelope) cancels() string {
	if e.Method != "notifications/cancelled" {
		return ""
	}
	var p struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	if json.Unmarshal(e.Params, &p) != nil {
		return ""
	}
	return canonical(p.RequestID)
}

// canonical returns an id as an answer will spell it: mcp-go reads 1.0 and
// writes 1. No id, or null, is "".
func canonical(id json.RawMessage) string {
	var v any
	if len(id) == 0 || json.Unmarshal(id, &v) != nil || v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

// note remembers what a message leaves to be answered.
func (l *ledger) note(e envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id := e.cancels(); id != "" && l.pending[id] > 0 {
		l.cancelled[id] = true
	}
	if id := e.request(); id != "" {
		l.pending[id]++
	}
}

// isCancelled reports whether a request was taken back.
func (l *ledger) isCancelled(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cancelled[id]
}

// settle notes that a request was answered, or would have been.
func (l *ledger) settle(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[id]--; l.pending[id] <= 0 {
		delete(l.pending, id)
		delete(l.cancelled, id)
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// answered waits until a request is answered or ctx is done; id "" waits for
// all of them.
func (l *ledger) answered(ctx context.Context, id string) {
	for {
		l.mu.Lock()
		open, changed := l.pending[id] > 0, l.changed
		if id == "" {
			open = len(l.pending) > 0
		}
		l.mu.Unlock()
		if !open {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
