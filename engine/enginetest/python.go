package enginetest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/gofrs/flock"
)

// Cache returns a path below where tests of this machine keep what they
// fetched.
func Cache(t testing.TB, elem ...string) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{dir, "ipfs-accelerate-test"}, elem...)...)
}

// Python returns the interpreter of an environment that has what a file of
// requirements names, installed once for every content of it; flags go to pip
// install. Where it can't be had the test is skipped, but fails where CI is set.
func Python(t testing.TB, requirements string, flags ...string) string {
	t.Helper()
	wants, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(wants)
	dir := Cache(t, "python-"+hex.EncodeToString(sum[:8]))
	program, done := filepath.Join(dir, "bin", "python"), filepath.Join(dir, "installed")
	if runtime.GOOS == "windows" {
		program = filepath.Join(dir, "Scripts", "python.exe")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(dir + ".lock")
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock() //nolint:errcheck // the end of the process does it too
	if _, err := os.Stat(done); err == nil {
		return program
	}
	pip := append([]string{program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements}, flags...)
	for _, args := range [][]string{{"python3", "-m", "venv", "--clear", dir}, pip} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			if os.Getenv("CI") != "true" {
				t.Skipf("%v can't be installed here: %v: %v\n%s", requirements, args, err, out)
			}
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return program
}
