package mcpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// A site is a server on HTTP.
type site struct {
	t      *testing.T
	url    string
	client *http.Client
	stop   context.CancelFunc
	done   chan error
}

// serve serves e until stop, or the end of the test.
func serve(t *testing.T, e *fake, drain time.Duration) *site {
	t.Helper()
	return serveWith(t, newServer(e), mcpserver.HTTPOptions{Drain: drain})
}

// serveWith serves srv with further options.
func serveWith(t *testing.T, srv *mcpserver.Server, o mcpserver.HTTPOptions) *site {
	t.Helper()
	l, err := mcpserver.Listen(t.Context(), mcpserver.ListenOptions{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, srv, l, o)
}

// serveOn serves srv on l.
func serveOn(t *testing.T, srv *mcpserver.Server, l net.Listener, o mcpserver.HTTPOptions) *site {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &site{t, "http://" + l.Addr().String(), &http.Client{Transport: &http.Transport{}}, stop, make(chan error, 1)}
	o.OpenMounts = map[string]http.Handler{"/ipfs/": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "block") })} //nolint:errcheck // a test server
	go func() {
		s.done <- srv.ServeHTTP(ctx, l, o)
		close(s.done)
	}()
	t.Cleanup(func() {
		stop()
		s.client.CloseIdleConnections()
		for err := range s.done {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

// do sends a request. Header pairs follow the body.
func (s *site) do(method, path string, body io.Reader, header ...string) reply {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { res.Body.Close() })
	return reply{res.StatusCode, res.Header, res.Body}
}

// A reply is a response whose body is closed at the end of the test.
type reply struct {
	status int
	header http.Header
	body   io.ReadCloser
}

func (s *site) post(message string, header ...string) reply {
	s.t.Helper()
	return s.do(http.MethodPost, "/mcp", strings.NewReader(message), header...)
}

func text(t *testing.T, r reply) string {
	t.Helper()
	data, err := io.ReadAll(r.body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wantStatus(t *testing.T, what string, r reply, want int) {
	t.Helper()
	if r.status != want {
		t.Errorf("%s: status %d, want %d", what, r.status, want)
	}
}

var routes = []string{"/mcp", "/sse", "/message", "/healthz", "/ipfs/bafy", "/"}

// No page of another site reaches any route, whatever name it has for this
// machine.
func TestServeHTTP_refusesOtherSites(t *testing.T) {
	s := serve(t, newFake(), time.Minute)
	port := s.url[strings.LastIndex(s.url, ":"):]
	for _, path := range routes {
		for _, host := range []string{
			"evil.example", "evil.example" + port, "127.0.0.1.evil.example" + port, "localhost.evil.example", "127.0.0.1.nip.io" + port,
			"10.0.0.1", "0.0.0.0" + port, "[::]" + port, "2130706433" + port, "127.1" + port, "localhost." + port, "[fe80::1]",
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
				wantStatus(t, method+path+" for "+host, s.do(method, path, nil, "Host", host), http.StatusForbidden)
			}
		}
		for _, origin := range []string{
			"https://evil.example", "null", "http://localhost", "http://127.0.0.1", "http://localhost:1", "https://127.0.0.1" + port,
			"http://127.0.0.1" + port + "@evil.example", "http://127.0.0.1" + port + ".evil.example", "http://localhost" + port, "file://", " ",
		} {
			res := s.do(http.MethodPost, path, strings.NewReader(`{}`), "Origin", origin)
			if origin == " " { // net/http sends none
				continue
			}
			wantStatus(t, path+" from "+origin, res, http.StatusForbidden)
			if res.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s from %s: allows %s", path, origin, res.header.Get("Access-Control-Allow-Origin"))
			}
		}
	}
	for _, host := range []string{"localhost" + port, "127.0.0.1" + port, "[::1]" + port, "LOCALHOST", "127.0.0.2"} {
		wantStatus(t, host, s.do(http.MethodGet, "/healthz", nil, "Host", host), http.StatusOK)
	}
	wantStatus(t, "own page", s.do(http.MethodGet, "/healthz", nil, "Origin", s.url), http.StatusOK)
}

// No answer tells a browser that other sites may read it.
func TestServeHTTP_allowsNoOrigin(t *testing.T) {
	s := serve(t, newFake(), time.Minute)
	for _, path := range routes {
		for _, header := range [][]string{nil, {"Origin", s.url}} {
			res := s.do(http.MethodGet, path, nil, header...)
			if got := res.header.Get("Access-Control-Allow-Origin"); got != "" && got != s.url {
				t.Errorf("%s allows %s", path, got)
			}
			res.body.Close()
		}
	}
}

// A body over the cap is refused, whether or not it says how long it is.
func TestServeHTTP_capsBodies(t *testing.T) {
	const size = 16<<20 + 1
	s := serve(t, newFake(), time.Minute)
	_, endpoint := s.openStream()
	for _, path := range []string{"/mcp", endpoint} {
		wantStatus(t, path, s.do(http.MethodPost, path, bytes.NewReader(make([]byte, size))), http.StatusRequestEntityTooLarge)
		chunked := io.MultiReader(bytes.NewReader(make([]byte, size))) // its length can't be seen
		wantStatus(t, path+" in chunks", s.do(http.MethodPost, path, chunked), http.StatusRequestEntityTooLarge)
	}
	wantStatus(t, "after that", s.post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`), http.StatusOK)
}

// Methods and types that the protocol does not know.
func TestServeHTTP_methods(t *testing.T) {
	s := serve(t, newFake(), time.Minute)
	_, endpoint := s.openStream()
	for _, c := range []struct {
		method, path string
		want         int
		header       []string
	}{
		{"GET", "/mcp", http.StatusMethodNotAllowed, nil},
		{"GET", "/mcp", http.StatusMethodNotAllowed, []string{"Mcp-Protocol-Version", "2026-07-28"}},
		{"DELETE", "/mcp", http.StatusMethodNotAllowed, nil},
		{"DELETE", "/mcp", http.StatusMethodNotAllowed, []string{"Mcp-Protocol-Version", "2026-07-28"}},
		{"PUT", "/mcp", http.StatusMethodNotAllowed, nil},
		{"POST", "/sse", http.StatusMethodNotAllowed, nil},
		{"GET", endpoint, http.StatusMethodNotAllowed, nil},
		{"POST", "/message", http.StatusNotFound, nil},
		{"POST", "/message?sessionId=nope", http.StatusNotFound, nil},
		{"POST", "/mcp", http.StatusUnsupportedMediaType, []string{"Content-Type", "text/plain"}},
		{"POST", endpoint, http.StatusUnsupportedMediaType, []string{"Content-Type", "text/plain;charset=UTF-8"}},
		{"POST", "/mcp", http.StatusUnsupportedMediaType, []string{"Content-Type", ""}},
		{"POST", "/mcp", http.StatusBadRequest, []string{"Mcp-Protocol-Version", "1999-01-01"}},
		{"GET", "/", http.StatusNotFound, nil},
		{"GET", "/healthz", http.StatusOK, nil},
		{"GET", "/ipfs/bafy", http.StatusOK, nil},
	} {
		res := s.do(c.method, c.path, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`), c.header...)
		wantStatus(t, fmt.Sprint(c.method, " ", c.path, " ", c.header), res, c.want)
	}
	for _, garbage := range []string{"", "hello", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, strings.Repeat("[", 20_000)} {
		if res := s.post(garbage); res.status != http.StatusBadRequest && res.status != http.StatusOK {
			t.Errorf("%.20q: status %d", garbage, res.status)
		} else if got := text(t, res); !strings.Contains(got, `"error"`) {
			t.Errorf("%.20q: %s", garbage, got)
		}
	}
}

