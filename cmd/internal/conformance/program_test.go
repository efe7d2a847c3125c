package conformance_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

// built is the folder of the two binaries under test, built once.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "conformance-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var build = sync.OnceValue(func() error {
	for name, cgo := range map[string]string{"ipfs-accelerate": "0", "ipfs-accelerate-native": "1"} {
		cmd := exec.Command("go", "build", "-o", built+string(filepath.Separator), "github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
})

// An installation is the program with a data directory of its own.
type installation struct {
	t          *testing.T
	path, home string
}

func program(t *testing.T) installation {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(built, "ipfs-accelerate")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	return installation{t, path, t.TempDir()}
}

// environ is the environment of the program.
func (p installation) environ() []string {
	return append(os.Environ(), "IPFS_ACCELERATE_HOME="+p.home, "ORT_LIB="+enginetest.Runtime(p.t))
}

// serve serves HTTP until the end of the test, and returns the address.
func (p installation) serve(args ...string) string {
	p.t.Helper()
	cmd := exec.Command(p.path, append([]string{"serve", "--transport", "http", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = p.environ()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	lines, url := bufio.NewScanner(stderr), ""
	for url == "" && lines.Scan() {
		if at, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			url = strings.TrimSuffix(at, "/mcp")
		}
	}
	p.t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		for lines.Scan() {
			p.t.Log(lines.Text())
		}
		if err := cmd.Wait(); err != nil {
			p.t.Error("the server ended with ", err)
		}
	})
	if url == "" {
		p.t.Fatal("the server does not listen")
	}
	return url
}
