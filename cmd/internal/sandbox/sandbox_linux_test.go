package sandbox_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/sandbox"
)

// childEnv makes the test binary a process that confines itself to a folder
// and reports what it can still do.
const childEnv = "IPFS_ACCELERATE_TEST_SANDBOX"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := json.NewEncoder(os.Stdout).Encode(confined(dir)); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// A report is how tries ended: "" for those that worked.
type report struct {
	Level sandbox.Level
	Tries map[string]string
}

// before are tries on threads that are there before the restriction.
var before []func() (what string, try func() error)

func confined(dir string) report {
	tries := map[string]func() error{}
	for _, start := range before {
		what, try := start()
		tries[what] = try
	}
	addr := os.Getenv(childEnv + "_ADDR")
	policy := sandbox.Policy{ReadDirs: []string{dir}, MemoryBytes: 256 << 20, NoNetwork: true, NoExec: true, NoWrite: true}
	out := os.Getenv(childEnv + "_OUT")
	if out != "" {
		policy.WriteDirs = []string{out}
	}
	level, err := sandbox.Apply(policy)
	if err != nil {
		panic(err)
	}
	addTries(tries, dir, addr)
	if out != "" {
		tries["write where that is allowed"] = func() error { return os.WriteFile(filepath.Join(out, "new"), []byte("x"), 0o600) }
		tries["remove what was written"] = func() error { return os.Remove(filepath.Join(out, "new")) }
	}
	r := report{Level: level, Tries: map[string]string{}}
	for what, try := range tries {
		if err := try(); err != nil {
			r.Tries[what] = err.Error()
		}
	}
	return r
}

func addTries(tries map[string]func() error, dir, addr string) {
	inside := filepath.Join(dir, "model.onnx")
	tries["ok: read the model"] = func() error { _, err := os.ReadFile(inside); return err }
	tries["ok: list the folder"] = func() error { _, err := os.ReadDir(dir); return err }
	tries["ok: start a thread"] = startThread
	tries["read /etc/passwd"] = func() error { _, err := os.ReadFile("/etc/passwd"); return err }
	tries["read the parent's memory map"] = func() error {
		_, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", os.Getppid()))
		return err
	}
	tries["list /"] = func() error { _, err := os.ReadDir("/"); return err }
	tries["make a file"] = func() error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) }
	tries["change the model"] = func() error { return os.WriteFile(inside, []byte("x"), 0o600) }
	tries["truncate the model"] = func() error { return os.Truncate(inside, 0) }
	tries["chmod the model"] = func() error { return os.Chmod(inside, 0o777) }
	tries["remove the model"] = func() error { return os.Remove(inside) }
	tries["rename the model"] = func() error { return os.Rename(inside, inside+"2") }
	tries["make a folder"] = func() error { return os.Mkdir(filepath.Join(dir, "d"), 0o700) }
	tries["make a link"] = func() error { return os.Symlink("/etc/passwd", filepath.Join(dir, "l")) }
	tries["dial TCP"] = func() error { _, err := net.Dial("tcp", addr); return err }
	tries["dial UDP"] = func() error { _, err := net.Dial("udp", addr); return err }
	tries["dial a Unix socket"] = func() error { _, err := net.Dial("unix", "/run/any"); return err }
	tries["listen"] = func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err }
	tries["socket"] = func() error { _, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0); return err }
	tries["exec"] = func() error { return syscall.Exec("/bin/true", []string{"true"}, nil) }
	tries["start a program"] = func() error { return exec.Command("/bin/true").Run() }
	tries["ptrace"] = func() error { return syscall.PtraceAttach(os.Getppid()) }
	tries["signal the parent"] = func() error { return syscall.Kill(os.Getppid(), 0) }
	tries["io_uring"] = func() error {
		if _, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0); errno != 0 {
			return errno
		}
		return nil
	}
	tries["dump core"] = func() error {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &l); err != nil || l.Max != 0 {
			return err
		}
		return errors.New("limited to 0")
	}
}

// startThread shows that the policy leaves what any library needs.
func startThread() error {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this
		close(done)
	}()
	<-done
	return nil
}

// lockedThread is a thread of Go's that is there before the restriction.
func lockedThread() (string, func() error) {
	ask, answer := make(chan struct{}), make(chan error)
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(ready)
		<-ask
		_, err := os.ReadFile("/etc/passwd")
		answer <- err
	}()
	<-ready
	return "read on an older thread", func() error { close(ask); return <-answer }
}

func init() { before = append(before, lockedThread) }

func TestApply(t *testing.T) { applied(t, "") }

// A folder that may be written to is one exception, if Landlock is there.
func TestApply_writeDirs(t *testing.T) {
	out := t.TempDir()
	r := applied(t, out)
	if reason := r.Tries["write where that is allowed"]; (reason == "") != (r.Level == sandbox.Full) {
		t.Errorf("at level %q writing where that is allowed: %q", r.Level, reason)
	}
	if r.Tries["remove what was written"] == "" {
		t.Error("a file could be removed")
	}
}

// applied confines a process and makes sure of what it can't do any more.
func applied(t *testing.T, out string) report {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // not what is tested
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_ADDR="+l.Addr().String(), childEnv+"_OUT="+out)
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(said, &r); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	wantLevel(t, r.Level)
	wantTries(t, r)
	if data, err := os.ReadFile(filepath.Join(dir, "model.onnx")); err != nil || string(data) != "weights" {
		t.Errorf("the model is now %q, %v", data, err)
	}
	return r
}

// wantLevel knows what this kernel has.
func wantLevel(t *testing.T, got sandbox.Level) {
	t.Helper()
	_, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	want := sandbox.Full
	if errno != 0 {
		want = sandbox.Seccomp
	}
	if got != want {
		t.Errorf("level is %q; want %q", got, want)
	}
}

// wantTries knows what must work and what must not.
func wantTries(t *testing.T, r report) {
	t.Helper()
	unconfined := map[string]bool{ // what only Landlock forbids
		"read /etc/passwd": true, "read the parent's memory map": true, "list /": true, "read on an older thread": true, "C: read": true,
	}
	for what, err := range r.Tries {
		t.Logf("%s: %s", what, err)
		if len(what) > 4 && what[:4] == "ok: " {
			t.Errorf("%s: %s", what, err)
		}
	}
	all := map[string]func() error{"read on an older thread": nil}
	addTries(all, "", "")
	for what := range all {
		if what[:4] != "ok: " && r.Tries[what] == "" && (r.Level == sandbox.Full || !unconfined[what]) {
			t.Errorf("%s worked", what)
		}
	}
	for _, what := range wantDenied {
		if r.Tries[what] == "" && (r.Level == sandbox.Full || !unconfined[what]) {
			t.Errorf("%s worked", what)
		}
	}
}

// wantDenied are the tries of other files.
var wantDenied []string

func errnoError(n syscall.Errno) error {
	if n == 0 {
		return nil
	}
	return errors.New(strconv.Itoa(int(n)) + " " + n.Error())
}
