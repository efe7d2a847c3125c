package mcpserver_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

const (
	token = "a-token-that-nobody-guesses"
	ping  = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
)

// limited are limits that a test can reach.
var limited = mcpserver.Limits{
	Body: 64 << 10, Header: 8 << 10, Line: 64 << 10, Sessions: 4, Streams: 2, Connections: 8, Patience: 300 * time.Millisecond,
}

// fortress serves with a token and low limits.
func fortress(t *testing.T, e *fake, l mcpserver.Limits) *site {
	t.Helper()
	return serveWith(t, mcpserver.New(e, mcpserver.Options{Limits: l}), mcpserver.HTTPOptions{
		Token: token, Hosts: []string{"gpu.example"}, Drain: time.Minute,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metrics") }),                                           //nolint:errcheck // a test server
		Mounts:  map[string]http.Handler{"/dashboard/": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "dashboard") })}, //nolint:errcheck // as above
	})
}

// Who has no token reaches what is open, and nothing else.
func TestServeHTTP_token(t *testing.T) {
	s := fortress(t, newFake(), mcpserver.Limits{})
	for _, path := range []string{"/mcp", "/sse", "/message?sessionId=x", "/metrics", "/dashboard/", "/", "/debug/pprof/", "/healthz/x"} {
		for name, header := range map[string][]string{
			"none": nil, "empty": {"Authorization", "Bearer "}, "wrong": {"Authorization", "Bearer " + token + "x"}, "half": {"Authorization", "Bearer " + token[:9]},
			"other scheme": {"Authorization", "Basic " + token}, "bare": {"Authorization", token}, "cookie": {"Cookie", "token=" + token},
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodHead} {
				res := s.do(method, path, strings.NewReader(ping), header...)
				wantStatus(t, fmt.Sprint(method, " ", path, " with token ", name), res, http.StatusUnauthorized)
				if got := res.header.Get("WWW-Authenticate"); got != `Bearer realm="ipfs-accelerate"` {
					t.Errorf("%s: asks for %q", path, got)
				}
				if strings.Contains(text(t, res), token) {
					t.Errorf("%s tells the token", path)
				}
			}
		}
		wantStatus(t, path+" with the token in its URL", s.do(http.MethodGet, path+"?token="+token, nil), http.StatusUnauthorized)
	}
	for _, path := range []string{"/healthz", "/readyz", "/ipfs/bafy"} {
		wantStatus(t, path, s.do(http.MethodGet, path, nil), http.StatusOK)
	}
	for _, path := range []string{"/metrics", "/dashboard/"} {
		wantStatus(t, path+" with the token", s.do(http.MethodGet, path, nil, "Authorization", "Bearer "+token), http.StatusOK)
	}
	wantStatus(t, "the token", s.post(ping, "Authorization", "bearer "+token), http.StatusOK)
	wantStatus(t, "by name", s.post(ping, "Authorization", "Bearer "+token, "Host", "gpu.example:443"), http.StatusOK)
	wantStatus(t, "rebound", s.post(ping, "Authorization", "Bearer "+token, "Host", "evil.example"), http.StatusForbidden)
	wantStatus(t, "another's page", s.post(ping, "Authorization", "Bearer "+token, "Origin", "https://evil.example"), http.StatusForbidden)
}

