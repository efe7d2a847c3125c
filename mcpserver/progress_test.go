package mcpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// chatter is a server with one tool, which tells its progress as often as it
// is asked to, at once: a real tool does so five times a second at most.
func chatter() *mcpserver.Server {
	return mcpserver.NewContent(mcpserver.Content{Add: func(s *server.MCPServer) {
		s.AddTool(mcp.NewTool("chat", mcp.WithNumber("n")), func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			for i := range r.GetInt("n", 0) {
				tools.NotifierOf(ctx)("notifications/progress", map[string]any{"progressToken": r.Params.Meta.ProgressToken, "progress": i + 1})
			}
			return mcp.NewToolResultText("done"), nil
		})
	}}, mcpserver.Options{})
}

const concurrent = 64

// Of many calls at once in one session, each is told all of its own progress,
// and nothing of another's, on its own stream and before its answer.
func TestProgress_exact(t *testing.T) {
	each := counted(8000) / concurrent
	s := serveWith(t, chatter(), mcpserver.HTTPOptions{Drain: time.Minute})
	started := s.post(initialize)
	session := started.header.Get("Mcp-Session-Id")
	listener := s.do(http.MethodGet, "/mcp", nil, "Mcp-Session-Id", session) // steals, with mcp-go alone
	wantStatus(t, "listen", listener, http.StatusOK)
	for era, header := range map[string][]string{
		"2025-11-25": {"Mcp-Session-Id", session},
		"2026-07-28": {"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "chat"},
	} {
		t.Run(era, func(t *testing.T) {
			var wait sync.WaitGroup
			for i := range concurrent {
				params := fmt.Sprintf(`"name":"chat","arguments":{"n":%d}`, each)
				body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{%s,"_meta":{"progressToken":%d}}}`, i, params, i)
				if era == "2026-07-28" {
					body = modern(i, "tools/call", params)
					body = strings.Replace(body, `"_meta":{`, fmt.Sprintf(`"_meta":{"progressToken":%d,`, i), 1)
				}
				wait.Go(func() { wantProgress(t, text(t, s.post(body, header...)), i, each) })
			}
			wait.Wait()
		})
	}
	s.stop()
	rest, err := io.ReadAll(listener.body)
	if err != nil || bytes.Contains(rest, []byte("progress")) {
		t.Errorf("the session's stream got %.300s, %v", rest, err)
	}
}

// wantProgress wants a stream of n steps of one call, and its answer.
func wantProgress(t *testing.T, stream string, call, n int) {
	t.Helper()
	step := 0
	for line := range strings.Lines(stream) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var m struct {
			ID     *int
			Method string
			Params struct{ ProgressToken, Progress int }
		}
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if m.ID != nil {
			if *m.ID != call || step != n {
				t.Errorf("call %d: answer to %d after %d of %d steps", call, *m.ID, step, n)
			}
			return
		}
		if step++; m.Params.ProgressToken != call || m.Params.Progress != step {
			t.Errorf("call %d: step %d of %d, want step %d", call, m.Params.Progress, m.Params.ProgressToken, step)
		}
	}
	t.Errorf("call %d is not answered: %.200s", call, stream)
}

// A pipe that is written at once and closed has all of its answers, whatever
// the order of fast and slow calls.
func TestServeStdio_pipes(t *testing.T) {
	const calls = 600
	r := rand.New(rand.NewPCG(seed(t), 0))
	for range counted(20) {
		lines := []string{initialize}
		for i := range calls {
			n := 0
			if r.IntN(10) == 0 {
				n = r.IntN(20)
			}
			lines = append(lines, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"chat","arguments":{"n":%d},"_meta":{"progressToken":%d}}}`, i, n, i))
		}
		var out bytes.Buffer
		if err := chatter().ServeStdio(t.Context(), strings.NewReader(strings.Join(lines, "\n")), &out, time.Minute); err != nil {
			t.Fatal(err)
		}
		answered := map[string]bool{}
		for line := range bytes.Lines(out.Bytes()) {
			if m := parse(t, line); m.Method == "" && m.Error == nil {
				answered[string(m.ID)] = true
			}
		}
		if len(answered) != calls+1 {
			t.Fatalf("%d of %d calls are answered", len(answered)-1, calls)
		}
	}
}
