//go:build unix

package runner_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

// die ends this process by a signal.
func die(sig syscall.Signal) error {
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		return err
	}
	select {}
}

var x = engine.Tensors{"x": engine.NewTensor([]int64{1}, []float32{1})}

func open(t testing.TB, p *runner.Provider, m om.Model) engine.Session {
	t.Helper()
	s, err := p.NewSession(t.Context(), enginetest.WriteModel(t, m), enginetest.ModelFile, engine.Plan{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // not what is tested
	return s
}

func wantCode(t testing.TB, err error, want engine.Code) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v; want code %s", err, want)
	}
}

func TestNew_startsNothing(t *testing.T) {
	if pids := newProvider(t, runner.Options{}).Children(); len(pids) != 0 {
		t.Errorf("children %v before the first call", pids)
	}
}

func TestProvider_missing(t *testing.T) {
	p := runner.New(runner.Options{Command: []string{filepath.Join(t.TempDir(), "absent")}, NativeHint: "get it"})
	defer p.Close() // not what is tested
	_, err := p.Devices(t.Context())
	wantHint(t, err, engine.ErrNativeMissing, "get it")

	p = newProvider(t, runner.Options{
		Library:     func() (string, error) { return "", engine.Errorf(engine.ErrRuntimeMissing, "it is not installed") },
		RuntimeHint: "install it",
	})
	_, err = p.Devices(t.Context())
	wantHint(t, err, engine.ErrRuntimeMissing, "install it")
}

func wantHint(t *testing.T, err error, code engine.Code, hint string) {
	t.Helper()
	var e *engine.Error
	if !errors.As(err, &e) || e.Code != code || e.Hint != hint {
		t.Errorf("got %#v; want %s with hint %q", err, code, hint)
	}
}

// The child of a session is killed while it runs.
func TestSession_killedDuringRun(t *testing.T) {
	p := newProvider(t, runner.Options{})
	s := open(t, p, enginetest.Endless())
	done := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), x)
		done <- err
	}()
	for _, pid := range p.Children() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
	// The kill may come before the run, which a new child then serves: end that.
	err := firstError(t, p, done)
	wantCode(t, err, engine.ErrRunnerCrashed)
	var e *engine.Error
	if !errors.As(err, &e) || !e.Retryable || !strings.Contains(e.Message, "killed") {
		t.Errorf("got %#v; want it retryable and to say killed", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = s.Run(ctx, x)
	wantCode(t, err, engine.ErrDeadline)
}

// firstError waits for a run whose children are killed until it fails.
func firstError(t *testing.T, p *runner.Provider, done <-chan error) error {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			for _, pid := range p.Children() {
				syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may be gone
			}
		}
	}
}

// quickly runs a session as often as its model answers at once, so that the
// next answer is expected soon.
func quickly(t *testing.T, s engine.Session) {
	t.Helper()
	for range quickRuns {
		if _, err := s.Run(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
}

// A child dies while its answer is polled for.
func TestSession_killedWhileExpected(t *testing.T) {
	p := newProvider(t, runner.Options{})
	s := open(t, p, op("KilledLater"))
	for range 2 { // the second child is like the first
		quickly(t, s)
		_, err := s.Run(t.Context(), x)
		wantCode(t, err, engine.ErrRunnerCrashed)
	}
}

// An answer that was expected at once does not come.
func TestSession_closedWhileExpected(t *testing.T) {
	s := open(t, newProvider(t, runner.Options{}), op("HangLater"))
	quickly(t, s)
	done := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), x)
		done <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantCode(t, <-done, engine.ErrDeviceUnavailable)
}

func TestSession_aborts(t *testing.T) {
	p := newProvider(t, runner.Options{})
	s := open(t, p, op("Abort"))
	for range 2 { // the second run has a child of its own
		_, err := s.Run(t.Context(), x)
		wantCode(t, err, engine.ErrRunnerCrashed)
		if err == nil || !strings.Contains(err.Error(), "SIGABRT") {
			t.Errorf("got %v; want it to say SIGABRT", err)
		}
	}
	add := open(t, p, enginetest.Identity(om.Float, 1))
	if _, err := add.Run(t.Context(), x); err != nil {
		t.Errorf("the next session: %v", err)
	}
}

