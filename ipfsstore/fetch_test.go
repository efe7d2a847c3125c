package ipfsstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// origin is a store with the model in it, and its root.
func origin(t testing.TB) (*ipfsstore.Store, string) {
	t.Helper()
	s := openStore(t)
	return s, mustAdd(t, s, modelFolder(t), ipfsstore.AddOptions{}).Root
}

func TestFetch_overLoopback(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	s := openStore(t, gateway(t, "first", from))
	var done []int64
	f, err := s.Fetch(t.Context(), "ipfs://"+root, ipfsstore.FetchOptions{
		Name: "mine:v1", Pin: true, Progress: func(p ipfsstore.Progress) { done = append(done, p.Done) },
	})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, modelFiles())
	if f.Root != root || f.Name != "mine:v1" || !f.Pinned || !f.Complete || f.Level != "L4" {
		t.Errorf("%+v", f)
	}
	if !slices.IsSorted(done) {
		t.Error("progress went back:", done)
	}
	if want := f.Bytes - 5<<20 - 17; done[len(done)-1] != want { // the twin is one blob
		t.Errorf("progress ends at %d, want %d", done[len(done)-1], want)
	}
	again, err := s.Fetch(t.Context(), "mine:v1", ipfsstore.FetchOptions{})
	if err != nil || again.Level != "L2" || again.Sources[0].Blocks != 0 {
		t.Errorf("again: level %q, %v, %v", again.Level, again.Sources, err)
	}
}

func TestFetch_patterns(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	s := openStore(t, gateway(t, "first", from))
	f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{Files: []string{"*.json"}, Name: "part"})
	if err != nil {
		t.Fatal(err)
	}
	all := modelFiles()
	sameTree(t, f.Artifact, map[string][]byte{"config.json": all["config.json"], "tokenizer.json": all["tokenizer.json"]})
	if f.Complete {
		t.Error("said to be complete")
	}
	if a, err := s.Open(t.Context(), "part"); err != nil || a.Complete || len(a.Files) != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := s.Export(t.Context(), "part", new(strings.Builder)); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("export of a part: %v", err)
	}
	if f, err = s.Fetch(t.Context(), root, ipfsstore.FetchOptions{Files: []string{"**/m*.onnx"}}); err != nil || f.Complete || len(f.Files) != 3 {
		t.Fatalf("%v, %v", f.Files, err)
	}
	if f, err = s.Fetch(t.Context(), root, ipfsstore.FetchOptions{}); err != nil || !f.Complete {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, all)
	if f.Sources[0].Bytes != 0 {
		t.Errorf("fetched %d bytes that were there (the empty file has none)", f.Sources[0].Bytes)
	}
	if _, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{Files: []string{"[a"}}); !errors.Is(err, ipfsstore.ErrInvalidRef) {
		t.Errorf("bad pattern: %v", err)
	}
	empty := openStore(t, gateway(t, "first", from))
	if _, err := empty.Fetch(t.Context(), root, ipfsstore.FetchOptions{Files: []string{"none"}}); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("no match: %v", err)
	}
}

func TestFetch_path(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	s := openStore(t, gateway(t, "first", from))
	f, err := s.Fetch(t.Context(), "/ipfs/"+root+"/tokenizer.json", ipfsstore.FetchOptions{Name: "tok"})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, map[string][]byte{"tokenizer.json": modelFiles()["tokenizer.json"]})
	if f, err = s.Fetch(t.Context(), "/ipfs/"+root+"/onnx", ipfsstore.FetchOptions{}); err != nil || len(f.Files) != 2 {
		t.Fatalf("%v, %v", f.Files, err)
	}
}

func TestFetch_limits(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	s := openStore(t, gateway(t, "first", from))
	if _, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{MaxBytes: 1 << 20}); !errors.Is(err, ipfsstore.ErrTooLarge) {
		t.Errorf("%v, want ErrTooLarge", err)
	}
	if _, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{Sources: []string{"other"}}); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("unknown source: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Fetch(ctx, root, ipfsstore.FetchOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := openStore(t).Fetch(t.Context(), root, ipfsstore.FetchOptions{}); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("no sources: %v", err)
	}
}

// flipped is a gateway that flips one bit in one of its blocks, the one at the
// end of a large file.
func flipped(from *ipfsstore.Store, bad string) http.Handler {
	h := from.Gateway()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, bad) {
			h.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		body[len(body)/3] ^= 0x10
		_, _ = w.Write(body)
	})
}

