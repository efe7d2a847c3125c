package command_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

// children returns the processes that a process started, with those that they
// started, by what they are: "runner" or "worker".
func children(pid int) map[int]string {
	all := map[int]string{}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		data, _ := os.ReadFile(task) // it may have ended
		for field := range strings.FieldsSeq(string(data)) {
			child, _ := strconv.Atoi(field)
			args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
			if words := strings.Split(string(args), "\x00"); len(words) > 1 {
				all[child] = words[1]
			}
		}
	}
	return all
}

// maps reports whether a process has a file of this name in its memory.
func maps(pid int, name string) bool {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	return strings.Contains(string(data), name)
}

// holds reports whether a process has a file open whose name ends so.
func holds(pid int, suffix string) bool {
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range open {
		if target, _ := os.Readlink(fd); strings.HasSuffix(target, suffix) {
			return true
		}
	}
	return false
}

// While a model runs and a query goes on, ONNX Runtime and the database are
// in children only.
func TestServe_noCInside(t *testing.T) {
	home, library := t.TempDir(), filepath.Base(enginetest.Runtime(t))
	addFace(t, home)
	progress := make(chan struct{}, 1)
	session, cmd := stdio(t, home, progress, "--allow-path", examples(t, "pictures"))
	server := cmd.Process.Pid
	findFace(t, session)

	measured := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), session, "run_benchmark", map[string]any{"model": "face", "iterations": 100_000, "duration_s": 4})
		measured <- err
	}()
	<-progress
	outside := false
	for child := range children(server) {
		outside = outside || maps(child, library)
	}
	if !outside || maps(server, library) || maps(server, "onnxruntime") {
		t.Errorf("while a model runs: a child has %s: %v, the server has: %v", library, outside, maps(server, library))
	}

	answered := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), session, "query_results", map[string]any{
			"sql": "select count(*) from inferences, range(30000) a, range(30000) b where a.range % 7 = b.range % 11",
		})
		answered <- err
	}()
	waitUntil(t, "a child has the database open", func() bool {
		if holds(server, ".duckdb") {
			t.Error("the server has the database open")
		}
		for child, what := range children(server) {
			if what == "worker" && holds(child, ".duckdb") {
				return true
			}
		}
		return false
	})
	if err := <-measured; err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// The process that runs a model is killed, again and again: its call is told,
// and the next works.
func TestServe_runnerKilled(t *testing.T) {
	home := t.TempDir()
	addFace(t, home)
	model := endless(t)
	session, cmd := stdio(t, home, nil, "--allow-path", examples(t, "pictures"), "--allow-path", filepath.Dir(model["model"].(string)))
	findFace(t, session)
	done := make(chan reply, 1)
	go func() {
		r, err := call(t.Context(), session, "run_inference", model)
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	var r reply
	waitUntil(t, "the call is answered", func() bool {
		for child, what := range children(cmd.Process.Pid) {
			if what == "runner" {
				syscall.Kill(child, syscall.SIGKILL) //nolint:errcheck // it may be gone
			}
		}
		select {
		case r = <-done:
			return true
		default:
			return false
		}
	})
	if !r.IsError || r.Error.Code != engine.ErrRunnerCrashed || r.Error.Message == "" {
		t.Errorf("answered %+v", r)
	}
	findFace(t, session)
}

// A model that was loaded runs again after its process was killed at rest.
func TestServe_idleRunnerKilled(t *testing.T) {
	home := t.TempDir()
	addFace(t, home)
	session, cmd := stdio(t, home, nil, "--allow-path", examples(t, "pictures"))
	for range 3 {
		findFace(t, session)
		for child := range children(cmd.Process.Pid) {
			syscall.Kill(child, syscall.SIGKILL) //nolint:errcheck // it may be gone
		}
	}
	findFace(t, session)
}

// The server is killed while a model runs: nothing that it started stays.
func TestServe_killed(t *testing.T) {
	home := t.TempDir()
	addFace(t, home)
	model := endless(t)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			session, cmd := stdio(t, home, nil, "--allow-path", examples(t, "pictures"), "--allow-path", filepath.Dir(model["model"].(string)))
			findFace(t, session)
			before := children(cmd.Process.Pid)
			go call(t.Context(), session, "run_inference", model) //nolint:errcheck // nobody answers
			waitUntil(t, "the model runs", func() bool {
				for child, what := range children(cmd.Process.Pid) {
					if _, old := before[child]; !old && what == "runner" {
						return true
					}
				}
				return false
			})
			started := children(cmd.Process.Pid)
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			session.Close() // it waits for the process
			if signal == syscall.SIGTERM && !cmd.ProcessState.Success() {
				t.Errorf("the server ended with %v", cmd.ProcessState)
			}
			waitUntil(t, "its children are gone", func() bool {
				for child := range started {
					if alive(child) {
						return false
					}
				}
				return true
			})
		})
	}
}

// alive reports whether a process is there and has not ended.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, ok := strings.Cut(string(stat), ") ")
	return ok && state[0] != 'Z'
}
