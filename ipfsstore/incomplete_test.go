package ipfsstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// without is a CAR that lacks the blocks that drop reports.
func without(t *testing.T, car []byte, drop func(i int, c cid.Cid) bool) []byte {
	t.Helper()
	secs := sections(t, car)
	out := bytes.Clone(secs[0])
	for i, c := range carCIDs(t, car) {
		if !drop(i, c) {
			out = append(out, secs[i+1]...)
		}
	}
	return out
}

// lackingALeaf is a store with the model of an incomplete CAR, the store that
// has all of it, its root, and the leaf that the CAR lacked.
func lackingALeaf(t *testing.T) (s, from *ipfsstore.Store, a ipfsstore.Artifact, lost cid.Cid) {
	t.Helper()
	from, root := origin(t)
	lost = must(cid.Decode(leafOf(modelFiles()["onnx/model.onnx"], 1)))(t)
	s = openStoreIn(t, filepath.Join(t.TempDir(), "store"), gateway(t, "whole", from))
	a, err := s.Import(t.Context(), bytes.NewReader(without(t, export(t, from, root), func(_ int, c cid.Cid) bool { return c == lost })), ipfsstore.AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s, from, a, lost
}

func TestImport_incomplete(t *testing.T) {
	t.Parallel()
	s, _, a, lost := lackingALeaf(t)
	if want := []string{"onnx/model.onnx", "onnx/twin.onnx"}; a.Complete || !slices.Equal(a.Lost, want) || len(a.Files) != 3 || a.Name != a.Root {
		t.Errorf("%+v; lost, want %q", a, want)
	}
	if err := a.Lacks(); !errors.Is(err, ipfsstore.ErrIncomplete) {
		t.Errorf("%v, want ErrIncomplete", err)
	}
	for _, again := range []ipfsstore.Artifact{must(s.Open(t.Context(), a.Root))(t), must(s.Info(t.Context(), a.Root))(t), must(s.List(t.Context()))(t)[0]} {
		if again.Complete || len(again.Lost) != 2 {
			t.Errorf("%+v", again)
		}
	}
	below := must(s.Open(t.Context(), a.Root+"/config.json"))(t)
	if !below.Complete || below.Lacks() != nil {
		t.Errorf("a whole file of it: %+v", below)
	}
	if v := must(s.VerifyAll(t.Context(), ipfsstore.VerifyOptions{}))(t); len(v) != 1 || v[0].Err != nil || v[0].Complete {
		t.Errorf("verified: %+v", v)
	}
	for name, err := range map[string]error{
		"export":       s.Export(t.Context(), a.Root, new(bytes.Buffer)),
		"export files": s.ExportFiles(t.Context(), a.Root, filepath.Join(t.TempDir(), "out")),
	} {
		if !errors.Is(err, ipfsstore.ErrIncomplete) {
			t.Errorf("%s: %v, want ErrIncomplete", name, err)
		}
	}
	if r := ask(t, s, http.MethodGet, "/ipfs/"+lost.String()+"?format=raw"); r.StatusCode != http.StatusNotFound {
		t.Errorf("the lost leaf: %d", r.StatusCode)
	}
}

// What came of an incomplete CAR is served to this machine, by any process that
// has the store open, and to nobody else.
func TestImport_incompleteServed(t *testing.T) {
	t.Parallel()
	s, from, a, lost := lackingALeaf(t)
	for c, block := range carBlocks(t, from, a.Root) {
		got, err := s.All().Block(t.Context(), c)
		if c == lost && errors.Is(err, ipfsstore.ErrNotFound) {
			continue
		}
		if err != nil || !bytes.Equal(got, block) {
			t.Errorf("block %s: %d bytes, %v", c, len(got), err)
		}
	}
	for span, blocks := range map[string]int{"0:1048575": 3 + 1, "2097152:*": 3 + 4} { // around the leaf that is lost
		r := ask(t, s, http.MethodGet, "/ipfs/"+a.Root+"/onnx/model.onnx?format=car&entity-bytes="+span)
		if n := len(carCIDs(t, r.body)); r.StatusCode != http.StatusOK || n != blocks {
			t.Errorf("%s: %d, %d blocks, want %d", span, r.StatusCode, n, blocks)
		}
	}
	if _, err := s.Share(t.Context(), a.Root, true); !errors.Is(err, ipfsstore.ErrIncomplete) {
		t.Errorf("shared: %v", err)
	}
	c := must(cid.Decode(a.Root))(t)
	if _, err := s.Shared().Block(t.Context(), c); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("another machine gets %v", err)
	}
}

// A fetch brings only what is lacking; so does a whole CAR, or another part.
func TestImport_incompleteCompleted(t *testing.T) {
	t.Parallel()
	t.Run("fetch", func(t *testing.T) {
		t.Parallel()
		s, _, a, _ := lackingALeaf(t)
		f, err := s.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{})
		if err != nil || !f.Complete || f.Lacks() != nil || f.Sources[0].Bytes != 1<<20 {
			t.Fatalf("%+v, %v", f, err)
		}
		sameTree(t, f.Artifact, modelFiles())
		if u := must(s.Usage(t.Context()))(t); u.Parts != 0 {
			t.Errorf("%d bytes of parts are left", u.Parts)
		}
		if _, err := s.Share(t.Context(), a.Root, true); err != nil {
			t.Error(err)
		}
	})
	t.Run("CAR", func(t *testing.T) {
		t.Parallel()
		s, from, a, lost := lackingALeaf(t)
		rest := without(t, export(t, from, a.Root), func(i int, c cid.Cid) bool { return i > 0 && c != lost })
		a, err := s.Import(t.Context(), bytes.NewReader(rest), ipfsstore.AddOptions{Name: "whole"})
		if err != nil || !a.Complete || a.Name != "whole" {
			t.Fatalf("%+v, %v", a, err)
		}
		sameTree(t, a, modelFiles())
	})
}