// Messages that are refused for what they are, on every transport; the server
// works on.
func TestAttacks_messages(t *testing.T) {
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for name, c := range map[string]struct {
		message string
		code    int
		reason  string
	}{
		"deep":            {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":` + deep + `}}`, -32700, "limit depth"},
		"deep objects":    {`{"jsonrpc":"2.0","id":1,"params":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_001), -32700, "limit depth"},
		"never closed":    {strings.Repeat("[", 10_000), -32700, "limit depth"},
		"repeated name":   {`{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}`, -32700, "repeats a name"},
		"repeated inside": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"detect_hardware","arguments":{"a":1,"\u0061":2}}}`, -32700, "repeats a name"},
		"not UTF-8":       {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"x\":\"\xff\"}}", -32700, "no valid JSON"},
		"lone surrogate":  {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\ud800"}}`, -32700, "no valid JSON"},
		"NaN":             {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}`, -32700, "no valid JSON"},
		"Infinity":        {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":-Infinity}}`, -32700, "no valid JSON"},
		"cut off":         {`{"jsonrpc":"2.0","id":1,`, -32700, "ends too early"},
		"two":             {ping + ping, -32700, "more follows"},
		"batch":           {"[" + ping + "]", -32600, "one message at a time"},
		"huge id":         {`{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 300) + `","method":"ping"}`, -32600, "limit id"},
		"huge number":     {`{"jsonrpc":"2.0","id":` + strings.Repeat("9", 300) + `,"method":"ping"}`, -32600, "limit id"},
	} {
		t.Run(name, func(t *testing.T) {
			want := func(where string, line []byte) {
				t.Helper()
				var m struct {
					ID    any
					Error struct {
						Code    int
						Message string
					}
				}
				if err := json.Unmarshal(line, &m); err != nil || m.ID != nil || m.Error.Code != c.code || !strings.Contains(m.Error.Message, c.reason) || len(line) > 300 {
					t.Errorf("%s answered %s (%v)", where, line, err)
				}
			}
			s := fortress(t, newFake(), mcpserver.Limits{})
			res := s.post(c.message, "Authorization", "Bearer "+token)
			wantStatus(t, "HTTP", res, http.StatusBadRequest)
			want("HTTP", []byte(text(t, res)))
			wantStatus(t, "after that", s.post(ping, "Authorization", "Bearer "+token), http.StatusOK)

			conn := dial(t, newServer(newFake()), time.Minute)
			conn.send(c.message)
			want("stdio", conn.receive())
			conn.send(ping)
			if m := parse(t, conn.receive()); string(m.ID) != "1" || m.Error != nil {
				t.Errorf("after that: %+v", m)
			}
			conn.close()
		})
	}
}

// Numbers that only look dangerous are ids like others.
func TestAttacks_oddIDs(t *testing.T) {
	s := fortress(t, newFake(), mcpserver.Limits{})
	for _, id := range []string{"-1", "0", "9007199254740993", "1e3", `"é"`, `""`, `"\u0000"`} {
		res := s.post(`{"jsonrpc":"2.0","id":`+id+`,"method":"ping"}`, "Authorization", "Bearer "+token)
		if got := text(t, res); res.status != http.StatusOK || !json.Valid([]byte(got)) {
			t.Errorf("id %s: %d %s", id, res.status, got)
		}
	}
}

// Bodies, headers and lines over their limits are refused by name.
func TestAttacks_sizes(t *testing.T) {
	s := fortress(t, newFake(), limited)
	big := bytes.Repeat([]byte(" "), int(limited.Body)+1)
	for name, body := range map[string]io.Reader{"with its length": bytes.NewReader(big), "in chunks": io.MultiReader(bytes.NewReader(big))} {
		res := s.do(http.MethodPost, "/mcp", body, "Authorization", "Bearer "+token)
		wantStatus(t, name, res, http.StatusRequestEntityTooLarge)
		if got := text(t, res); !strings.Contains(got, "limit body") {
			t.Errorf("%s: %s", name, got)
		}
	}
	wantStatus(t, "header", s.post(ping, "Authorization", "Bearer "+token, "X-Big", strings.Repeat("x", 3*limited.Header)), http.StatusRequestHeaderFieldsTooLarge)
	wantStatus(t, "after that", s.post(ping, "Authorization", "Bearer "+token), http.StatusOK)

	c := dial(t, mcpserver.New(newFake(), mcpserver.Options{Limits: limited}), time.Minute)
	go io.WriteString(c.in, strings.Repeat("x", 3*limited.Line)+"\n"+ping+"\n") //nolint:errcheck // the test reads the answers
	if line := c.receive(); !bytes.Contains(line, []byte("limit line")) {
		t.Errorf("a long line is answered %s", line)
	}
	if m := parse(t, c.receive()); string(m.ID) != "1" {
		t.Errorf("after that: %+v", m)
	}
	c.close()
}

// A client that sends its header or its body a byte at a time, or that takes
// nothing of what it is sent, is cut off.
func TestAttacks_slow(t *testing.T) {
	s := fortress(t, newFake(), limited)
	for name, sent := range map[string]string{
		"nothing": "",
		"header":  "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-",
		"body":    "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // a TCP connection has deadlines
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("not cut off: %v", err)
			}
		})
	}
	wantStatus(t, "after that", s.post(ping, "Authorization", "Bearer "+token), http.StatusOK)
}

