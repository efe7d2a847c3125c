package ipfsstore_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// TestStore_fourProcesses has four processes add, fetch, remove and make room on
// one store, for a minute under stress.
func TestStore_fourProcesses(t *testing.T) {
	t.Parallel() // it takes long, and waits much
	rng := seeded(t)
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	for i := range 3 {
		writeTree(t, filepath.Join(dir, fmt.Sprint("folder", i)), map[string][]byte{
			"model.onnx": stream(fmt.Sprint("m", i/2), 3<<20), "config.json": fmt.Append(nil, i), "sub/twin.onnx": stream("m0", 3<<20),
		})
	}
	from := openStore(t)
	root := mustAdd(t, from, filepath.Join(dir, "folder0"), ipfsstore.AddOptions{}).Root
	gate := newLedger(t, from)
	end := time.Duration(times(60)) * time.Second
	t.Logf("for %s", end)
	var wait []func()
	for range 4 {
		p := startChild(t, "mixed", store, gate.URL, root, fmt.Sprint(rng.Uint64()))
		wait = append(wait, func() {
			var last []string
			for p.lines.Scan() {
				last = append(last, p.lines.Text())
			}
			if err := p.Wait(); err != nil || len(last) != 2 || !strings.HasPrefix(last[0], "done") || last[1] != "end: <nil>" {
				t.Errorf("a process said %q, %v", last, err)
			}
			t.Log(last)
		})
		timer := time.AfterFunc(end, func() { _ = p.in.Close() }) // the sign to end
		defer timer.Stop()
	}
	for _, w := range wait {
		w()
	}
	s := openStoreIn(t, store, gateway(t, "gateway", from))
	verifyClean(t, s)
	if _, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{}); err != nil {
		t.Error(err)
	}
	verifyClean(t, s)
}
