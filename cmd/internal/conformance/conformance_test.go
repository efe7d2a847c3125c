package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/conformance"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// serve serves the fixture and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	l, err := mcpserver.Listen(t.Context(), mcpserver.ListenOptions{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- conformance.New(nil).ServeHTTP(ctx, l, mcpserver.HTTPOptions{Drain: time.Second}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// The suite passes in both eras.
func TestConformance(t *testing.T) {
	url := serve(t)
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(era, func(t *testing.T) {
			report(t, era, run(t, url, "--requirements", era))
		})
	}
}

// Of the program itself, the suite is told by what needs no fixture.
func TestConformance_program(t *testing.T) {
	url := program(t).serve("--auth", "none")
	for era, scenarios := range map[string][]string{
		"2025-11-25": {"server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection", "server-sse-multiple-streams", "server-session-lifecycle"},
		"2026-07-28": {"tools-list", "resources-list", "prompts-list", "dns-rebinding-protection", "server-sse-multiple-streams", "caching", "http-header-validation", "sep-2164-resource-not-found"},
	} {
		for _, scenario := range scenarios {
			t.Run(era+"/"+scenario, func(t *testing.T) {
				report(t, era+" "+scenario, run(t, url, "--scenario", scenario, "--spec-version", era, "--force"))
			})
		}
	}
}

// run runs the suite, and returns the folder of what it found.
func run(t *testing.T, url string, args ...string) string {
	t.Helper()
	out := t.TempDir()
	args = append([]string{filepath.Join(modules(t), "@modelcontextprotocol", "conformance", "dist", "index.js"), "server", "--url", url + "/mcp", "-o", out}, args...)
	cmd := node(t, args...)
	output, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok && exit.ExitCode() != 1 {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
	return out
}

// The suite also runs an extension that this server does not have, and that no
// revision requires.
const extension = "tasks-"

// A check is one of the suite's.
type check struct{ ID, Status, ErrorMessage string }

// report prints how many checks passed, and fails for those that did not.
func report(t *testing.T, era, out string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(out, "*", "checks.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the suite left nothing in %s: %v", out, err)
	}
	passed, failed := 0, 0
	for _, file := range files {
		scenario := filepath.Base(filepath.Dir(file))
		scenario = scenario[len("server-") : len(scenario)-len("-2026-01-01T00-00-00-000Z")]
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []check
		if err := json.Unmarshal(data, &checks); err != nil {
			t.Fatal(err)
		}
		for _, c := range checks {
			switch {
			case c.Status == "SUCCESS":
				passed++
			case (c.Status == "FAILURE" || c.Status == "WARNING") && !strings.HasPrefix(scenario, extension):
				failed++
				fmt.Printf("%s: %s: %s %s: %s\n", era, scenario, c.Status, c.ID, c.ErrorMessage)
			}
		}
	}
	fmt.Printf("%s: %d passed, %d failed\n", era, passed, failed)
	if failed > 0 {
		t.Errorf("%d checks of %s failed", failed, era)
	}
}
