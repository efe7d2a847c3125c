//go:build unix

package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A server that gets SIGHUP reads its configuration again: what can change
// does, the rest is named, and a wrong file changes nothing.
func TestServe_reload(t *testing.T) {
	home := t.TempDir()
	path, log := filepath.Join(home, "config.json"), filepath.Join(home, "log")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"logging": {"level": "error"}}`)
	session, cmd := stdio(t, home, nil, "--log-file", log, "--log-format", "json")
	logged := func(words ...string) bool {
		data, err := os.ReadFile(log)
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(data)) {
			all := true
			for _, word := range words {
				all = all && strings.Contains(line, word)
			}
			if all {
				return true
			}
		}
		return false
	}
	hangup := func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := call(t.Context(), session, "detect_hardware", nil); err != nil { // it listens by now
		t.Fatal(err)
	}
	write(`{"logging": {"level": "info"}, "hardware": {"allow_cpu": false}, "server": {"listen": "127.0.0.1:1"}}`)
	hangup()
	waitUntil(t, "the configuration was read", func() bool {
		return logged(`"msg":"the configuration was read again"`, "logging.level", "hardware.allow_cpu")
	})
	waitUntil(t, "what needs a restart is named", func() bool { return logged("restart the server", "server.listen") })
	write(`{"logging": {"level": "loud"}}`)
	hangup()
	waitUntil(t, "a wrong file is told", func() bool { return logged("is as it was", "config.json:1", "loud") })
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := session.Close(); err != nil || !cmd.ProcessState.Success() {
		t.Errorf("%v, %v", err, cmd.ProcessState)
	}
}
