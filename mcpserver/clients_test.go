package mcpserver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The other implementation of the protocol in Go works with this one, over
// every transport.
func TestClients(t *testing.T) {
	e := newFake()
	close(e.release)
	s := serve(t, e, time.Minute)
	httpClient := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(httpClient.CloseIdleConnections)
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- newServer(e).ServeStdio(t.Context(), in, out, time.Minute) }()
	for name, transport := range map[string]mcp.Transport{
		"stdio":      &mcp.IOTransport{Reader: fromServer, Writer: toServer},
		"streamable": &mcp.StreamableClientTransport{Endpoint: s.url + "/mcp", HTTPClient: httpClient},
		"SSE":        &mcp.SSEClientTransport{Endpoint: s.url + "/sse", HTTPClient: httpClient},
	} {
		t.Run(name, func(t *testing.T) { useClient(t, transport) })
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func useClient(t *testing.T, transport mcp.Transport) {
	told := make(chan any, 2*atOnce)
	client := mcp.NewClient(&mcp.Implementation{Name: "t", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			told <- r.Params.ProgressToken
		},
	})
	session, err := client.Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	t.Logf("speaks %s", session.InitializeResult().ProtocolVersion)
	tools, err := session.ListTools(t.Context(), nil)
	if err != nil || len(tools.Tools) != 5 {
		t.Fatalf("%+v, %v", tools, err)
	}
	read, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "results://r/0.png"})
	if err != nil || len(read.Contents) != 1 || string(read.Contents[0].Blob) != "\x89PNG\x00" || read.Contents[0].MIMEType != "image/png" {
		t.Errorf("%+v, %v", read, err)
	}
	if _, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "nope://"}); err == nil {
		t.Error("an unknown resource was read")
	}
	if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "nope"}); err == nil {
		t.Error("an unknown tool was called")
	}
	wrong, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "run_inference", Arguments: map[string]any{"modl": "m"}})
	if err != nil || !wrong.IsError {
		t.Errorf("%+v, %v", wrong, err)
	}
	callAtOnce(t, session)
	tokens := map[any]bool{}
	for range atOnce { // the client tells late, but all of it
		tokens[<-told] = true
	}
	if len(tokens) != atOnce || len(told) != 0 {
		t.Errorf("told of %d calls, and %d times more", len(tokens), len(told))
	}
}

const atOnce = 32

// callAtOnce makes calls that each tell their progress once.
func callAtOnce(t *testing.T, session *mcp.ClientSession) {
	var wait sync.WaitGroup
	for i := range atOnce {
		wait.Go(func() {
			params := &mcp.CallToolParams{Name: "run_inference", Arguments: map[string]any{"model": "progress", "inputs": []string{fmt.Sprint("input ", i)}}}
			params.SetProgressToken(fmt.Sprint("token ", i))
			res, err := session.CallTool(t.Context(), params)
			if err != nil || res.IsError {
				t.Errorf("%+v, %v", res, err)
				return
			}
			outputs := res.StructuredContent.(map[string]any)["outputs"].([]any)
			if got := outputs[0].(map[string]any)["label"]; got != fmt.Sprint("input ", i) {
				t.Errorf("call %d was answered %v", i, got)
			}
		})
	}
	wait.Wait()
}
