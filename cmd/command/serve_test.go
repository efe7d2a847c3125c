package command_test

import (
	"bufio"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

// command returns the program with a data directory of its own.
func command(t *testing.T, home string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "IPFS_ACCELERATE_HOME="+home, "ORT_LIB="+enginetest.Runtime(t), "GORACE=")
	return cmd
}

// addFace puts the model of the examples into a data directory.
func addFace(t *testing.T, home string) (cid string) {
	t.Helper()
	out, err := command(t, home, "models", "add", "--json", "--name", "face", examples(t, "models/blazeface")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var added struct{ CID string }
	if err := json.Unmarshal(out, &added); err != nil {
		t.Fatal(err)
	}
	return added.CID
}

func examples(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// connect is a client of the independent implementation.
func connect(t *testing.T, transport mcp.Transport, progress chan<- struct{}) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) {
			select {
			case progress <- struct{}{}:
			default:
			}
		},
	})
	session, err := client.Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() }) // not what is tested
	return session
}

// stdio starts a server and connects to it.
func stdio(t *testing.T, home string, progress chan<- struct{}, args ...string) (*mcp.ClientSession, *exec.Cmd) {
	t.Helper()
	cmd := command(t, home, append([]string{"serve"}, args...)...)
	cmd.Stderr = t.Output()
	return connect(t, &mcp.CommandTransport{Command: cmd}, progress), cmd
}

// A reply is what a test reads of an answer.
type reply struct {
	IsError bool
	Content []mcp.Content

	CID, Status, Best, Level string
	RunID                    string `json:"run_id"`
	Outputs                  []struct {
		Label string
		Score float64
	}
	Results []struct{ Samples int }
	Rows    []map[string]any
	Error   engine.ErrorInfo
}

// call calls a tool and decodes what it answers.
func call(ctx context.Context, s *mcp.ClientSession, tool string, args map[string]any) (reply, error) {
	params := &mcp.CallToolParams{Name: tool, Arguments: args}
	params.SetProgressToken("token")
	res, err := s.CallTool(ctx, params)
	if err != nil {
		return reply{}, err
	}
	data, err := json.Marshal(res.StructuredContent)
	if err != nil {
		return reply{}, err
	}
	r := reply{IsError: res.IsError, Content: res.Content}
	return r, json.Unmarshal(data, &r)
}

// must is call for an answer that is no error.
func must(t *testing.T, s *mcp.ClientSession, tool string, args map[string]any) reply {
	t.Helper()
	r, err := call(t.Context(), s, tool, args)
	if err != nil || r.IsError {
		t.Fatalf("%s: %+v, %v", tool, r, err)
	}
	return r
}

// findFace runs the example and wants the face in it.
func findFace(t *testing.T, s *mcp.ClientSession) reply {
	t.Helper()
	r := must(t, s, "run_inference", map[string]any{
		"model": "face", "inputs": examples(t, "pictures/grace_hopper.jpg"), "parameters": map[string]any{"annotate": true},
	})
	if len(r.Outputs) != 1 || r.Outputs[0].Label != "face" || r.Outputs[0].Score < 0.9 {
		t.Errorf("found %+v", r.Outputs)
	}
	return r
}

// mainJob is the whole of what an agent comes for.
func mainJob(t *testing.T, s *mcp.ClientSession) {
	t.Helper()
	if tools, err := s.ListTools(t.Context(), nil); err != nil || len(tools.Tools) != 5 {
		t.Fatalf("%+v, %v", tools, err)
	}
	if d := must(t, s, "detect_hardware", nil); d.Best != "cpu" {
		t.Errorf("best is %q", d.Best)
	}
	if f := must(t, s, "fetch_model_cid", map[string]any{"model": "face"}); f.Level != "L2" {
		t.Errorf("got %+v", f)
	}
	found := findFace(t, s)
	link, ok := found.Content[len(found.Content)-1].(*mcp.ResourceLink)
	if !ok || len(found.Content) != 3 {
		t.Fatalf("contents %+v", found.Content)
	}
	png, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: link.URI})
	if err != nil || !strings.HasPrefix(string(png.Contents[0].Blob), "\x89PNG") {
		t.Errorf("%s: %v", link.URI, err)
	}
	b := must(t, s, "run_benchmark", map[string]any{"model": "face", "iterations": 5, "warmup": 1})
	if len(b.Results) != 1 || b.Results[0].Samples != 5 {
		t.Errorf("measured %+v", b)
	}
	q := must(t, s, "query_results", map[string]any{"sql": "select count(*) as n from benchmark_results where model_name = 'face'"})
	if len(q.Rows) != 1 || q.Rows[0]["n"] == float64(0) {
		t.Errorf("rows %v", q.Rows)
	}
}

