package mcpserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/resources"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// work is a tool that takes 5 ms.
func work(s *server.MCPServer) {
	s.AddTool(mcp.NewTool("work"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		<-time.After(5 * time.Millisecond)
		return mcp.NewToolResultText("worked"), nil
	})
}

// loaded is this server on a stubbed engine, with that tool.
func loaded(e *fake) *mcpserver.Server {
	return mcpserver.NewContent(mcpserver.Content{Add: func(s *server.MCPServer) {
		s.AddTools(tools.All(e, nil)...)
		s.AddResources(resources.All(e, nil)...)
		work(s)
	}}, mcpserver.Options{})
}

// A tally is how the calls of many clients went.
type tally struct {
	mu                       sync.Mutex
	right, overloaded, wrong int
	took                     []time.Duration // of the 5 ms tool
}

// p99 returns the time that one in a hundred calls of the tool takes longer
// than.
func (a *tally) p99() time.Duration {
	slices.Sort(a.took)
	return a.took[len(a.took)*99/100]
}

// load has 64 clients make calls, nine in ten of query_results and one of the
// 5 ms tool.
func load(t testing.TB, url string, calls int, seed uint64) *tally {
	t.Helper()
	const clients = 64
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	var all tally
	var wait sync.WaitGroup
	for i := range clients {
		wait.Go(func() {
			c := loadClient{t: t, http: &http.Client{Transport: transport}, url: url + "/mcp", rand: rand.New(rand.NewPCG(seed, uint64(i)))}
			c.session = c.send(initialize).header.Get("Mcp-Session-Id")
			for n := range calls {
				c.call(n, &all)
			}
		})
	}
	wait.Wait()
	return &all
}

// A loadClient is one of them.
type loadClient struct {
	t       testing.TB
	http    *http.Client
	url     string
	session string
	rand    *rand.Rand
	body    string // of the last answer
}

func (c *loadClient) send(message string) reply {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url, strings.NewReader(message))
	if err != nil {
		c.t.Error(err)
		return reply{}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Mcp-Session-Id", c.session)
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Error(err)
		return reply{}
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Error(err)
	}
	c.body = string(data)
	return reply{status: res.StatusCode, header: res.Header}
}

// call makes one call and notes how it went.
func (c *loadClient) call(id int, all *tally) {
	limit := c.rand.IntN(1000) + 1
	tool, args, want := "query_results", fmt.Sprintf(`{"limit":%d}`, limit), fmt.Sprintf(`\"n\":%d}`, limit)
	if c.rand.IntN(10) == 0 {
		tool, args, want = "work", "{}", "worked"
	}
	start := time.Now()
	c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, id, tool, args))
	took := time.Since(start)
	all.mu.Lock()
	defer all.mu.Unlock()
	switch {
	case strings.Contains(c.body, want) && json.Valid([]byte(c.body)):
		all.right++
	case strings.Contains(c.body, "overloaded"):
		all.overloaded++
	default:
		all.wrong++
	}
	if tool == "work" {
		all.took = append(all.took, took)
	}
}

// Many clients at once are answered right, or told that they are too many.
func TestLoad(t *testing.T) {
	calls, s := counted(1000), seed(t)
	site := serveWith(t, loaded(newFake()), mcpserver.HTTPOptions{Drain: time.Minute})
	all := load(t, site.url, calls, s)
	t.Logf("%d right, %d overloaded, %d wrong; p99 of the 5 ms tool %s", all.right, all.overloaded, all.wrong, all.p99())
	if all.wrong > 0 || all.right*100 < 95*64*calls {
		t.Errorf("%d right, %d overloaded, %d wrong", all.right, all.overloaded, all.wrong)
	}
}

// The load is held: round after round goes as the first, and leaves nothing
// behind. With STRESS=1 it goes on for an hour.
func TestLoad_held(t *testing.T) {
	s := seed(t)
	end := time.Now()
	if stress() {
		end = end.Add(time.Hour)
	}
	site := serveWith(t, loaded(newFake()), mcpserver.HTTPOptions{Drain: time.Minute})
	calls, few := counted(100), 2
	var before, after runtime.MemStats
	right, overloaded, rounds := 0, 0, 0
	for ; rounds <= few || time.Now().Before(end); rounds++ {
		all := load(t, site.url, calls, s+uint64(rounds))
		if right, overloaded = right+all.right, overloaded+all.overloaded; all.wrong > 0 {
			t.Fatalf("round %d: %d answers were wrong", rounds, all.wrong)
		}
		if rounds == few {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d rounds: %d right, %d overloaded; the heap grew by %d bytes", rounds, right, overloaded, grown)
	if right*100 < 95*64*calls*rounds {
		t.Errorf("only %d of %d answers were right", right, 64*calls*rounds)
	}
	if grown > 20<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}
