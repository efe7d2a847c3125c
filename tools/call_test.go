package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/mcptest"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Through a client and a server, arguments arrive and answers come back as
// they were.
func TestTools_throughAClient(t *testing.T) {
	var asked engine.FetchRequest
	e := answering(full)
	e.fetch = func(_ context.Context, r engine.FetchRequest, _ func(engine.Progress)) (engine.Fetching, error) {
		asked = r
		return engine.Fetching{CID: "bafy<&>", Bytes: 9007199254740993}, nil
	}
	srv, err := mcptest.NewServer(t, All(e, nil)...)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	var req mcp.CallToolRequest
	req.Params.Name = "fetch_model_cid"
	req.Params.Arguments = map[string]any{"model": "m", "max_bytes": int64(9007199254740993), "files": "*.json", "pin": "true"}
	res, err := srv.Client().CallTool(t.Context(), req)
	if err != nil || res.IsError {
		t.Fatalf("%v, %+v", err, res)
	}
	want := engine.FetchRequest{Model: "m", MaxBytes: 9007199254740993, Files: []string{"*.json"}, Pin: true}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
	const text = `{"cid":"bafy<&>","bytes":9007199254740993,"complete":false,"verified":false}`
	if got := res.Content[0].(mcp.TextContent).Text; got != text {
		t.Errorf("text is %s", got)
	}
	if s, ok := res.StructuredContent.(map[string]any); !ok || s["cid"] != "bafy<&>" {
		t.Errorf("structured content is %v", res.StructuredContent)
	}
}

// An error of the engine's has its five fields in both places.
func TestTools_errorShape(t *testing.T) {
	e := &engine.Error{
		Code: engine.ErrModelNotFound, Message: "model \"x\" is not here", Hint: "<ask>", ValidValues: []string{"a", "b"}, Retryable: true,
		Err: errors.New("/secret/path"),
	}
	const want = `{"error":{"code":"model_not_found","message":"model \"x\" is not here","hint":"<ask>","valid_values":["a","b"],"retryable":true}}`
	for _, tool := range All(failing(fmt.Errorf("wrapped in /secret/path: %w", e)), nil) {
		res := call(t, tool, "{}")
		if got := string(res.StructuredContent.(json.RawMessage)); got != want || !res.IsError {
			t.Errorf("%s: %s", tool.Tool.Name, got)
		}
	}
}

// What is our mistake is logged and not told.
func TestTools_internalErrorsStayInside(t *testing.T) {
	const secret = "/home/ada/token=abc"
	for name, e := range map[string]*fake{
		"error": failing(errors.New(secret)),
		"panic": {detect: func(context.Context, engine.DetectRequest, func(engine.Progress)) (engine.Detection, error) {
			panic(secret)
		}},
		"no JSON": {detect: answer[engine.DetectRequest](engine.Detection{
			Platforms: engine.Platforms{{Verified: &engine.Verification{Model: secret, MaxAbsDiff: math.NaN()}}},
		}, nil)},
	} {
		var log bytes.Buffer
		res := call(t, All(e, slog.New(slog.NewTextHandler(&log, nil)))[0], "{}")
		info := failed(t, res)
		if info.Code != engine.ErrInternal || !info.Retryable || info.Hint == "" {
			t.Errorf("%s: %+v", name, info)
		}
		if strings.Contains(string(res.StructuredContent.(json.RawMessage)), "ada") {
			t.Errorf("%s: told %s", name, res.StructuredContent)
		}
		if !strings.Contains(log.String(), "detect_hardware") || name != "no JSON" && !strings.Contains(log.String(), "token=abc") {
			t.Errorf("%s: logged %q", name, log.String())
		}
		if name == "panic" && !strings.Contains(log.String(), "call_test.go") {
			t.Errorf("%s: logged without a stack: %s", name, log.String())
		}
	}
}