// The main job over each transport of the real program.
func TestServe_mainJob(t *testing.T) {
	home := t.TempDir()
	addFace(t, home)
	allow := "--allow-path=" + examples(t, "pictures")
	t.Run("stdio", func(t *testing.T) {
		session, cmd := stdio(t, home, nil, allow)
		mainJob(t, session)
		if err := session.Close(); err != nil || !cmd.ProcessState.Success() {
			t.Errorf("closed: %v, %v", err, cmd.ProcessState)
		}
	})
	cmd, url := serveHTTP(t, home, allow)
	for name, transport := range map[string]mcp.Transport{
		"streamable": &mcp.StreamableClientTransport{Endpoint: url + "/mcp", HTTPClient: withToken(t, home)},
		"SSE":        &mcp.SSEClientTransport{Endpoint: url + "/sse", HTTPClient: withToken(t, home)},
	} {
		t.Run(name, func(t *testing.T) { mainJob(t, connect(t, transport, nil)) })
	}
	stop(t, cmd)
}

// serveHTTP starts a server on HTTP and returns its address.
func serveHTTP(t *testing.T, home string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := command(t, home, append([]string{"serve", "--transport", "http", "--listen", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) //nolint:errcheck // it may have ended
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			go func() {
				for lines.Scan() {
					t.Log(lines.Text())
				}
			}()
			return cmd, strings.TrimSuffix(url, "/mcp")
		}
	}
	t.Fatal("the server does not listen")
	return nil, ""
}

// withToken is a client that sends the token of a data directory.
func withToken(t *testing.T, home string) *http.Client {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(home, "token"))
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: bearer(strings.TrimSpace(string(token)))}
}

// bearer is a transport that adds a token.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// stop asks a server to end, as a service manager does.
func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return // there is nothing to ask with
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// One instance serves its models, another fetches one by its CID and runs it.
func TestServe_gateway(t *testing.T) {
	there, here := t.TempDir(), t.TempDir()
	cid := addFace(t, there)
	cmd, url := serveHTTP(t, there, "--gateway")
	session, _ := stdio(t, here, nil, "--source", "there="+url, "--allow-path", examples(t, "pictures"))
	got := must(t, session, "fetch_model_cid", map[string]any{"model": "ipfs://" + cid, "name": "face"})
	if got.CID != cid || got.Level != "L4" {
		t.Errorf("got %+v", got)
	}
	findFace(t, session)
	var h engine.Health
	if err := json.Unmarshal([]byte(resource(t, session, "health://")), &h); err != nil || len(h.Sources) != 1 || h.Sources[0].LastSuccess == nil || h.Sources[0].Bytes == 0 {
		t.Errorf("health://: %+v, %v", h, err)
	}
	if text := resource(t, session, "metrics://"); !strings.Contains(text, `ipfs_accelerate_source_last_success_timestamp_seconds{source="there"} 1`) ||
		!strings.Contains(text, fmt.Sprintf(`ipfs_accelerate_source_bytes_total{source="there"} %d`, h.Sources[0].Bytes)) {
		t.Errorf("metrics://: %s", text)
	}
	stop(t, cmd)
}

// A port that is taken is no mistake of usage.
func TestServe_portTaken(t *testing.T) {
	_, url := serveHTTP(t, t.TempDir())
	cmd := command(t, t.TempDir(), "serve", "--transport", "http", "--listen", strings.TrimPrefix(url, "http://"))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "in use") {
		t.Errorf("%v: %s", err, out)
	}
}

// The process that talks to agents has no C in it.
func TestServe_isPureGo(t *testing.T) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(info.Settings, debug.BuildSetting{Key: "CGO_ENABLED", Value: "0"}) {
		t.Errorf("built with %v", info.Settings)
	}
	for _, dep := range info.Deps {
		if strings.Contains(dep.Path, "onnxruntime_go") || strings.Contains(dep.Path, "duckdb-go") {
			t.Errorf("the server is linked with %s", dep.Path)
		}
	}
}

// waitUntil looks again and again until what it looks for is there.
func waitUntil(t *testing.T, what string, look func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !look() {
		select {
		case <-tick.C:
		case <-limit.Done():
			t.Fatal("waited in vain until " + what)
		}
	}
}

// endless writes a model whose run never ends.
func endless(t *testing.T) map[string]any {
	t.Helper()
	m := enginetest.WriteModel(t, enginetest.Endless())
	return map[string]any{
		"model": filepath.Join(m.Dir, enginetest.ModelFile), "tensors": []any{map[string]any{"name": "x", "shape": []int{1}, "data": []int{1}}},
	}
}
