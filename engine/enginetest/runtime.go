package enginetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// Runtime returns the path of the ONNX Runtime library: ORT_LIB if that is
// set, else one that is installed in the user's cache folder, once for all
// tests of this machine. A test that can't get it fails.
func Runtime(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("ORT_LIB"); path != "" {
		return path
	}
	library, _ := Pack(t, "cpu")
	return library
}

// Pack installs a pack in the user's cache folder, once for all tests of this
// machine, and returns the path of its core and how its provider is added. A
// test that can't get it fails; one of another kind of machine is skipped.
func Pack(t testing.TB, name string) (library string, as packs.Provider) {
	t.Helper()
	table, err := packs.Table(packs.Here())
	if err != nil {
		t.Skip(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "ipfs-accelerate-test", "runtime")
	for _, p := range table {
		if p.Name == name {
			return install(t, p, dir), p.ProviderIn(dir)
		}
	}
	t.Skipf("there is no pack %s for this kind of machine", name)
	return "", packs.Provider{}
}

func install(t testing.TB, p *packs.Pack, dir string) string {
	t.Helper()
	if path, err := p.Library(dir); err == nil {
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
	path, err := p.Install(t.Context(), dir, "", nil)
	if err != nil {
		t.Fatalf("install %s for the tests: %v", p.Title(), err)
	}
	return path
}