func TestSession_outOfMemory(t *testing.T) {
	_, err := open(t, newProvider(t, runner.Options{}), op("BadAlloc")).Run(t.Context(), x)
	wantCode(t, err, engine.ErrOutOfMemory)
}

// A child that ignores a cancel is killed; the caller does not wait for that.
func TestSession_hangs(t *testing.T) {
	p := newProvider(t, runner.Options{CancelGrace: 100 * time.Millisecond})
	s := open(t, p, op("Hang"))
	before := p.Children()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Run(ctx, x)
	wantCode(t, err, engine.ErrDeadline)
	// Another run of the hung child ends with it.
	_, err = s.Run(t.Context(), x)
	wantCode(t, err, engine.ErrRunnerCrashed)
	after := p.Children()
	if !slices.ContainsFunc(before, func(pid int) bool { return !slices.Contains(after, pid) }) {
		t.Errorf("children were %v and are %v; want the hung one gone", before, after)
	}
}

// stop stops a child. Its threads stop one after another, and until the last
// has, one may answer.
func stop(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("child %d: %v, status %#x; want it stopped", pid, err, status)
	}
}

// A child that is stopped neither reads nor answers.
func TestSession_stopped(t *testing.T) {
	p := newProvider(t, runner.Options{CancelGrace: 100 * time.Millisecond})
	s := open(t, p, enginetest.Identity(om.Float, 1))
	for _, pid := range p.Children() {
		stop(t, pid)
	}
	run := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := s.Run(ctx, x)
		return err
	}
	wantCode(t, run(), engine.ErrDeadline)
	for { // a run whose time is up before it was sent has nobody killed
		err := run()
		if err == nil {
			return
		}
		if !errors.Is(err, engine.ErrRunnerCrashed) && !errors.Is(err, engine.ErrDeadline) {
			t.Fatalf("a later run: %v", err)
		}
	}
}

func TestSession_closeEndsChild(t *testing.T) {
	p := newProvider(t, runner.Options{})
	s := open(t, p, op("Hang"))
	done := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), x)
		done <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantCode(t, <-done, engine.ErrDeviceUnavailable)
	if pids := p.Children(); len(pids) > 1 {
		t.Errorf("children are %v; want the spare at most", pids)
	}
}

// beParent is a process that has a session and a run in it, and dies.
func beParent() {
	exe, _ := os.Executable()
	p := runner.New(runner.Options{Command: []string{exe}, Env: []string{childEnv + "=runner"}})
	m := &engine.Model{Dir: os.Args[1]}
	s, err := p.NewSession(context.Background(), m, enginetest.ModelFile, engine.Plan{})
	if err != nil {
		panic(err)
	}
	fmt.Println(p.Children())
	s.Run(context.Background(), x) //nolint:errcheck // it never ends
}

// The parent is killed while its child runs a model that never ends.
func TestProvider_noOrphans(t *testing.T) {
	m := enginetest.WriteModel(t, op("Hang"))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe() // its end is seen when every process that holds it is gone
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() // read-only
	cmd := exec.Command(exe, m.Dir)
	cmd.Env = append(os.Environ(), childEnv+"=parent")
	cmd.ExtraFiles = []*os.File{w}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close() // the processes have it
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() //nolint:errcheck // it was killed
	for pid := range strings.FieldsSeq(strings.Trim(line, "[]\n")) {
		waitGone(t, pid)
	}
	io.Copy(io.Discard, r) //nolint:errcheck // its end is what counts
}

// waitGone waits until there is no process of this id, or only its remains.
func waitGone(t *testing.T, pid string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("process %s is still there", pid)
		}
	}
}
