package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A caller is a client in Go: it calls a tool, and is told of progress.
type caller interface {
	tools(ctx context.Context) (int, error)
	call(ctx context.Context, tool string, args map[string]any) (structured any, isError bool, err error)
	told() <-chan float64
	close() error
}

// answer is what a test reads of an answer.
type answer struct {
	Best, CID string
	Outputs   []struct{ Label string }
	Results   []struct{ Samples int }
	Rows      []any
	Error     struct{ Code string }
}

// The clients in Go do the whole job.
func TestClients_go(t *testing.T) {
	s := newSite(t)
	for name, connect := range map[string]func(*testing.T, site, string) caller{"go-sdk": connectSDK, "mcp-go": connectMCPGo} {
		for _, over := range []string{"stdio", "http", "sse"} {
			t.Run(name+" "+over, func(t *testing.T) {
				c := connect(t, s, over)
				wholeJob(t, c, s.picture)
				if err := c.close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func wholeJob(t *testing.T, c caller, picture string) {
	t.Helper()
	must := func(tool string, args map[string]any) answer {
		t.Helper()
		structured, isError, err := c.call(t.Context(), tool, args)
		a := decode(t, structured)
		if err != nil || isError {
			t.Fatalf("%s: %+v, %v", tool, a, err)
		}
		return a
	}
	if n, err := c.tools(t.Context()); n != 5 || err != nil {
		t.Fatalf("%d tools, %v", n, err)
	}
	structured, isError, err := c.call(t.Context(), "run_inference", map[string]any{"modl": "face"})
	if a := decode(t, structured); err != nil || !isError || a.Error.Code != "unknown_argument" {
		t.Errorf("a tool error: %+v, %v, %v", a, isError, err)
	}
	if a := must("detect_hardware", nil); a.Best != "cpu" {
		t.Errorf("best is %q", a.Best)
	}
	if a := must("fetch_model_cid", map[string]any{"model": "face"}); a.CID == "" {
		t.Error("no CID")
	}
	if a := must("run_inference", map[string]any{"model": "face", "inputs": []string{picture}}); len(a.Outputs) != 1 || a.Outputs[0].Label != "face" {
		t.Errorf("found %+v", a.Outputs)
	}
	if a := must("run_benchmark", map[string]any{"model": "face", "iterations": 100_000, "duration_s": 1}); len(a.Results) == 0 || a.Results[0].Samples == 0 {
		t.Errorf("measured %+v", a.Results)
	}
	select {
	case <-c.told():
	case <-time.After(time.Minute):
		t.Fatal("not told of any progress")
	}
	cancelJob(t, c)
	if a := must("query_results", nil); len(a.Rows) == 0 {
		t.Error("nothing is recorded")
	}
}

// cancelJob takes a call back when it has told its progress.
func cancelJob(t *testing.T, c caller) {
	t.Helper()
	for len(c.told()) > 0 { // what the last call told
		<-c.told()
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-c.told()
		cancel()
	}()
	if _, _, err := c.call(ctx, "run_benchmark", map[string]any{"model": "face", "iterations": 100_000, "duration_s": 30}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call ends with %v", err)
	}
}

func decode(t *testing.T, structured any) (a answer) {
	t.Helper()
	data, err := json.Marshal(structured)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &a); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return a
}

// server is the program as a client starts it.
func (s site) server() *exec.Cmd {
	cmd := exec.Command(s.path, "serve", "--allow-path", filepath.Dir(s.picture))
	cmd.Env = s.environ()
	return cmd
}

// RoundTrip sends a request with the token.
func (s site) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+s.token)
	return http.DefaultTransport.RoundTrip(r)
}

// sdk is a client of the official SDK.
type sdk struct {
	session *mcp.ClientSession
	steps   chan float64
}

func connectSDK(t *testing.T, s site, over string) caller {
	t.Helper()
	c := sdk{steps: make(chan float64, 1000)}
	client := mcp.NewClient(&mcp.Implementation{Name: "t", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { c.steps <- r.Params.Progress },
	})
	transports := map[string]mcp.Transport{
		"stdio": &mcp.CommandTransport{Command: s.server()},
		"http":  &mcp.StreamableClientTransport{Endpoint: s.target("http"), HTTPClient: &http.Client{Transport: s}},
		"sse":   &mcp.SSEClientTransport{Endpoint: s.target("sse"), HTTPClient: &http.Client{Transport: s}},
	}
	var err error
	if c.session, err = client.Connect(t.Context(), transports[over], nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c sdk) tools(ctx context.Context) (int, error) {
	list, err := c.session.ListTools(ctx, nil)
	if err != nil {
		return 0, err
	}
	return len(list.Tools), nil
}

func (c sdk) call(ctx context.Context, tool string, args map[string]any) (any, bool, error) {
	params := &mcp.CallToolParams{Name: tool, Arguments: args}
	params.SetProgressToken("token")
	res, err := c.session.CallTool(ctx, params)
	if err != nil {
		return nil, false, err
	}
	return res.StructuredContent, res.IsError, nil
}

func (c sdk) told() <-chan float64 { return c.steps }
func (c sdk) close() error         { return c.session.Close() }

// theirs is a client of mcp-go.
type theirs struct {
	client *client.Client
	steps  chan float64
}

func connectMCPGo(t *testing.T, s site, over string) caller {
	t.Helper()
	headers := map[string]string{"Authorization": "Bearer " + s.token}
	var c *client.Client
	var err error
	switch over {
	case "stdio":
		cmd := s.server()
		c, err = client.NewStdioMCPClient(cmd.Path, cmd.Env, cmd.Args[1:]...)
	case "http":
		c, err = client.NewStreamableHttpClient(s.target(over), transport.WithHTTPHeaders(headers))
	default:
		c, err = client.NewSSEMCPClient(s.target(over), transport.WithHeaders(headers))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	steps := make(chan float64, 1000)
	c.OnNotification(func(n mcpgo.JSONRPCNotification) {
		if n.Method == "notifications/progress" {
			done, _ := n.Params.AdditionalFields["progress"].(float64)
			steps <- done
		}
	})
	if _, err := c.Initialize(t.Context(), mcpgo.InitializeRequest{}); err != nil {
		t.Fatal(err)
	}
	return theirs{c, steps}
}

func (c theirs) tools(ctx context.Context) (int, error) {
	list, err := c.client.ListTools(ctx, mcpgo.ListToolsRequest{})
	if err != nil {
		return 0, err
	}
	return len(list.Tools), nil
}

func (c theirs) call(ctx context.Context, tool string, args map[string]any) (any, bool, error) {
	var r mcpgo.CallToolRequest
	r.Params.Name, r.Params.Arguments, r.Params.Meta = tool, args, &mcpgo.Meta{ProgressToken: "token"}
	res, err := c.client.CallTool(ctx, r)
	if err != nil {
		return nil, false, err
	}
	return res.StructuredContent, res.IsError, nil
}

func (c theirs) told() <-chan float64 { return c.steps }
func (c theirs) close() error         { return c.client.Close() }