func leafOf(data []byte, i int) string {
	return storetest.CID(data[i<<20 : min(len(data), (i+1)<<20)]).String()
}

func TestFetch_lyingGateway(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	bad := leafOf(modelFiles()["onnx/model.onnx"], 3)
	liar := storetest.Gateway(t, "liar", flipped(from, bad))

	alone := openStore(t, liar)
	_, err := alone.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
	var hm *ipfsstore.HashMismatchError
	if !errors.As(err, &hm) || !errors.Is(err, ipfsstore.ErrHashMismatch) || hm.Source != "liar" || hm.CID != bad {
		t.Fatalf("%v, want HashMismatchError for %s", err, bad)
	}
	if _, err := alone.Open(t.Context(), root); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("Open: %v, want ErrNotFound", err)
	}
	noFileUnderCID(t, alone)

	both := openStore(t, liar, gateway(t, "honest", from))
	f, err := both.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, modelFiles())
}

// noFileUnderCID checks that nothing that is not whole is where whole files are.
func noFileUnderCID(t *testing.T, s *ipfsstore.Store) {
	t.Helper()
	for _, d := range []string{"blobs", "roots", "models"} {
		entries, err := os.ReadDir(filepath.Join(ipfsstore.Dir(s), d))
		if err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v", d, entries, err)
		}
	}
}

// mem is a source with all blocks of a root, by way of a CAR.
func mem(t testing.TB, name string, from *ipfsstore.Store, root string) ipfsstore.Source {
	t.Helper()
	return storetest.Memory(name, carBlocks(t, from, root))
}

func TestFetch_badSources(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	gate := make(chan struct{}) // never opened
	s := openStore(t, storetest.Lying(mem(t, "liar", from, root)), storetest.Dead("dead"),
		storetest.Slow(mem(t, "slow", from, root), gate), mem(t, "honest", from, root), storetest.Memory("empty", nil))
	f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, modelFiles())
	for _, st := range f.Sources {
		if st.Banned != (st.Name == "liar") && st.Name != "liar" {
			t.Errorf("%+v", st)
		}
		if st.Name != "honest" && st.Bytes > 0 {
			t.Errorf("%s delivered %d bytes", st.Name, st.Bytes)
		}
	}
	onlyBad := openStore(t, storetest.Dead("dead"), storetest.Memory("empty", nil))
	if _, err := onlyBad.Fetch(t.Context(), root, ipfsstore.FetchOptions{}); !errors.Is(err, ipfsstore.ErrNotFound) || !strings.Contains(err.Error(), "is dead") {
		t.Errorf("%v, want ErrNotFound that tells of the dead source", err)
	}
}

func TestFetch_slowSourceObeysContext(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	asked := make(chan struct{})
	s := openStore(t, storetest.Slow(announce{mem(t, "slow", from, root), asked, new(sync.Once)}, make(chan struct{})),
		announce{storetest.Memory("empty", nil), asked, new(sync.Once)})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := s.Fetch(ctx, root, ipfsstore.FetchOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

// announce is a source that says when it is asked first.
type announce struct {
	ipfsstore.Source
	asked chan struct{}
	once  *sync.Once
}

func (a announce) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	a.once.Do(func() { close(a.asked) })
	return a.Source.Fetch(ctx, want, sink)
}

// tiered is a source of another tier that counts what it is asked for.
type tiered struct {
	ipfsstore.Source
	tier  string
	asked *atomic.Int64
}

func (s tiered) Tier() string { return s.tier }

func (s tiered) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	s.asked.Add(int64(len(want)))
	return s.Source.Fetch(ctx, want, sink)
}

func TestFetch_tiersInOrder(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	near, far := tiered{mem(t, "near", from, root), "L3", new(atomic.Int64)}, tiered{mem(t, "far", from, root), "L4", new(atomic.Int64)}
	s := openStore(t, near, far)
	f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
	if err != nil || f.Level != "L3" || f.Sources[1].Bytes > 0 {
		t.Errorf("level %q, far asked %d times, %v", f.Level, far.asked.Load(), err)
	}
	s = openStore(t, tiered{storetest.Memory("near", nil), "L3", new(atomic.Int64)}, far)
	if f, err = s.Fetch(t.Context(), root, ipfsstore.FetchOptions{}); err != nil || f.Level != "L4" {
		t.Errorf("level %q, %v", f.Level, err)
	}
}