// One stream too many is refused by the limit's name.
func TestAttacks_streams(t *testing.T) {
	s := fortress(t, newFake(), limited)
	for range limited.Streams {
		res := s.do(http.MethodGet, "/sse", nil, "Authorization", "Bearer "+token)
		wantStatus(t, "stream", res, http.StatusOK)
		defer res.body.Close()
	}
	res := s.do(http.MethodGet, "/sse", nil, "Authorization", "Bearer "+token)
	if got := text(t, res); res.status != http.StatusServiceUnavailable || !strings.Contains(got, "limit streams") {
		t.Errorf("one stream too many: %d %s", res.status, got)
	}
}

// One connection too many is refused by the limit's name, and there is room
// again when one has gone. No other was there before: where one leaves late, it
// makes room.
func TestAttacks_crowds(t *testing.T) {
	l := limited
	l.Patience = time.Minute
	s := fortress(t, newFake(), l)
	var conns []net.Conn
	refused := ""
	for range 3 * limited.Connections {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for _, conn := range conns[2*limited.Connections:] {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		refused = string(data)
	}
	if !strings.Contains(refused, "limit connections") {
		t.Errorf("one connection too many: %q", refused)
	}
	for _, conn := range conns {
		conn.Close()
	}
	eventually(t, "there is room again", func() bool {
		res, err := s.client.Get(s.url + "/healthz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// The rate is that of all clients, and refused by name.
func TestAttacks_rate(t *testing.T) {
	s := fortress(t, newFake(), mcpserver.Limits{Rate: 3})
	for range 3 {
		s.do(http.MethodGet, "/healthz", nil)
	}
	refused := 0
	for range 20 {
		if res := s.do(http.MethodGet, "/healthz", nil); res.status == http.StatusTooManyRequests && strings.Contains(text(t, res), "limit rate") {
			refused++
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// Errors tell nothing of files, tokens or addresses, whatever is asked.
func TestAttacks_probes(t *testing.T) {
	s := fortress(t, newFake(), mcpserver.Limits{})
	probes := []string{
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///etc/passwd"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"results://../../token"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"results://r/..%2f..%2ftoken"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_benchmark","arguments":{"model":"m"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_inference","arguments":{"model":"panic","inputs":["x"]}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"../../etc/passwd"}`,
		`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"/etc/passwd"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":{"$ref":"file:///etc/passwd"}}}`,
	}
	for _, probe := range probes {
		got := text(t, s.post(probe, "Authorization", "Bearer "+token))
		for _, secret := range []string{token, "/home", "root:", "goroutine", ".go:", "disco", "127.0.0.1"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s is told %q: %s", probe, secret, got)
			}
		}
		if !strings.Contains(got, "rror") {
			t.Errorf("%s is answered %s", probe, got)
		}
	}
	for _, path := range []string{"/../token", "/ipfs/../../token", "/mcp/../token", "//token", "/%2e%2e/token"} {
		if got := text(t, s.do(http.MethodGet, path, nil)); strings.Contains(got, token) {
			t.Errorf("%s holds the token", path)
		}
	}
}

// TLS is served, and a renewed certificate without a new start.
func TestListen_tls(t *testing.T) {
	cert, key := t.TempDir()+"/cert.pem", t.TempDir()+"/key.pem"
	first := writeCertificate(t, cert, key, "first")
	l, err := mcpserver.Listen(t.Context(), mcpserver.ListenOptions{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, newServer(newFake()), l, mcpserver.HTTPOptions{Drain: time.Minute})
	s.url = "https://" + l.Addr().String()
	s.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: first}}}
	wantStatus(t, "first", s.post(ping, "Origin", s.url), http.StatusOK)
	wantStatus(t, "another scheme", s.post(ping, "Origin", "http://"+l.Addr().String()), http.StatusForbidden)
	second := writeCertificate(t, cert, key, "second")
	renewed := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: second}}}
	eventually(t, "the second certificate is used", func() bool {
		res, err := renewed.Get(s.url + "/healthz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return true
	})
}
