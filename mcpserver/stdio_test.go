package mcpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

const initialize = `{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// request is a tools/call of run_inference.
func request(id any, model, inputs string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%v,"method":"tools/call","params":{"name":"run_inference","arguments":{"model":%q,"inputs":[%q]},"_meta":{"progressToken":%v}}}`, id, model, inputs, id)
}

// A message is what a test reads of one.
type message struct {
	ID     json.RawMessage
	Method string
	Params struct {
		ProgressToken json.RawMessage
	}
	Result struct {
		IsError           bool
		StructuredContent json.RawMessage
	}
	Error *struct{ Code int }
}

func parse(t *testing.T, line []byte) message {
	t.Helper()
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return m
}

// All is written at once, and the input ends: everything is answered, the
// handshake first.
func TestServeStdio_pipe(t *testing.T) {
	const calls = 600
	lines := []string{initialize}
	for i := range calls {
		lines = append(lines, request(i, "m", fmt.Sprint("input ", i)))
	}
	var out bytes.Buffer
	in := strings.NewReader(strings.Join(lines, "\n")) // the last line has no end
	if err := newServer(newFake()).ServeStdio(t.Context(), in, &out, time.Minute); err != nil {
		t.Fatal(err)
	}
	answers := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if len(answers) != calls+1 {
		t.Fatalf("%d answers to %d requests", len(answers), calls+1)
	}
	seen := map[string]bool{}
	for i, line := range answers {
		m := parse(t, line)
		if (string(m.ID) == `"init"`) != (i == 0) || seen[string(m.ID)] || m.Error != nil {
			t.Errorf("answer %d: %.200s", i, line)
		}
		if i > 0 && !bytes.Contains(line, []byte("input "+string(m.ID)+`"`)) {
			t.Errorf("answer %s is of another call: %.200s", m.ID, line)
		}
		seen[string(m.ID)] = true
	}
}

// Calls that are going on when the input ends are waited for.
func TestServeStdio_drains(t *testing.T) {
	const calls = 20
	e := newFake()
	c := dial(t, newServer(e), time.Hour)
	for i := range calls {
		c.send(request(i, "hold", "x"))
	}
	for range calls {
		<-e.started
	}
	c.in.Close()
	close(e.release)
	answers := c.close()
	if len(answers) != calls {
		t.Fatalf("%d of %d calls were answered", len(answers), calls)
	}
	for _, line := range answers {
		if m := parse(t, []byte(line)); m.Result.IsError || !strings.Contains(line, "held") {
			t.Errorf("got %s", line)
		}
	}
}

// A call that never ends is cancelled when the drain time is over.
func TestServeStdio_drainTimeout(t *testing.T) {
	e := newFake()
	c := dial(t, newServer(e), time.Millisecond)
	c.send(initialize)
	c.receive()
	c.send(request(1, "hold", "x"))
	<-e.started
	c.close()
	if err := <-e.ended; err == nil {
		t.Error("the call was not cancelled")
	}
}

// A server that is stopped cancels its calls, and does not wait for input.
func TestServeStdio_stopped(t *testing.T) {
	e := newFake()
	in, inW := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newServer(e).ServeStdio(ctx, in, io.Discard, time.Hour) }()
	if _, err := io.WriteString(inW, request(1, "hold", "x")+"\n"); err != nil {
		t.Fatal(err)
	}
	<-e.started
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := <-e.ended; err == nil {
		t.Error("the call was not cancelled")
	}
	inW.Close()
}

// What a client takes back ends, and is not answered.
func TestServeStdio_cancelled(t *testing.T) {
	e := newFake()
	c := dial(t, newServer(e), time.Minute)
	c.send(initialize)
	c.receive()
	c.send(request(`"a\u0062"`, "hold", "x")) // an answer would spell it otherwise
	<-e.started
	c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"ab"}}`)
	if err := <-e.ended; err == nil {
		t.Error("the call was not cancelled")
	}
	c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"ab"}}`) // again
	c.send(request(2, "m", "x"))
	if m := parse(t, c.receive()); string(m.ID) != "2" {
		t.Errorf("%s was answered", m.ID)
	}
	if rest := c.close(); !slices.Equal(rest, []string{""}) {
		t.Errorf("the server also said %v", rest)
	}
}

// A call that is taken back before its turn does not run.
func TestServeStdio_cancelledInQueue(t *testing.T) {
	const workers = 100
	e := newFake()
	c := dial(t, newServer(e), time.Minute)
	for i := range workers {
		c.send(request(i, "hold", "x"))
	}
	for range workers {
		<-e.started
	}
	c.send(request(workers, "hold", "late"),
		fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, workers),
		`{"jsonrpc":"2.0","id":"sync","method":"ping"}`)
	c.receive() // of the ping: the line before is read
	close(e.release)
	if rest := c.close(); len(rest) != workers {
		t.Errorf("%d answers, want %d", len(rest), workers)
	}
	select {
	case inputs := <-e.started:
		t.Errorf("%s ran", inputs)
	default:
	}
}

// Requests that look odd don't hold up the end of the input.
func TestServeStdio_oddRequests(t *testing.T) {
	in := strings.Join([]string{
		`{"jsonrpc":"2.0","id":null,"method":"initialize"}`,
		`{"jsonrpc":"2.0","id":1.0,"method":"initialize","params":{}}`,
		`{"jsonrpc":"2.0","id":2,"method":"ping","result":{}}`,
		`{"jsonrpc":"2.0","id":3,"result":{}}`,
		`{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}`,
		`{"jsonrpc":"2.0","id":true,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":4,"id":5,"method":"ping"}`,
		`{"id":6,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen"}`,
		"", "   ", "\x00",
		request(8, "m", "x"), request(8, "m", "x"),
	}, "\n")
	var out bytes.Buffer
	if err := newServer(newFake()).ServeStdio(t.Context(), strings.NewReader(in), &out, 24*time.Hour); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), `"id":8,`); n != 2 {
		t.Errorf("%d answers to two calls of one id:\n%s", n, out.String())
	}
}

// A line over the limit is answered, and the next works.
func TestServeStdio_largeLine(t *testing.T) {
	c := dial(t, newServer(newFake()), time.Minute)
	go func() {
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		for range 65 {
			c.in.Write(chunk) //nolint:errcheck // the test reads the answer
		}
		io.WriteString(c.in, "\n"+request(1, "m", "after")+"\n") //nolint:errcheck // as above
	}()
	if m := parse(t, c.receive()); m.Error == nil || m.Error.Code != -32700 || string(m.ID) != "null" {
		t.Errorf("got %+v", m)
	}
	if line := c.receive(); !bytes.Contains(line, []byte("after")) {
		t.Errorf("got %s", line)
	}
	c.close()
}

// Progress is not lost, and not told after its call is answered.
func TestServeStdio_progress(t *testing.T) {
	const calls = 50
	e := newFake()
	close(e.release)
	c := dial(t, newServer(e), time.Minute)
	go func() {
		for i := range calls {
			io.WriteString(c.in, request(i, "progress", "x")+"\n") //nolint:errcheck // the test reads the answers
		}
		c.in.Close()
	}()
	told, answered := map[string]int{}, map[string]bool{}
	for len(answered) < calls { // a slow call is told of more than once
		m := parse(t, c.receive())
		token := string(m.Params.ProgressToken)
		if m.Method == "" {
			answered[string(m.ID)] = true
		} else if told[token]++; answered[token] || m.Method != "notifications/progress" {
			t.Errorf("%s for %s after its answer", m.Method, token)
		}
	}
	if len(told) != calls {
		t.Errorf("told of %d", len(told))
	}
	c.close()
}