// What is asked before the server stops is answered.
func TestServeHTTP_finishesCalls(t *testing.T) {
	e := newFake()
	s := serve(t, e, time.Hour)
	events, endpoint := s.openStream()
	wantStatus(t, "message", s.do(http.MethodPost, endpoint, strings.NewReader(request(7, "hold", "x"))), http.StatusAccepted)
	<-e.started
	answer := make(chan string)
	go func() { answer <- text(t, s.post(request(1, "hold", "x"))) }()
	<-e.started
	listening := s.post(modern(9, "subscriptions/listen", `"notifications":{}`), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
	s.stop()
	for { // until it listens no more
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	io.Copy(io.Discard, listening.body) //nolint:errcheck // it ends at once, though calls go on
	close(e.release)
	if got := <-answer; !strings.Contains(got, "held") {
		t.Errorf("got %q", got)
	}
	if got := events.next(); !strings.Contains(got, "held") || !strings.Contains(got, `"id":7`) {
		t.Errorf("got event %q", got)
	}
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

func modern(id int, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`, id, method, params)
}

// Calls that take too long are cancelled when the drain time is over.
func TestServeHTTP_drainTimeout(t *testing.T) {
	e := newFake()
	s := serve(t, e, time.Millisecond)
	_, endpoint := s.openStream()
	s.do(http.MethodPost, endpoint, strings.NewReader(request(7, "hold", "x")))
	<-e.started
	go func() {
		res, err := s.client.Post(s.url+"/mcp", "application/json", strings.NewReader(request(1, "hold", "x")))
		if err == nil {
			res.Body.Close()
		}
	}()
	<-e.started
	s.stop()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-e.ended; err == nil {
			t.Error("a call was not cancelled")
		}
	}
}

// A client takes back its own calls, and not one of the same id of others.
func TestServeHTTP_cancel(t *testing.T) {
	e := newFake()
	s := serve(t, e, time.Minute)
	var sessions, answers [2]string
	for i := range sessions {
		if sessions[i] = s.post(initialize).header.Get("Mcp-Session-Id"); sessions[i] == "" {
			t.Fatal("no session id")
		}
	}
	done := make(chan int)
	for i, id := range sessions {
		go func() {
			answers[i] = text(t, s.post(request(1, "hold", fmt.Sprint("client ", i)), "Mcp-Session-Id", id))
			done <- i
		}()
		<-e.started
	}
	const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
	wantStatus(t, "of nobody", s.post(cancel), http.StatusAccepted)
	wantStatus(t, "of another", s.post(cancel, "Mcp-Session-Id", "other"), http.StatusNotFound)
	wantStatus(t, "own", s.post(cancel, "Mcp-Session-Id", sessions[1]), http.StatusAccepted)
	if i := <-done; i != 1 || <-e.ended == nil || strings.Contains(answers[1], "held") {
		t.Errorf("client %d was answered %s", i, answers[i])
	}
	close(e.release)
	if <-done; !strings.Contains(answers[0], "held") {
		t.Errorf("the other was answered %s", answers[0])
	}
}

// A client that goes takes its calls with it.
func TestServeHTTP_disconnect(t *testing.T) {
	e := newFake()
	s := serve(t, e, time.Minute)
	events, endpoint := s.openStream()
	s.do(http.MethodPost, endpoint, strings.NewReader(request(7, "hold", "x")))
	<-e.started
	events.res.body.Close()
	if err := <-e.ended; err == nil {
		t.Error("a call over SSE was not cancelled")
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-e.started
		cancel()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/mcp", strings.NewReader(request(1, "hold", "x")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if res, err := s.client.Do(req); err == nil {
		res.Body.Close()
		t.Error("answered")
	}
	if err := <-e.ended; err == nil {
		t.Error("a call was not cancelled")
	}
}

// A client that takes no event stream gets JSON, without progress.
func TestServeHTTP_plainAnswer(t *testing.T) {
	e := newFake()
	close(e.release)
	s := serve(t, e, time.Minute)
	res := s.post(request(1, "progress", "x"), "Accept", "application/json")
	if got := text(t, res); res.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result":`) {
		t.Errorf("got %s: %s", res.header.Get("Content-Type"), got)
	}
	res = s.post(request(1, "progress", "x"))
	if got := text(t, res); res.header.Get("Content-Type") != "text/event-stream" || strings.Count(got, "event: message\ndata: ") != 2 {
		t.Errorf("got %s: %s", res.header.Get("Content-Type"), got)
	}
}

// Only this machine is listened to.
func TestListen_loopback(t *testing.T) {
	for _, address := range []string{
		"0.0.0.0:0", ":0", "[::]:0", "10.0.0.1:0", "example.com:0", "192.168.1.1:8765", "localhost", "127.0.0.1", "", "localhost.evil.example:0",
	} {
		if l, err := mcpserver.Listen(t.Context(), mcpserver.ListenOptions{Address: address}); !errors.Is(err, mcpserver.ErrExposed) {
			t.Errorf("%q: %v, %v", address, l, err)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "127.0.0.2:0", "[::1]:0"} {
		l, err := mcpserver.Listen(t.Context(), mcpserver.ListenOptions{Address: address})
		if err != nil && address == "127.0.0.1:0" {
			t.Fatal(err)
		} else if err != nil { // not every machine has IPv6, or more than one address
			t.Logf("%s: %v", address, err)
			continue
		}
		l.Close()
	}
}

// IPv6 is served as IPv4 is.
func TestServeHTTP_ipv6(t *testing.T) {
	l, err := mcpserver.Listen(t.Context(), mcpserver.ListenOptions{Address: "[::1]:0"})
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newServer(newFake()).ServeHTTP(ctx, l, mcpserver.HTTPOptions{Drain: time.Minute}) }()
	s := &site{t: t, url: "http://" + l.Addr().String(), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	wantStatus(t, "ping", s.post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, "Origin", s.url), http.StatusOK)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// eventStream is the receiving side of an SSE client.
type eventStream struct {
	t   *testing.T
	res reply
	in  *bufio.Reader
}

// openStream opens an event stream and returns where to send messages.
func (s *site) openStream() (*eventStream, string) {
	s.t.Helper()
	res := s.do(http.MethodGet, "/sse", nil)
	e := newEventStream(s.t, res)
	return e, e.next()
}

func newEventStream(t *testing.T, r reply) *eventStream {
	return &eventStream{t, r, bufio.NewReader(r.body)}
}

// next returns the data of the next event that is no ping.
func (e *eventStream) next() string {
	e.t.Helper()
	for {
		line, err := e.in.ReadString('\n')
		if err != nil {
			e.t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data:"); ok && !strings.Contains(data, `"method":"ping"`) {
			return strings.TrimSpace(data)
		}
	}
}