// Pictures are shown if they are small, files are linked.
func TestTools_pictures(t *testing.T) {
	e := answering(full)
	e.infer = answer[engine.InferRequest](engine.Inference{
		Pictures: []engine.Picture{{Name: "0.png", PNG: []byte("small")}, {Name: "1.png", PNG: make([]byte, maxImage+1)}},
		Files:    []engine.FileRef{{URI: "results://r/0.png", MIMEType: "image/png", Bytes: 5}},
	}, nil)
	res := call(t, tool(t, e, "run_inference"), "{}")
	if len(res.Content) != 3 {
		t.Fatalf("%d contents", len(res.Content))
	}
	if image := res.Content[1].(mcp.ImageContent); image.Data != "c21hbGw=" || image.MIMEType != "image/png" {
		t.Errorf("%+v", image)
	}
	if link := res.Content[2].(mcp.ResourceLink); link.URI != "results://r/0.png" || link.MIMEType != "image/png" {
		t.Errorf("%+v", link)
	}
	if strings.Contains(string(res.StructuredContent.(json.RawMessage)), "small") {
		t.Error("the picture is in the structured content")
	}
}

// A client is told at most five times a second, of what grows.
func TestTools_progress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := answering(full)
		e.fetch = func(_ context.Context, _ engine.FetchRequest, report func(engine.Progress)) (engine.Fetching, error) {
			for i := range int64(300) { // three seconds
				report(engine.Progress{Done: i, Total: 300, Unit: "bytes", Message: "phase"})
				time.Sleep(10 * time.Millisecond)
			}
			report(engine.Progress{Done: 5}) // a later phase counts anew
			return engine.Fetching{}, nil
		}
		var got []map[string]any
		ctx := WithNotifier(t.Context(), func(method string, params map[string]any) {
			if method != "notifications/progress" {
				t.Error(method)
			}
			got = append(got, params)
		})
		var req mcp.CallToolRequest
		if _, err := tool(t, e, "fetch_model_cid").Handler(ctx, req); err != nil || len(got) != 0 {
			t.Errorf("told %v without being asked, %v", got, err)
		}
		req.Params.Meta = &mcp.Meta{ProgressToken: "tok"}
		if _, err := tool(t, e, "fetch_model_cid").Handler(ctx, req); err != nil {
			t.Fatal(err)
		}
		if len(got) != 15 {
			t.Errorf("told %d times in three seconds", len(got))
		}
		for i, params := range got {
			want := map[string]any{"progressToken": "tok", "progress": int64(20 * i), "total": int64(300), "message": "phase"}
			if !reflect.DeepEqual(params, want) {
				t.Errorf("%d: %v", i, params)
			}
		}
	})
}

// Without a transport of ours, progress goes through mcp-go.
func TestTools_progressThroughAClient(t *testing.T) {
	e := answering(full)
	e.fetch = func(_ context.Context, _ engine.FetchRequest, report func(engine.Progress)) (engine.Fetching, error) {
		report(engine.Progress{Done: 1, Unit: "bytes"})
		return engine.Fetching{}, nil
	}
	srv, err := mcptest.NewServer(t, All(e, nil)...)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	told := make(chan mcp.JSONRPCNotification, 10)
	srv.Client().OnNotification(func(n mcp.JSONRPCNotification) { told <- n })
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Meta = "fetch_model_cid", &mcp.Meta{ProgressToken: "tok"}
	if _, err := srv.Client().CallTool(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	n := <-told
	if n.Method != "notifications/progress" || n.Params.AdditionalFields["progressToken"] != "tok" {
		t.Errorf("%+v", n)
	}
}

// Tools are called by many at once.
func TestTools_concurrent(t *testing.T) {
	e := answering(full)
	e.results = func(_ context.Context, r engine.ResultsRequest, _ func(engine.Progress)) (engine.Results, error) {
		return engine.Results{Report: r.Model, Rows: engine.Rows{}}, nil
	}
	query := tool(t, e, "query_results")
	var wait sync.WaitGroup
	answers := make([]string, 50)
	for i := range answers {
		wait.Go(func() {
			res := call(t, query, fmt.Sprintf(`{"model":%d}`, i))
			answers[i] = string(res.StructuredContent.(json.RawMessage))
		})
	}
	wait.Wait()
	for i, got := range answers {
		if !strings.Contains(got, fmt.Sprintf(`"report":"%d"`, i)) {
			t.Errorf("%d: %s", i, got)
		}
	}
	if !slices.IsSortedFunc(answers[:10], strings.Compare) {
		t.Error(answers[:10])
	}
}
