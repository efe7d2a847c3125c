package command_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// get reads a page of a server.
func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func resource(t *testing.T, s *mcp.ClientSession, uri string) string {
	t.Helper()
	res, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
	if err != nil {
		t.Fatal(err)
	}
	return res.Contents[0].Text
}

// What a server tells of itself: numbers, health, its configuration, its log
// and traces, all of the same calls.
func TestServe_tellsOfItself(t *testing.T) {
	traced := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		traced <- string(body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	home := t.TempDir()
	root := addFace(t, home)
	log := filepath.Join(home, "log")
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("hunter2-hunter2-hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, url := serveHTTP(t, home, "--log-file", log, "--log-format", "json", "--log-level", "debug", "--source", "lab="+collector.URL+"/gateway",
		"--telemetry-otlp-endpoint", collector.URL, "--models", "face", "--allow-path", examples(t, "pictures"), "--server-limits-calls", "9")
	client := withToken(t, home)
	session := connect(t, &mcp.StreamableClientTransport{Endpoint: url + "/mcp", HTTPClient: client}, nil)
	waitUntil(t, "the named model is open", func() bool {
		_, text := get(t, client, url+"/metrics")
		return strings.Contains(text, "ipfs_accelerate_sessions_open 1")
	})
	if r, err := call(t.Context(), session, "run_inference", map[string]any{"model": "face", "inputs": []string{"/etc/hostname"}}); err != nil || !r.IsError {
		t.Fatal("it was read", err)
	}
	findFace(t, session)

	code, text := get(t, client, url+"/metrics")
	for _, want := range []string{
		`ipfs_accelerate_tool_calls_total{code="ok",tool="run_inference"} 1`, `ipfs_accelerate_tool_calls_total{code="not_allowed",tool="run_inference"} 1`,
		`ipfs_accelerate_model_cache_hits_total{level="L1"} 1`, `ipfs_accelerate_inference_phase_duration_seconds_count{phase="run"} 1`,
		`ipfs_accelerate_runners 2`, `go_goroutines`,
	} {
		if code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("/metrics, %d: no %s", code, want)
		}
	}
	if code, _ := get(t, http.DefaultClient, url+"/metrics"); code != http.StatusUnauthorized {
		t.Errorf("a stranger got %d", code)
	}
	if text := resource(t, session, "metrics://"); !strings.Contains(text, `ipfs_accelerate_tool_calls_total{code="ok",tool="run_inference"} 1`) {
		t.Errorf("metrics://: %s", text)
	}
	var h engine.Health
	if err := json.Unmarshal([]byte(resource(t, session, "health://")), &h); err != nil || h.Status != "ok" || h.Models != 1 || len(h.Sources) != 1 || h.Sources[0].Name != "lab" {
		t.Errorf("health://: %+v, %v", h, err)
	}
	if len(h.Errors) != 1 || h.Errors[0].Code != engine.ErrNotAllowed {
		t.Errorf("errors: %+v", h.Errors)
	}
	conf := resource(t, session, "config://")
	if !strings.Contains(conf, `"key":"server.limits.calls","value":9,"origin":{"level":"flag","name":"--server-limits-calls"}`) || strings.Contains(conf, "hunter2") {
		t.Errorf("config://: %s", conf)
	}
	if page := resource(t, session, "docs://configuration"); !strings.Contains(page, "`ipfs.timeout`") {
		t.Errorf("docs://configuration: %s", page)
	}
	if code, text := get(t, client, url+"/readyz"); code != http.StatusOK || !strings.Contains(text, "source lab: last success nothing yet") {
		t.Errorf("/readyz: %d, %s", code, text)
	}
	if _, text := get(t, http.DefaultClient, url+"/readyz"); text != "ready\n" {
		t.Errorf("a stranger was told %s", text)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	stop(t, cmd)

	lines, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	ran := regexp.MustCompile(`"msg":"a model ran","pid":\d+,"model":"` + root + `".*"request_id":"(\d+/[^"]*\\"[^"]*)"`).FindSubmatch(lines)
	if ran == nil || !regexp.MustCompile(`"msg":"tool called","tool":"run_inference".*"request_id":"`+regexp.QuoteMeta(string(ran[1]))+`"`).Match(lines) {
		t.Errorf("no request from client to runner in %s", lines)
	}
	if strings.Contains(string(lines), "hunter2") {
		t.Error("a secret in the log")
	}
	close(traced)
	all := ""
	for body := range traced {
		all += body
	}
	for _, span := range []string{"run_inference", "inference", "preprocess", "run", "compute", "not_allowed", root} {
		if !strings.Contains(all, span) {
			t.Errorf("no span of %s", span)
		}
	}
}
