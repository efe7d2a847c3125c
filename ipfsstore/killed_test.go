package ipfsstore_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// A ledger is a gateway that keeps account of the leaves it has sent in one fetch.
type ledger struct {
	*httptest.Server

	mu      sync.Mutex // guards all below
	sent    map[string]bool
	again   int // leaves sent that had been sent before the last call of resumed
	before  map[string]bool
	running bool
}

func newLedger(t *testing.T, from *ipfsstore.Store) *ledger {
	t.Helper()
	l := &ledger{sent: map[string]bool{}}
	h := from.Gateway()
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/start", "/end":
			l.mark(r.URL.Path == "/start")
			return
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		w.WriteHeader(rec.Code)
		if _, err := w.Write(rec.Body.Bytes()); err == nil && rec.Body.Len() >= 1<<20 {
			l.count(r.URL.Path)
		}
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *ledger) mark(start bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running = start; start {
		l.sent, l.before, l.again = map[string]bool{}, nil, 0
	}
}

func (l *ledger) count(leaf string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.before[leaf] {
		l.again++
	}
	l.sent[leaf] = true
}

// resumed says that what is sent from now on is for another fetch of the same,
// and reports whether the one before it was not done.
func (l *ledger) resumed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = make(map[string]bool, len(l.sent))
	for leaf := range l.sent {
		l.before[leaf] = true
	}
	return l.running
}

func (l *ledger) sentAgain() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.again
}

const (
	inFlight = 16 // leaves that a gateway's source asks for at once
	killSize = 24 << 20
)

// TestStore_killed kills a process at a random moment of a fetch, an import, a
// collection or a pin, again and again on one store. Each time the store opens,
// all of it is right, and a fetch goes on where it was.
func TestStore_killed(t *testing.T) {
	t.Parallel() // it takes long, and waits much
	rng := seeded(t)
	big := map[string][]byte{"big.bin": stream("big", killSize), "small.txt": []byte("x")}
	dir := t.TempDir()
	folder, store := filepath.Join(dir, "folder"), filepath.Join(dir, "store")
	writeTree(t, folder, modelFiles())
	writeTree(t, filepath.Join(dir, "big"), big)
	from := openStore(t)
	root := mustAdd(t, from, filepath.Join(dir, "big"), ipfsstore.AddOptions{}).Root
	exportCAR(t, from, mustAdd(t, from, folder, ipfsstore.AddOptions{}).Root, folder+".car")
	gate := newLedger(t, from)
	h := storetest.NewHub(t, storetest.HubOptions{})
	h.Put("org/model", big)
	mustAdd(t, openStoreIn(t, store), filepath.Join(dir, "folder", "onnx"), ipfsstore.AddOptions{Name: "pinned", Pin: true, Copy: true})

	jobs := []string{"fetch", "named", "import", "car", "gc", "pin"}
	for i := range times(200) {
		job := jobs[i%len(jobs)]
		killSoon(t, time.Duration(rng.Int64N(int64(150*time.Millisecond))), "loop", job, store, gate.URL, h.URL, root, folder)
		s := hubStore(t, store, h, must(storetest.HTTP("gateway", gate.URL))(t))
		verifyClean(t, s)
		switch running := gate.resumed(); {
		case job == "fetch" && running:
			if _, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{}); err != nil {
				t.Fatal(err)
			}
			if n := gate.sentAgain(); n > inFlight {
				t.Errorf("%d leaves were fetched again, at most %d were in flight", n, inFlight)
			}
		case job == "named" && running:
			refetchNamed(t, s)
		}
		verifyClean(t, s)
		must(s.Pin(t.Context(), "pinned", true))(t) // it may have been killed without
		for _, a := range must(s.List(t.Context()))(t) {
			if a.Name != "pinned" {
				if err := s.Remove(t.Context(), a.Root, true); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// refetchNamed checks that no more comes again than lay unread in sockets.
func refetchNamed(t *testing.T, s *ipfsstore.Store) {
	t.Helper()
	var have int64
	if parts, err := filepath.Glob(filepath.Join(ipfsstore.Dir(s), "parts", "*", "*")); err == nil {
		for _, p := range parts {
			if fi, err := os.Stat(p); err == nil && strings.Contains(p, "origin-") {
				have += fi.Size()
			}
		}
	}
	f, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Level == "L4" && f.Sources[0].Name == "hub" && f.Sources[0].Bytes > f.Bytes-have {
		t.Errorf("%d bytes of %d came, though %d were here", f.Sources[0].Bytes, f.Bytes, have)
	}
}

// killSoon starts a process and kills it that long after it has begun its work.
func killSoon(t *testing.T, after time.Duration, args ...string) {
	t.Helper()
	p := startChild(t, args...)
	if !p.lines.Scan() || p.lines.Text() != "go" {
		t.Fatalf("the process says %q", p.lines.Text())
	}
	kill := time.AfterFunc(after, func() { _ = p.Process.Kill() }) // it may have failed by itself, which is seen below
	defer kill.Stop()
	for p.lines.Scan() {
		if strings.HasPrefix(p.lines.Text(), "end:") {
			t.Errorf("%s ended by itself: %s", args[1], p.lines.Text())
		}
	}
	_ = p.Wait() // killed
}

func verifyClean(t *testing.T, s *ipfsstore.Store) {
	t.Helper()
	found, err := s.VerifyAll(t.Context(), ipfsstore.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		if v.Err != nil {
			t.Errorf("%s (%s): %v", v.Root, v.Name, v.Err)
		}
	}
}

func exportCAR(t *testing.T, s *ipfsstore.Store, root, to string) {
	t.Helper()
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := s.Export(t.Context(), root, f); err != nil {
		t.Fatal(err)
	}
}

// must returns a value, or ends the test.
func must[V any](v V, err error) func(testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
