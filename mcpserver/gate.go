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
	out   io.Writer
	drain time.Duration

	mu        sync.Mutex // guards what follows
	pending   map[string]bool
	cancelled map[string]bool
	changed   chan struct{} // closed and replaced when pending shrinks
}

func newGate(out io.Writer, drain time.Duration) *gate {
	return &gate{out: out, drain: drain, pending: map[string]bool{}, cancelled: map[string]bool{}, changed: make(chan struct{})}
}

// envelope is what the gate reads of a message.
type envelope struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		RequestID json.RawMessage `json:"requestId"`
	} `json:"params"`
}

// reader returns what mcp-go reads instead of in.
func (g *gate) reader(ctx context.Context, in io.Reader) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		lines := bufio.NewReaderSize(in, 1<<16)
		for {
			line, err := readLine(lines)
			if len(bytes.TrimSpace(line)) > 0 {
				if werr := g.pass(ctx, pw, line); werr != nil {
					return
				}
			}
			if err != nil {
				drain, cancel := context.WithTimeout(ctx, g.drain)
				g.wait(drain, func() bool { return len(g.pending) == 0 })
				cancel()
				pw.CloseWithError(err) //nolint:errcheck // it returns nil
				return
			}
		}
	}()
	return pr
}

// pass hands one line on.
func (g *gate) pass(ctx context.Context, pw *io.PipeWriter, line []byte) error {
	var m envelope
	if json.Unmarshal(line, &m) == nil {
		g.note(m)
	}
	if line[len(line)-1] != '\n' {
		line = append(line, '\n')
	}
	if _, err := pw.Write(line); err != nil {
		return err
	}
	if m.Method == "initialize" {
		id := string(m.ID)
		g.wait(ctx, func() bool { return !g.pending[id] })
	}
	return nil
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

// wait returns when done reports true, or ctx is done.
func (g *gate) wait(ctx context.Context, done func() bool) {
	for {
		g.mu.Lock()
		finished, changed := done(), g.changed
		g.mu.Unlock()
		if finished {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
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