func TestFetch_twentySources(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	blocks := carBlocks(t, from, root)
	rng := seeded(t)
	for range times(20) {
		var sources []ipfsstore.Source
		gate := make(chan struct{})
		for i := range 20 {
			name := fmt.Sprintf("s%d", i)
			switch src := storetest.Memory(name, blocks); rng.IntN(5) {
			case 0:
				sources = append(sources, storetest.Lying(src))
			case 1:
				sources = append(sources, storetest.Dead(name))
			case 2:
				sources = append(sources, storetest.Slow(src, gate))
			default:
				sources = append(sources, src)
			}
		}
		sources = append(sources, storetest.Memory("last", blocks))
		s := openStore(t, sources...)
		var wg sync.WaitGroup
		for range 4 { // the same root four times at once
			wg.Go(func() {
				f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				sameTree(t, f.Artifact, modelFiles())
			})
		}
		wg.Wait()
	}
}

// A stuck source never answers. It counts down when it is first asked.
type stuck struct {
	ipfsstore.Source
	asked func()
}

func (s stuck) Fetch(ctx context.Context, _ []cid.Cid, _ func(cid.Cid, []byte) error) error {
	s.asked()
	<-ctx.Done()
	return ctx.Err()
}

// As many sources that never answer as are asked at a time do not keep others
// from being asked, of which one answers once three are stuck.
func TestFetch_stuckSources(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	blocks := carBlocks(t, from, root)
	var all sync.WaitGroup
	var sources []ipfsstore.Source
	for i := range 3 {
		all.Add(1)
		sources = append(sources, stuck{storetest.Memory(fmt.Sprintf("stuck%d", i), blocks), sync.OnceFunc(all.Done)})
	}
	gate := make(chan struct{})
	go func() { all.Wait(); close(gate) }()
	s := openStore(t, append(sources, storetest.Slow(storetest.Memory("late", blocks), gate))...)
	f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, modelFiles())
}

// TestFetch_killed kills a fetching process again and again. However far it was,
// nothing that is not whole is under a CID, and the next fetch completes.
func TestFetch_killed(t *testing.T) {
	t.Parallel()
	from := openStore(t)
	dir := t.TempDir()
	big := map[string][]byte{"big.bin": stream("big", 40<<20), "small.txt": []byte("x")}
	writeTree(t, dir, big)
	root := mustAdd(t, from, dir, ipfsstore.AddOptions{}).Root
	rng := seeded(t)
	for range times(20) {
		stopAfter := int64(2 + rng.IntN(37))
		srv := stalling(t, from, stopAfter)
		store := filepath.Join(t.TempDir(), "store")
		killAfter(t, srv.URL, store, root, stopAfter)
		srv.Close()

		s := openStoreIn(t, store, gateway(t, "whole", from))
		noFileUnderCID(t, s)
		f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sameTree(t, f.Artifact, big)
		if again := f.Sources[0].Blocks; again > 44-stopAfter { // 40 leaves, a folder, a file's node, the small file, and one
			t.Errorf("killed after %d leaves, then fetched %d blocks", stopAfter, again)
		}
		if parts, err := os.ReadDir(filepath.Join(store, "parts")); err != nil || len(parts) > 0 {
			t.Errorf("left: %v, %v", parts, err)
		}
	}
}

// stalling is a gateway that serves so many large blocks and then no more.
func stalling(t *testing.T, from *ipfsstore.Store, blocks int64) *httptest.Server {
	t.Helper()
	var served atomic.Int64
	h, closed := from.Gateway(), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Body.Len() >= 1<<20 && served.Add(1) > blocks {
			select {
			case <-closed:
			case <-r.Context().Done():
			}
			return
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(func() { close(closed); srv.Close() })
	return srv
}

// killAfter runs a fetch in a process of its own and kills it once so many
// leaves were written.
func killAfter(t *testing.T, url, store, root string, leaves int64) {
	t.Helper()
	p := startChild(t, "fetch", store, url, root)
	part := filepath.Join(store, "parts", root)
	for p.lines.Scan() {
		if strings.HasPrefix(p.lines.Text(), "end:") || strings.HasPrefix(p.lines.Text(), "error:") {
			t.Errorf("the fetch ended by itself: %s", p.lines.Text())
		}
		var done int64
		if _, err := fmt.Sscanf(p.lines.Text(), "leaves %d", &done); err == nil && done >= leaves<<20-1<<20 {
			break
		}
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // killed
	if entries, err := os.ReadDir(part); err != nil || len(entries) == 0 {
		t.Errorf("no partial file after the kill: %v, %v", entries, err)
	}
}
