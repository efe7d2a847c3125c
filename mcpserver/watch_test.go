package mcpserver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// A shifting engine has models that come and go.
type shifting struct {
	*fake
	mu     sync.Mutex
	models []engine.StoredModel
}

func (s *shifting) Models(context.Context) ([]engine.StoredModel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]engine.StoredModel{}, s.models...), nil
}

func (s *shifting) add(root string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = append(s.models, engine.StoredModel{Root: root, Names: []string{"Name-of-" + root}})
}

func (s *shifting) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = nil
}

func newShifting() (*shifting, *mcpserver.Server) {
	e := &shifting{fake: newFake()}
	return e, mcpserver.New(e, mcpserver.Options{WatchEvery: 10 * time.Millisecond})
}

const subscribe = `{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"models://"}}`

// A client over stdio hears of models that come and go, and of the resource
// that it subscribed to, until it takes that back.
func TestWatch_stdio(t *testing.T) {
	e, srv := newShifting()
	c := dial(t, srv, time.Minute)
	c.send(initialize)
	c.receive()
	c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, subscribe)
	c.receive()
	e.add("bafyone")
	heard := map[string]bool{}
	for len(heard) < 2 {
		m := string(c.receive())
		for _, want := range []string{"notifications/resources/list_changed", `"notifications/resources/updated","params":{"uri":"models://"}`} {
			if strings.Contains(m, want) {
				heard[want] = true
			}
		}
	}
	c.send(`{"jsonrpc":"2.0","id":3,"method":"resources/unsubscribe","params":{"uri":"models://"}}`)
	for parse(t, c.receive()).ID == nil { // what was on its way comes first
	}
	e.clear()
	for !strings.Contains(string(c.receive()), "list_changed") { // updates on their way are done with
		t.Error("heard of what it did not subscribe to")
	}
	c.close()
}

