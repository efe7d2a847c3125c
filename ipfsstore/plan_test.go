package ipfsstore_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// A visitors is a gateway that keeps a list of what it was asked for.
type visitors struct {
	http.Handler

	mu    sync.Mutex // guards asked
	asked []string
}

func (v *visitors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	v.asked = append(v.asked, strings.TrimPrefix(r.URL.Path, "/ipfs/"))
	v.mu.Unlock()
	v.Handler.ServeHTTP(w, r)
}

func (v *visitors) were(cid string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Contains(v.asked, cid)
}

func licensedFiles() map[string][]byte {
	files := modelFiles()
	files["README.md"] = []byte("---\nlicense: apache-2.0\n---\n# A model\n")
	return files
}

func TestPlan(t *testing.T) {
	t.Parallel()
	from, dir := openStore(t), t.TempDir()
	writeTree(t, dir, licensedFiles())
	root := mustAdd(t, from, dir, ipfsstore.AddOptions{}).Root
	v := &visitors{Handler: from.Gateway()}
	s := openStore(t, storetest.Gateway(t, "gw", v))
	const big = 5<<20 + 17
	readme := int64(len(licensedFiles()["README.md"]))
	want := 3 + 300_000 + readme + big // the twin is the same content

	p, err := s.Plan(t.Context(), root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Root != root || p.Bytes != want || p.ToFetch != want || p.License != "apache-2.0" || len(p.Files) != 6 || p.Free == 0 {
		t.Errorf("%+v", p)
	}
	if v.were(leafOf(modelFiles()["onnx/model.onnx"], 1)) || v.were(leafOf(modelFiles()["tokenizer.json"], 0)) {
		t.Errorf("leaves were fetched: %q", v.asked)
	}
	noFileUnderCID(t, s)

	if _, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{Files: []string{"*.json"}}); err != nil {
		t.Fatal(err)
	}
	if p, err = s.Plan(t.Context(), root, ipfsstore.FetchOptions{}); err != nil || p.ToFetch != readme+big || p.License != "apache-2.0" {
		t.Errorf("with a part of it: %+v, %v", p, err)
	}
	for _, f := range p.Files {
		if f.Here != (f.Name == "config.json" || f.Name == "tokenizer.json") {
			t.Errorf("%+v", f)
		}
	}
	leaf := leafOf(modelFiles()["tokenizer.json"], 0)
	for range 2 { // of a single leaf that nothing tells the size of, elsewhere and here
		if p, err = s.Plan(t.Context(), leaf, ipfsstore.FetchOptions{}); err != nil || p.Bytes != 300_000 {
			t.Errorf("a leaf: %+v, %v", p, err)
		}
		s = openStore(t, storetest.Gateway(t, "gw", v))
	}
	if _, err := s.Plan(t.Context(), root, ipfsstore.FetchOptions{MaxBytes: 1000}); err == nil {
		t.Error("a plan of more than is allowed")
	}
}

func TestPlan_named(t *testing.T) {
	t.Parallel()
	h := storetest.NewHub(t, storetest.HubOptions{})
	h.Put("org/model", licensedFiles())
	s := hubStore(t, t.TempDir(), h)
	p, err := s.Plan(t.Context(), "hf://org/model", ipfsstore.FetchOptions{Files: []string{"*.json"}})
	if err != nil || p.Name != "org/model" || len(p.Files) != 2 || p.Bytes != 300_003 || p.ToFetch != 300_003 || p.License != "apache-2.0" {
		t.Errorf("%+v, %v", p, err)
	}
	noFileUnderCID(t, s)
	f, err := s.Fetch(t.Context(), "hf://org/model", ipfsstore.FetchOptions{Files: []string{"*.json"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err = s.Plan(t.Context(), "hf://org/model", ipfsstore.FetchOptions{Files: []string{"*.json"}})
	if err != nil || p.Root != f.Root || p.ToFetch != 0 || p.Bytes != 300_003 {
		t.Errorf("of what is here: %+v, %v", p, err)
	}
}
