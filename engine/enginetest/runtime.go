package enginetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

// Runtime returns the path of the ONNX Runtime library: ORT_LIB if that is
// set, else one that is installed in the user's cache folder, once for all
// tests of this machine. A test that can't get it fails.
func Runtime(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("ORT_LIB"); path != "" {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "ipfs-accelerate-test", "runtime")
	if path, err := runner.Library(dir); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock() //nolint:errcheck // the end of the process does it too
	path, err := runner.Install(t.Context(), dir, "", nil)
	if err != nil {
		t.Fatalf("install ONNX Runtime for the tests: %v", err)
	}
	return path
}
