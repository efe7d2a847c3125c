package command_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// status returns the status of a GET.
func status(t *testing.T, c *http.Client, url string) int {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// The token is made at the first start, is the same at the next, and is said
// nowhere; what needs none is reached without.
func TestServe_token(t *testing.T) {
	home := t.TempDir()
	var before []byte
	for range 2 {
		cmd, url := serveHTTP(t, home, "--gateway")
		token, err := os.ReadFile(filepath.Join(home, "token"))
		if err != nil || before != nil && !bytes.Equal(token, before) {
			t.Fatalf("%q, then %q, %v", before, token, err)
		}
		before = token
		for path, want := range map[string]int{"/mcp": 401, "/sse": 401, "/metrics": 401, "/": 401, "/healthz": 200, "/readyz": 200} {
			if got := status(t, http.DefaultClient, url+path); got != want {
				t.Errorf("%s: status %d, want %d", path, got, want)
			}
		}
		if got := status(t, http.DefaultClient, url+"/ipfs/nope"); got == http.StatusUnauthorized {
			t.Error("/ipfs/ needs a token")
		}
		if got := status(t, withToken(t, home), url+"/"); got != http.StatusNotFound {
			t.Errorf("with the token: status %d", got)
		}
		stop(t, cmd)
	}
}

// Flags that would let strangers in are refused before anything listens.
func TestServe_exposed(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		wants string
	}{
		"no TLS":      {[]string{"--listen", "0.0.0.0:0"}, "without TLS"},
		"no token":    {[]string{"--listen", "0.0.0.0:0", "--auth", "none", "--insecure-plaintext"}, "without a token"},
		"other auth":  {[]string{"--auth", "basic"}, "none of token, none"},
		"half of TLS": {[]string{"--tls-cert", "cert.pem"}, "a key file"},
		"no address":  {[]string{"--listen", "8765"}, "neither HOST:PORT nor unix:PATH"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, t.TempDir(), append([]string{"serve", "--transport", "http"}, c.args...)...)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.wants) || strings.Contains(string(out), "listening") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// With --auth none nobody on this machine is asked.
func TestServe_authNone(t *testing.T) {
	home := t.TempDir()
	cmd, url := serveHTTP(t, home, "--auth", "none")
	if got := status(t, http.DefaultClient, url+"/"); got != http.StatusNotFound {
		t.Errorf("status %d", got)
	}
	if _, err := os.Stat(filepath.Join(home, "token")); err == nil {
		t.Error("a token was made")
	}
	stop(t, cmd)
}

// One server speaks over its streams and a Unix socket at once, and ends with
// its input.
func TestServe_severalTransports(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the test's paths are Unix's")
	}
	home := t.TempDir()
	socket := filepath.Join(home, "s")
	session, cmd := stdio(t, home, nil, "--transport", "stdio,http", "--listen", "unix:"+socket)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	over := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	client := &http.Client{Transport: over}
	if tools, err := session.ListTools(t.Context(), nil); err != nil || len(tools.Tools) != 5 {
		t.Errorf("%+v, %v", tools, err)
	}
	if got := status(t, client, "http://localhost/healthz"); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	if got := status(t, client, "http://localhost/mcp"); got != http.StatusUnauthorized {
		t.Errorf("status %d", got)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := session.Close(); err != nil || !cmd.ProcessState.Success() {
		t.Errorf("closed: %v, %v", err, cmd.ProcessState)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket stays")
	}
}

// holding starts a server on HTTP that answers a call which does not end.
func holding(t *testing.T) (*exec.Cmd, <-chan error) {
	t.Helper()
	home := t.TempDir()
	addFace(t, home)
	model := endless(t)
	cmd, url := serveHTTP(t, home, "--allow-path", filepath.Dir(model["model"].(string)), "--drain-timeout", "1h")
	progress := make(chan struct{}, 1)
	session := connect(t, &mcp.StreamableClientTransport{Endpoint: url + "/mcp", HTTPClient: withToken(t, home)}, progress)
	done := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), session, "run_benchmark", map[string]any{"model": "face", "iterations": 100_000, "duration_s": 3})
		done <- err
	}()
	select {
	case <-progress:
	case err := <-done:
		t.Fatal("the call ended with ", err)
	}
	return cmd, done
}

// A server that is stopped finishes what it was asked, and exits with 0; one
// that is told twice ends at once.
func TestServe_stopped(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is nothing to ask with")
	}
	t.Run("once", func(t *testing.T) {
		cmd, done := holding(t)
		stop(t, cmd)
		if err := <-done; err != nil {
			t.Errorf("the call ended with %v", err)
		}
	})
	t.Run("twice", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("the test looks into /proc")
		}
		cmd, done := holding(t)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "it has ended", func() bool {
			cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
			return ended(cmd)
		})
		if err := <-done; err == nil {
			t.Error("the call was answered")
		}
	})
}

// ended reports whether a process has ended.
func ended(cmd *exec.Cmd) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

// Nothing that the program prints holds the token.
func TestServe_tokenIsNotSaid(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("a-token-that-nobody-guesses\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, home, "serve", "--transport", "stdio,http", "--listen", "127.0.0.1:0", "--log-level", "debug")
	cmd.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}` + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("nobody-guesses")) || !bytes.Contains(out, []byte("listening on http://127.0.0.1:")) {
		t.Errorf("%v: %s", err, out)
	}
}
