package conformance_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A foreign client is one of other people's, over one transport.
type foreign struct{ name, transport, mode string }

// site is the program with a model, served over HTTP.
type site struct {
	installation
	url, token, picture string
}

// newSite adds the model of the examples and serves it.
func newSite(t *testing.T) site {
	t.Helper()
	p := program(t)
	examples, err := filepath.Abs("../../../examples")
	if err != nil {
		t.Fatal(err)
	}
	add := exec.CommandContext(t.Context(), p.path, "models", "add", "--name", "face", filepath.Join(examples, "models", "blazeface"))
	add.Env = p.environ()
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	picture := filepath.Join(examples, "pictures", "grace_hopper.jpg")
	url := p.serve("--allow-path", filepath.Dir(picture))
	token, err := os.ReadFile(filepath.Join(p.home, "token"))
	if err != nil {
		t.Fatal(err)
	}
	return site{p, url, strings.TrimSpace(string(token)), picture}
}

// target is where a client connects to.
func (s site) target(transport string) string {
	switch transport {
	case "stdio":
		return s.path
	case "sse":
		return s.url + "/sse"
	}
	return s.url + "/mcp"
}

// script runs a client's script, which says whether all is well.
func (s site) script(t *testing.T, cmd *exec.Cmd, file string) {
	t.Helper()
	in, err := os.Open(filepath.Join("testdata", "clients", file))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd.Stdin, cmd.Env = in, append(s.environ(), "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "all is well") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The TypeScript SDKs do the whole job.
func TestClients_typescript(t *testing.T) {
	s := newSite(t)
	for _, c := range []foreign{
		{"v1", "stdio", "legacy"},
		{"v1", "http", "legacy"},
		{"v1", "sse", "legacy"},
		{"v2", "stdio", "auto"},
		{"v2", "http", "legacy"},
		{"v2", "http", "auto"},
		{"v2", "http", "2026-07-28"},
	} {
		t.Run(c.name+" "+c.transport+" "+c.mode, func(t *testing.T) {
			cmd := node(t, "--input-type=module", "-", c.name, c.transport, s.target(c.transport), c.mode, s.token, s.picture)
			cmd.Dir = filepath.Dir(modules(t))
			s.script(t, cmd, "client.mjs")
		})
	}
}

// The Python SDK does the whole job.
func TestClients_python(t *testing.T) {
	python := virtualenv(t)
	s := newSite(t)
	for _, c := range []foreign{{"", "stdio", "auto"}, {"", "http", "legacy"}, {"", "http", "auto"}, {"", "http", "2026-07-28"}} {
		t.Run(c.transport+" "+c.mode, func(t *testing.T) {
			s.script(t, exec.CommandContext(t.Context(), python, "-", c.transport, s.target(c.transport), c.mode, s.token, s.picture), "client.py")
		})
	}
}

// The Inspector lists, calls and finds nothing to complain of.
func TestClients_inspector(t *testing.T) {
	s := newSite(t)
	launcher := filepath.Join(modules(t), "@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")
	header := []string{"--header", "Authorization: Bearer " + s.token}
	for name, server := range map[string][]string{
		"stdio":  {s.path, "serve"},
		"legacy": append([]string{"--server-url", s.url + "/mcp", "--transport", "http", "--protocol-era", "legacy"}, header...),
		"auto":   append([]string{"--server-url", s.url + "/mcp", "--transport", "http", "--protocol-era", "auto"}, header...),
		"modern": append([]string{"--server-url", s.url + "/mcp", "--transport", "http", "--protocol-era", "modern"}, header...),
		"SSE":    append([]string{"--server-url", s.url + "/sse", "--transport", "sse"}, header...),
	} {
		t.Run(name, func(t *testing.T) {
			inspect := func(args ...string) []byte {
				t.Helper()
				cmd := node(t, append(append([]string{launcher, "--cli"}, server...), append(args, "--format", "json", "-q")...)...)
				cmd.Env = append(s.environ(), "HOME="+t.TempDir())
				var complaints strings.Builder
				cmd.Stderr = &complaints
				out, err := cmd.Output()
				if err != nil {
					t.Errorf("%v: %v\n%s%s", args, err, out, complaints.String())
				}
				return out
			}
			if out := inspect("--method", "tools/list", "--strict"); strings.Count(string(out), `"inputSchema"`) != 5 {
				t.Errorf("listed %s", out)
			}
			if out := inspect("--method", "tools/call", "--tool-name", "query_results", "--tool-args-json", `{"limit":1}`); !json.Valid(out) || !strings.Contains(string(out), "structuredContent") {
				t.Errorf("answered %s", out)
			}
		})
	}
}
