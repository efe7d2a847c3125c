package ipfsstore_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// hubStore is a store that may ask a hub.
func hubStore(t testing.TB, dir string, h *storetest.Hub, sources ...ipfsstore.Source) *ipfsstore.Store {
	t.Helper()
	s, err := ipfsstore.Open(dir, ipfsstore.Options{Sources: sources, Origins: []ipfsstore.Origin{h.Origin()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // it has nothing to lose
	return s
}

func hubFiles() map[string][]byte {
	files := modelFiles()
	files[".gitattributes"] = []byte("*.onnx filter=lfs\n")
	return files
}

func TestFetch_named(t *testing.T) {
	t.Parallel()
	h := storetest.NewHub(t, storetest.HubOptions{})
	first := h.Put("org/model", hubFiles())
	s := hubStore(t, filepath.Join(t.TempDir(), "store"), h)
	var done []int64
	f, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{Progress: func(p ipfsstore.Progress) { done = append(done, p.Done) }})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, hubFiles())
	if f.Name != "org/model" || f.Origin != "hf://org/model@"+first || f.Level != "L4" || !f.Complete || f.Sources[0].Name != "hub" || f.Sources[0].Bytes == 0 {
		t.Errorf("%+v", f)
	}
	if !slices.IsSorted(done) || done[len(done)-1] != f.Bytes-5<<20-17 { // the twin is one blob
		t.Errorf("progress %v", done)
	}
	for _, file := range f.Files {
		if file.Storage != ipfsstore.Copy {
			t.Errorf("%s is stored as %s", file.Name, file.Storage)
		}
	}
	// What came from the hub is what anyone gets who adds the same files.
	dir := t.TempDir()
	writeTree(t, dir, hubFiles())
	if root := mustAdd(t, openStore(t), dir, ipfsstore.AddOptions{Hidden: true}).Root; root != f.Root {
		t.Errorf("root %s, want %s", f.Root, root)
	}
	if left, err := os.ReadDir(filepath.Join(ipfsstore.Dir(s), "parts")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	u, err := s.Usage(t.Context())
	if err != nil || u.Shared != 0 || u.Owned == 0 {
		t.Errorf("usage %+v, %v", u, err)
	}

	served, asked := h.Served.Load(), h.Asked.Load()
	if again, err := s.Fetch(t.Context(), "hf://org/model@"+first, ipfsstore.FetchOptions{Name: "mine"}); err != nil || again.Root != f.Root || again.Level != "L2" {
		t.Errorf("again: %+v, %v", again, err)
	}
	if h.Asked.Load() != asked {
		t.Error("the hub was asked for a commit that is here")
	}
	if again, err := s.Fetch(t.Context(), "hf://org/model@main", ipfsstore.FetchOptions{}); err != nil || again.Root != f.Root || h.Served.Load() != served {
		t.Errorf("again: %+v, %v", again, err)
	}

	changed := hubFiles()
	changed["config.json"] = []byte("{\"new\":true}\n")
	second := h.Put("org/model", changed)
	if now, err := s.Resolve(t.Context(), "hf://org/model"); err != nil || now != "hf://org/model@"+second {
		t.Errorf("main is %s, %v", now, err)
	}
	if _, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{Name: "mine"}); !errors.Is(err, ipfsstore.ErrNameTaken) {
		t.Errorf("%v, want ErrNameTaken", err)
	}
	if f, err = s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{Name: "mine", Replace: true}); err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, changed)
}

func TestFetch_namedPatterns(t *testing.T) {
	t.Parallel()
	h := storetest.NewHub(t, storetest.HubOptions{})
	h.Put("org/model", hubFiles())
	s := hubStore(t, filepath.Join(t.TempDir(), "store"), h)
	o := ipfsstore.FetchOptions{Files: []string{"**"}, Exclude: []string{"onnx/**", ".*"}}
	f, err := s.Fetch(t.Context(), "hf://org/model", o)
	if err != nil {
		t.Fatal(err)
	}
	all := modelFiles()
	sameTree(t, f.Artifact, map[string][]byte{"config.json": all["config.json"], "empty": all["empty"], "tokenizer.json": all["tokenizer.json"]})
	if again, err := s.Fetch(t.Context(), f.Origin, o); err != nil || again.Root != f.Root {
		t.Errorf("again: %v, %v", again.Root, err)
	}
	whole, err := s.Fetch(t.Context(), f.Origin, ipfsstore.FetchOptions{})
	if err != nil || whole.Root == f.Root {
		t.Fatalf("%v, %v", whole.Root, err)
	}
	sameTree(t, whole.Artifact, hubFiles())
	if _, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{Files: []string{"none"}}); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("no match: %v", err)
	}
	if _, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{Files: []string{"onnx/*"}, MaxBytes: 1000}); !errors.Is(err, ipfsstore.ErrTooLarge) {
		t.Errorf("%v, want ErrTooLarge", err)
	}
}

// faulty stands before the server of large files.
func faulty(fault func(w http.ResponseWriter, r *http.Request, next http.Handler)) storetest.HubOptions {
	return storetest.HubOptions{Download: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fault(w, r, next) })
	}}
}

