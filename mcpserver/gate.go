package mcpserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// maxLine bounds one message on stdin. Tensors travel as files, not inline.
const maxLine = 64 << 20

// A gate stands between the streams and mcp-go, which answers requests in any
// order and drops those in flight when its input ends. The gate holds what
// follows an initialize until that is answered, holds the end of the input
// until everything is answered, and drops answers to cancelled requests.
type gate struct {
	in    *bufio.Reader
	out   io.Writer
	drain time.Duration
	done  <-chan struct{} // closed when the server stops

	// Only Read uses these.
	rest []byte // of the line that is being read
	hold func() // waits for what must happen before the next line; may be nil
	end  error  // of the input

	mu        sync.Mutex // guards what follows
	pending   map[string]bool
	cancelled map[string]bool
	changed   chan struct{} // closed and replaced when pending shrinks
}

func newGate(ctx context.Context, in io.Reader, out io.Writer, drain time.Duration) *gate {
	return &gate{
		in: bufio.NewReaderSize(in, 1<<16), out: out, drain: drain, done: ctx.Done(),
		pending: map[string]bool{}, cancelled: map[string]bool{}, changed: make(chan struct{}),
	}
}

// envelope is what the gate reads of a message.
type envelope struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		RequestID json.RawMessage `json:"requestId"`
	} `json:"params"`
}

// Read gives mcp-go the input, a line at a time.
func (g *gate) Read(p []byte) (int, error) {
	for len(g.rest) == 0 {
		if g.hold != nil {
			g.hold()
			g.hold = nil
		}
		if g.end != nil {
			return 0, g.end
		}
		g.next()
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// next reads a line, and arranges what must happen before the one after it.
func (g *gate) next() {
	line, err := readLine(g.in)
	if err != nil {
		g.end = err
		g.hold = g.drained
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	if line[len(line)-1] != '\n' {
		line = append(line, '\n')
	}
	g.rest = line
	var m envelope
	if json.Unmarshal(line, &m) != nil {
		return
	}
	g.note(m)
	if id := string(m.ID); m.Method == "initialize" && g.hold == nil {
		g.hold = func() { g.wait(g.done, func() bool { return !g.pending[id] }) }
	}
}

// drained waits until everything is answered, for the drain time at most.
func (g *gate) drained() {
	timeout := make(chan struct{})
	timer := time.AfterFunc(g.drain, func() { close(timeout) })
	defer timer.Stop()
	g.wait(timeout, func() bool { return len(g.pending) == 0 })
}

// note remembers what a message leaves to be answered.
func (g *gate) note(m envelope) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case m.Method == "notifications/cancelled" && g.pending[string(m.Params.RequestID)]:
		g.cancelled[string(m.Params.RequestID)] = true
	case len(m.ID) > 0 && m.Method != "" && m.Method != "subscriptions/listen": // a subscription is never answered
		g.pending[string(m.ID)] = true
	}
}

// wait returns when done reports true, giving up is closed, or the server
// stops. done is called with g.mu held.
func (g *gate) wait(givingUp <-chan struct{}, done func() bool) {
	for {
		g.mu.Lock()
		finished, changed := done(), g.changed
		g.mu.Unlock()
		if finished {
			return
		}
		select {
		case <-changed:
		case <-givingUp:
			return
		case <-g.done:
			return
		}
	}
}

// Write passes one message of mcp-go on. It writes a whole message at a time.
func (g *gate) Write(p []byte) (int, error) {
	id, isAnswer := answerID(p)
	if !isAnswer {
		return g.out.Write(p)
	}
	g.mu.Lock()
	drop := g.cancelled[id]
	g.mu.Unlock()
	n, err := len(p), error(nil)
	if !drop {
		n, err = g.out.Write(p)
	}
	g.mu.Lock()
	delete(g.pending, id)
	delete(g.cancelled, id)
	close(g.changed)
	g.changed = make(chan struct{})
	g.mu.Unlock()
	return n, err
}

// answerID returns the id that an answer begins with, as JSON.
func answerID(message []byte) (string, bool) {
	rest, ok := bytes.CutPrefix(message, []byte(`{"jsonrpc":"2.0","id":`))
	if !ok {
		return "", false
	}
	var id json.RawMessage
	if json.NewDecoder(bytes.NewReader(rest)).Decode(&id) != nil {
		return "", false
	}
	return string(id), true
}

// readLine reads up to and including a newline. A line over maxLine is skipped
// whole: what stands for it is no JSON, which mcp-go answers with a parse error.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line) <= maxLine {
			line = append(line, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if len(line) > maxLine {
			line = []byte("message too large\n")
		}
		return line, err
	}
}