// A session hears on its stream, and a stream of 2026-07-28 what it asked
// for, tagged, and no more.
func TestWatch_http(t *testing.T) {
	e, srv := newShifting()
	s := serveWith(t, srv, mcpserver.HTTPOptions{Drain: time.Minute})
	session := s.post(initialize).header.Get("Mcp-Session-Id")
	wantStatus(t, "initialized", s.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id", session), http.StatusAccepted)
	wantStatus(t, "subscribe", s.post(subscribe, "Mcp-Session-Id", session), http.StatusOK)
	wantStatus(t, "subscribe without a session", s.post(subscribe), http.StatusBadRequest)
	stream := func(r reply) *eventStream { return newEventStream(t, r) }
	legacy := stream(s.do(http.MethodGet, "/mcp", nil, "Mcp-Session-Id", session))
	header := []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen"}
	both := stream(s.post(modern(7, "subscriptions/listen", `"notifications":{"resourcesListChanged":true,"resourceSubscriptions":["models://"]}`), header...))
	one := stream(s.post(modern(8, "subscriptions/listen", `"notifications":{"resourceSubscriptions":["models://bafytwo"]}`), header...))
	for _, l := range []*eventStream{both, one} {
		if ack := l.next(); !strings.Contains(ack, "notifications/subscriptions/acknowledged") || !strings.Contains(ack, "models://") {
			t.Errorf("first is %s", ack)
		}
	}
	e.add("bafytwo")
	for name, l := range map[string]*eventStream{"session": legacy, "stream": both} {
		heard := ""
		for !strings.Contains(heard, "resources/updated") || !strings.Contains(heard, "resources/list_changed") {
			heard += l.next()
		}
		if name == "stream" && strings.Count(heard, `"io.modelcontextprotocol/subscriptionId":7`) != strings.Count(heard, `"method"`) {
			t.Errorf("not tagged: %s", heard)
		}
	}
	if got := one.next(); !strings.Contains(got, `"uri":"models://bafytwo"`) || !strings.Contains(got, `"io.modelcontextprotocol/subscriptionId":8`) {
		t.Errorf("heard %s", got)
	}
	list := text(t, s.post(`{"jsonrpc":"2.0","id":9,"method":"resources/list"}`))
	if !strings.Contains(list, `"uri":"models://bafytwo"`) || !strings.Contains(list, "Name-of-bafytwo") {
		t.Errorf("listed are %s", list)
	}
	s.stop()
}

// More subscriptions than the limit are refused by its name.
func TestWatch_limit(t *testing.T) {
	_, srv := newShifting()
	c := dial(t, srv, time.Minute)
	c.send(initialize)
	c.receive()
	refused := 0
	for i := range 110 {
		c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"resources/subscribe","params":{"uri":"models://bafy%d"}}`, i, i))
		if strings.Contains(string(c.receive()), "limit subscriptions") {
			refused++
		}
	}
	if refused < 9 || refused > 11 {
		t.Errorf("%d of 110 were refused", refused)
	}
	c.close()
}

// What clients open and drop is not kept: sessions make room for others.
func TestSessions_dropped(t *testing.T) {
	sessions := counted(10_000)
	s := serveWith(t, newServer(newFake()), mcpserver.HTTPOptions{Drain: time.Minute})
	open := func() string {
		res, err := s.client.Post(s.url+"/mcp", "application/json", strings.NewReader(initialize)) // s.post keeps what it got
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res.Status, err)
		}
		return res.Header.Get("Mcp-Session-Id")
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	first := open()
	for range mcpserver.DefaultLimits().Sessions { // as many as are kept
		open()
	}
	before := heap()
	for range sessions {
		open()
	}
	if after := heap(); after > before+20<<20 {
		t.Errorf("%d bytes are in use after %d sessions, %d before", after, sessions, before)
	}
	wantStatus(t, "the first", s.post(ping, "Mcp-Session-Id", first), http.StatusNotFound)
	last := open()
	wantStatus(t, "the last", s.post(ping, "Mcp-Session-Id", last), http.StatusOK)
	wantStatus(t, "its end", s.do(http.MethodDelete, "/mcp", nil, "Mcp-Session-Id", last), http.StatusOK)
	wantStatus(t, "after its end", s.post(ping, "Mcp-Session-Id", last), http.StatusNotFound)
}

// Sessions that are all busy are not ended to make room; the limit is named.
func TestSessions_full(t *testing.T) {
	e := newFake()
	s := serveWith(t, mcpserver.New(e, mcpserver.Options{Limits: mcpserver.Limits{Sessions: 2}}), mcpserver.HTTPOptions{Drain: time.Minute})
	var wait sync.WaitGroup
	for i := range 2 {
		id := s.post(initialize).header.Get("Mcp-Session-Id")
		wait.Go(func() {
			if got := text(t, s.post(request(i, "hold", "x"), "Mcp-Session-Id", id)); !strings.Contains(got, "held") {
				t.Errorf("answered %s", got)
			}
		})
		<-e.started
	}
	res := s.post(initialize)
	if got := text(t, res); res.status != http.StatusServiceUnavailable || !strings.Contains(got, "limit sessions") {
		t.Errorf("%d %s", res.status, got)
	}
	close(e.release)
	wait.Wait()
	wantStatus(t, "there is room again", s.post(initialize), http.StatusOK)
}

// One call too many is told so, as an answer, and may come again.
func TestCalls_overloaded(t *testing.T) {
	e := newFake()
	s := serveWith(t, mcpserver.New(e, mcpserver.Options{Limits: mcpserver.Limits{Calls: 1}}), mcpserver.HTTPOptions{Drain: time.Minute})
	done := make(chan string)
	go func() { done <- text(t, s.post(request(1, "hold", "x"))) }()
	<-e.started
	if got := text(t, s.post(request(2, "m", "x"))); !strings.Contains(got, `"code":"overloaded"`) || !strings.Contains(got, `"retryable":true`) || !strings.Contains(got, "limit calls") {
		t.Errorf("answered %s", got)
	}
	close(e.release)
	if got := <-done; !strings.Contains(got, "held") {
		t.Errorf("answered %s", got)
	}
	if got := text(t, s.post(request(3, "m", "x"))); strings.Contains(got, "overloaded") {
		t.Errorf("answered %s", got)
	}
}
