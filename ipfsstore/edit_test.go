package ipfsstore_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// TestOpen_mtimeRestored edits a file at once after it was added, and gives it its
// time back: the change time tells, however coarse the clock is that makes it.
func TestOpen_mtimeRestored(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for range 20 {
		dir := modelFolder(t)
		src := filepath.Join(dir, "tokenizer.json")
		fi, err := os.Stat(src)
		if err != nil {
			t.Fatal(err)
		}
		mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "m", Replace: true})
		editInPlace(t, src)
		if err := os.Chtimes(src, fi.ModTime(), fi.ModTime()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), "m"); !errors.Is(err, ipfsstore.ErrModelChanged) {
			t.Fatalf("%v, want ErrModelChanged", err)
		}
	}
}

// TestGateway_truncatedWhileServing cuts a file while it is on its way out: the
// answer breaks off, what came of it is right, and the server goes on.
func TestGateway_truncatedWhileServing(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	dir, s := filepath.Join(t.TempDir(), "m"), openStore(t)
	writeTree(t, dir, map[string][]byte{"big": stream("b", size), "small": []byte("x")})
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	server := httptest.NewServer(s.Gateway())
	t.Cleanup(server.Close)
	get := func(path, format string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path+"?format="+format, nil)
		if err != nil {
			t.Fatal(err)
		}
		return server.Client().Do(req)
	}
	res, err := get("/ipfs/"+a.Root, "car")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "big"), 100); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Errorf("a whole answer of %d bytes from a file that was cut", n)
	}
	again, err := get("/ipfs/"+a.Root+"/small", "raw")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Body.Close()
	if got, err := io.ReadAll(again.Body); err != nil || again.StatusCode != http.StatusOK || string(got) != "x" {
		t.Errorf("the other file: %d %q, %v", again.StatusCode, got, err)
	}
	if _, err := s.Open(t.Context(), a.Root); !errors.Is(err, ipfsstore.ErrModelChanged) {
		t.Errorf("%v, want ErrModelChanged", err)
	}
}

// TestFetch_repairsWithANewFile fetches an edited file again: the user's own file
// keeps what they wrote.
func TestFetch_repairsWithANewFile(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	other := openStore(t)
	mustAdd(t, other, dir, ipfsstore.AddOptions{Copy: true})
	src := filepath.Join(dir, "tokenizer.json")
	editInPlace(t, src)
	edited, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	again := openStoreIn(t, ipfsstore.Dir(s), gateway(t, "other", other))
	f, err := again.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, modelFiles())
	if sameFile(t, src, filepath.Join(f.Dir, "tokenizer.json")) {
		t.Error("the user's file was written to")
	}
	if now, err := os.ReadFile(src); err != nil || string(now) != string(edited) {
		t.Errorf("the user's file is another now: %v", err)
	}
}