func TestImport_incompleteRemoved(t *testing.T) {
	t.Parallel()
	s, _, a, _ := lackingALeaf(t)
	before := must(s.Usage(t.Context()))(t)
	if before.Parts < 4<<20 || before.Owned < before.Parts {
		t.Errorf("%+v", before)
	}
	got := must(s.GC(t.Context(), ipfsstore.GCOptions{MaxBytes: 0}))(t)
	if got.After != 0 || len(got.Removed) != 1 || got.Removed[0].Root != a.Root {
		t.Errorf("%+v", got)
	}
	s, _, a, _ = lackingALeaf(t)
	if err := s.Remove(t.Context(), a.Root, false); err != nil {
		t.Fatal(err)
	}
	if after := must(s.Usage(t.Context()))(t); after.Owned != 0 || len(after.Models) != 0 {
		t.Errorf("%+v", after)
	}
}

// Whatever blocks are lacking, what came is served as it should be, and a fetch
// brings the rest.
func TestImport_anyLacking(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	car, blocks := export(t, from, root), carBlocks(t, from, root)
	rng := seeded(t)
	for round := range times(100) {
		share := rng.Float64()
		s := openStore(t, gateway(t, "whole", from))
		a, err := s.Import(t.Context(), bytes.NewReader(without(t, car, func(i int, _ cid.Cid) bool { return i > 0 && rng.Float64() < share })), ipfsstore.AddOptions{})
		if err != nil || a.Complete != (len(a.Lost) == 0) {
			t.Fatalf("round %d: %+v, %v", round, a, err)
		}
		for c, want := range blocks {
			if got, err := s.All().Block(t.Context(), c); err == nil && !bytes.Equal(got, want) || err != nil && (a.Complete || !errors.Is(err, ipfsstore.ErrNotFound)) {
				t.Errorf("round %d: block %s: %v", round, c, err)
			}
		}
		f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
		if err != nil || !f.Complete {
			t.Fatalf("round %d: %+v, %v", round, f, err)
		}
		sameTree(t, f.Artifact, modelFiles())
	}
}

// The inner nodes of files and the shards of large folders may be lacking too.
func TestImport_lackingNodes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(memDir(t), "many")
	files := map[string][]byte{"big": stream("b", 9<<20+3)}
	for i := range 1500 {
		files[fmt.Sprintf("sub/%0200d", i)] = []byte{byte(i)}
	}
	writeTree(t, dir, files)
	narrow := newBoxo(uio.UnixFS_v0_2015)
	narrow.profile.FileDAGWidth = 4 // several levels, as a larger file would have
	root := narrow.add(t, dir).Cid().String()
	from := openStoreIn(t, filepath.Join(memDir(t), "store"), storetest.Memory("boxo", narrow.all(t)))
	if _, err := from.Fetch(t.Context(), root, ipfsstore.FetchOptions{}); err != nil {
		t.Fatal(err)
	}
	lost := 0
	car := without(t, export(t, from, root), func(i int, c cid.Cid) bool {
		block, err := from.All().Block(t.Context(), c)
		inner := err == nil && i > 2 && len(block) > 100 && len(block) < 10_000 // neither a leaf nor a small file
		if inner {
			lost++
		}
		return inner && lost%7 == 1
	})
	s := openStoreIn(t, filepath.Join(memDir(t), "store"), gateway(t, "whole", from))
	got, err := s.Import(t.Context(), bytes.NewReader(car), ipfsstore.AddOptions{})
	if err != nil || got.Complete || !slices.Contains(got.Lost, "big") || !slices.Contains(got.Lost, "sub") {
		t.Fatalf("%q, %v", got.Lost, err)
	}
	f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
	if err != nil || !f.Complete {
		t.Fatal(f.Lost, err)
	}
	sameTree(t, f.Artifact, files)
}

// A sparse file is believed leaf by leaf.
func TestImport_incompleteDamaged(t *testing.T) {
	t.Parallel()
	s, _, a, _ := lackingALeaf(t)
	parts, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(a.Dir)), "parts", a.Root, "*"))
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	f, err := os.OpenFile(parts[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 3<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for leaf, want := range map[int]int{0: http.StatusOK, 3: http.StatusNotFound} {
		if r := ask(t, s, http.MethodGet, "/ipfs/"+leafOf(modelFiles()["onnx/model.onnx"], leaf)+"?format=raw"); r.StatusCode != want {
			t.Errorf("leaf %d: %d, want %d", leaf, r.StatusCode, want)
		}
	}
	got, err := s.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, got.Artifact, maps.Clone(modelFiles()))
}