// cut ends a response after so many bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left]) // it is cut off anyway
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func TestFetch_namedTruncated(t *testing.T) {
	t.Parallel()
	h := storetest.NewHub(t, faulty(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&cut{w, 1 << 20}, r)
	}))
	h.Put("org/model", hubFiles())
	s := hubStore(t, filepath.Join(t.TempDir(), "store"), h)
	f, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, hubFiles())
	if f.Sources[0].Errors == 0 || f.Sources[0].Bytes > f.Bytes {
		t.Errorf("%+v", f.Sources[0])
	}
}

func TestFetch_namedLied(t *testing.T) {
	t.Parallel()
	h := storetest.NewHub(t, faulty(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.URL.Path = strings.TrimSuffix(r.URL.Path, "/")
		next.ServeHTTP(&flip{ResponseWriter: w}, r)
	}))
	h.Put("org/model", hubFiles())
	s := hubStore(t, filepath.Join(t.TempDir(), "store"), h)
	_, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{})
	var hm *ipfsstore.HashMismatchError
	if !errors.As(err, &hm) || hm.Source != "hub" {
		t.Errorf("%v, want HashMismatchError of the hub", err)
	}
	noFileUnderCID(t, s)
}

type flip struct {
	http.ResponseWriter
	done bool
}

func (f *flip) Write(p []byte) (int, error) {
	if p = slices.Clone(p); !f.done && len(p) > 0 {
		p[len(p)/2] ^= 1
		f.done = true
	}
	return f.ResponseWriter.Write(p)
}

// A fetch that was cancelled goes on where it was.
func TestFetch_namedResumed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	h := storetest.NewHub(t, faulty(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if calls.Add(1) == 1 {
			defer cancel()
			next.ServeHTTP(&cut{w, 3 << 20}, r)
		}
		next.ServeHTTP(w, r)
	}))
	h.Put("org/model", map[string][]byte{"big.bin": stream("m", 8<<20)})
	dir := filepath.Join(t.TempDir(), "store")
	s := hubStore(t, dir, h)
	if _, err := s.Fetch(ctx, "hf://org/model", ipfsstore.FetchOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want context.Canceled", err)
	}
	kept := largest(t, dir) // how far it had come when the cancel was seen differs
	f, err := hubStore(t, dir, h).Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Sources[0].Bytes > 8<<20-kept {
		t.Errorf("fetched %d bytes again, with %d kept", f.Sources[0].Bytes, kept)
	}
	sameTree(t, f.Artifact, map[string][]byte{"big.bin": stream("m", 8<<20)})
}

// largest is the size of the largest file below a folder.
func largest(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			n = max(n, fi.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFetch_namedAtOnce(t *testing.T) {
	t.Parallel()
	h := storetest.NewHub(t, storetest.HubOptions{})
	h.Put("org/model", hubFiles())
	dir := filepath.Join(t.TempDir(), "store")
	var wg sync.WaitGroup
	for range 4 {
		s := hubStore(t, dir, h)
		wg.Go(func() {
			if f, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{}); err != nil || !f.Complete {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := h.Served.Load(); got > 6<<20 {
		t.Errorf("%d bytes were served: more than once", got)
	}
}

// What was lost of a model that came from a hub, the hub still has.
func TestVerify_repairedByTheHub(t *testing.T) {
	t.Parallel()
	h := storetest.NewHub(t, storetest.HubOptions{})
	h.Put("org/model", map[string][]byte{"big.bin": stream("m", 8<<20), "small": {1}})
	s := hubStore(t, filepath.Join(t.TempDir(), "store"), h)
	f, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Files[0].Path, []byte("spoiled"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := s.VerifyAll(t.Context(), ipfsstore.VerifyOptions{Repair: true})
	if err != nil || len(found) != 1 || found[0].Err != nil || !found[0].Repaired {
		t.Fatalf("%+v, %v", found, err)
	}
	a, err := s.Open(t.Context(), f.Root)
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, a, map[string][]byte{"big.bin": stream("m", 8<<20), "small": {1}})
}

// A model that only says where it is from gives nobody leave to ask there.
func TestFetch_originThatWasNotNamed(t *testing.T) {
	t.Parallel()
	h := storetest.NewHub(t, storetest.HubOptions{})
	h.Put("org/model", hubFiles())
	s := hubStore(t, filepath.Join(t.TempDir(), "store"), h)
	dir := t.TempDir()
	writeTree(t, dir, modelFiles())
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Copy: true})
	if err := os.WriteFile(a.Files[len(a.Files)-1].Path, []byte("spoiled"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{}); err == nil {
		t.Error("it was fetched from somewhere")
	}
	if n := h.Asked.Load(); n > 0 {
		t.Errorf("the hub was asked %d times", n)
	}
}

func TestAdd_patterns(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	a := mustAdd(t, s, modelFolder(t), ipfsstore.AddOptions{Include: []string{"**/*.json", "onnx/*"}, Exclude: []string{"**/twin.*"}})
	all := modelFiles()
	sameTree(t, a, map[string][]byte{"config.json": all["config.json"], "tokenizer.json": all["tokenizer.json"], "onnx/model.onnx": all["onnx/model.onnx"]})
	if _, err := s.Add(t.Context(), modelFolder(t), ipfsstore.AddOptions{Include: []string{"none"}}); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}
