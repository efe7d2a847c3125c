package mcpserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// A gate stands between the streams and mcp-go, which answers requests in any
// order and drops those in flight when its input ends. The gate holds what
// follows an initialize until that is answered, holds the end of the input
// until everything is answered, and drops answers to cancelled requests.
type gate struct {
	*ledger
	in     *bufio.Reader
	drain  time.Duration
	limits Limits
	stop   context.Context //nolint:containedctx // the server's; Read has none

	// Only Read uses these.
	rest []byte // of the line that is being read
	hold func() // waits for what must happen before the next line; may be nil
	end  error  // of the input

	mu  sync.Mutex // one message at a time
	out io.Writer
}

func newGate(ctx context.Context, in io.Reader, out io.Writer, drain time.Duration, l Limits) *gate {
	return &gate{ledger: newLedger(), in: bufio.NewReaderSize(in, 1<<16), out: out, drain: drain, limits: l, stop: ctx}
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
	line, whole, err := readLine(g.in, g.limits.Line)
	if err != nil {
		g.end, g.hold = err, g.drained
	}
	if !whole {
		g.refuse(&refusal{codeParse, fmt.Sprintf("the message is longer than %d bytes (limit line)", g.limits.Line)})
		return
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	e, refused := check(line, g.limits.Depth)
	if refused != nil {
		g.refuse(refused)
		return
	}
	if line[len(line)-1] != '\n' {
		line = append(line, '\n')
	}
	g.rest = line
	g.note(e)
	if id := e.request(); e.Method == "initialize" && id != "" && g.hold == nil {
		g.hold = func() { g.answered(g.stop, id) }
	}
}

// refuse answers what is not passed on.
func (g *gate) refuse(r *refusal) {
	g.Write(r.message()) //nolint:errcheck // the next answer meets the same error
}

// drained waits until everything is answered, for the drain time at most.
func (g *gate) drained() {
	ctx, cancel := context.WithTimeout(g.stop, g.drain)
	defer cancel()
	g.answered(ctx, "")
}

// Write passes one message of mcp-go on. It writes a whole message at a time.
func (g *gate) Write(p []byte) (int, error) {
	id := answerID(p)
	if id != "" {
		defer g.settle(id)
		if g.isCancelled(id) {
			return len(p), nil
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.Write(p)
}

// notify writes a notification.
func (g *gate) notify(method string, params map[string]any) {
	if message, err := notification(method, params); err == nil {
		g.Write(append(message, '\n')) //nolint:errcheck // the answer meets the same error
	}
}

// notification returns a JSON-RPC notification.
func notification(method string, params map[string]any) ([]byte, error) {
	return json.Marshal(struct {
		JSONRPC string         `json:"jsonrpc"`
		Method  string         `json:"method"`
		Params  map[string]any `json:"params"`
	}{"2.0", method, params})
}

// answerID returns the id that an answer begins with; "" is no answer.
func answerID(message []byte) string {
	rest, ok := bytes.CutPrefix(message, []byte(`{"jsonrpc":"2.0","id":`))
	if !ok {
		return ""
	}
	var id json.RawMessage
	if json.NewDecoder(bytes.NewReader(rest)).Decode(&id) != nil {
		return ""
	}
	return canonical(id)
}

// readLine reads up to and including a newline. A line over the limit is
// skipped, and is not whole.
func readLine(r *bufio.Reader, limit int) (line []byte, whole bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line) <= limit {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return line, len(line) <= limit, err
	}
}
