package ipfsstore_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

func decode(t testing.TB, s string) cid.Cid {
	t.Helper()
	c, err := cid.Decode(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Other machines get what is shared, as long as it is, and nothing else.
func TestShare(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "small"})
	root, view := decode(t, a.Root), s.Shared()
	if _, err := view.Block(t.Context(), root); a.Shared || !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Fatalf("shared %v, block %v; nothing was shared", a.Shared, err)
	}
	if roots, err := view.Roots(t.Context()); err != nil || len(roots) != 0 {
		t.Errorf("roots %v, %v; want none", roots, err)
	}
	if a, err := s.Share(t.Context(), "small", true); err != nil || !a.Shared {
		t.Fatalf("shared %v: %v", a.Shared, err)
	}
	for name, data := range modelFiles() {
		leaf := leafOf(data, 0)
		b, err := view.Block(t.Context(), decode(t, leaf))
		size, serr := view.Size(t.Context(), decode(t, leaf))
		if err != nil || serr != nil || len(b) != size {
			t.Errorf("%s: %d bytes, size %d; %v, %v", name, len(b), size, err, serr)
		}
	}
	if roots, err := view.Roots(t.Context()); err != nil || len(roots) != 5 { // the folder and four contents
		t.Errorf("%d roots: %v; want 5", len(roots), err)
	}
	again := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	if !again.Shared {
		t.Error("adding the model again stopped sharing it")
	}
	if _, err := s.Share(t.Context(), a.Root, false); err != nil {
		t.Fatal(err)
	}
	if _, err := view.Block(t.Context(), root); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("%v; the model is not shared any more", err)
	}
	if _, err := s.Share(t.Context(), a.Root+"/onnx", true); !errors.Is(err, ipfsstore.ErrInvalidRef) {
		t.Errorf("%v, want ErrInvalidRef", err)
	}
	if _, err := s.Share(t.Context(), "none", true); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

// A block that a shared model has in common with another is served; the other
// one's own are not.
func TestShare_common(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	mine, other := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	writeTree(t, mine, map[string][]byte{"common": stream("common", 3<<20), "own": stream("a", 99)})
	writeTree(t, other, map[string][]byte{"common": stream("common", 3<<20), "own": stream("b", 99)})
	a, b := mustAdd(t, s, mine, ipfsstore.AddOptions{}), mustAdd(t, s, other, ipfsstore.AddOptions{})
	for shared, hidden := range map[string]string{a.Root: b.Root, b.Root: a.Root} {
		if _, err := s.Share(t.Context(), shared, true); err != nil {
			t.Fatal(err)
		}
		for c, want := range map[string]bool{shared: true, hidden: false, leafOf(stream("common", 3<<20), 1): true} {
			if _, err := s.Shared().Block(t.Context(), decode(t, c)); (err == nil) != want {
				t.Errorf("block %s: %v, want it %v", c, err, want)
			}
		}
		if _, err := s.Share(t.Context(), shared, false); err != nil {
			t.Fatal(err)
		}
	}
}

// A shared file whose bytes happen to be a node does not give away what that
// node links to.
func TestShare_nodeInDisguise(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	dir := t.TempDir()
	writeTree(t, dir, map[string][]byte{"secret": stream("secret", 99)})
	secret := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	bait := merkledag.NodeWithData(unixfs.FolderPBData())
	if err := bait.AddRawLink("x", &ipld.Link{Cid: decode(t, secret.Root), Size: 99}); err != nil {
		t.Fatal(err)
	}
	shared := t.TempDir()
	writeTree(t, shared, map[string][]byte{"bait": bait.RawData()})
	a := mustAdd(t, s, shared, ipfsstore.AddOptions{})
	if _, err := s.Share(t.Context(), a.Root, true); err != nil {
		t.Fatal(err)
	}
	sum, err := mh.Sum(bait.RawData(), mh.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	disguise := cid.NewCidV1(cid.DagProtobuf, sum)
	srv := httptest.NewServer(s.Shared().Gateway())
	defer srv.Close()
	for _, path := range []string{"/x?format=raw", "/x/secret?format=raw"} {
		if r := get(t, srv.URL+"/ipfs/"+disguise.String()+path); r == http.StatusOK {
			t.Errorf("%s is served", path)
		}
	}
	var nodes int
	if err := s.Shared().Nodes(t.Context(), disguise, func(cid.Cid, []byte) error { nodes++; return nil }); err != nil || nodes != 0 {
		t.Errorf("%d nodes, %v; the block is a leaf", nodes, err)
	}
	resp, err := http.Get(srv.URL + "/ipfs/" + disguise.String() + "?format=car")
	if err != nil {
		return // not even a status: as good
	}
	defer resp.Body.Close()
	got := make([]byte, 64<<10)
	n, _ := resp.Body.Read(got) // however it ends, what came is looked at
	if want := stream("secret", 99); n > 99 && string(got[n-99:n]) == string(want) {
		t.Error("a CAR gives the secret away")
	}
}

func get(t testing.TB, url string) int {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode
}

// Nodes are all that is needed beside the leaves.
func TestView_nodes(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	a := mustAdd(t, s, modelFolder(t), ipfsstore.AddOptions{})
	seen := map[cid.Cid]bool{}
	first := cid.Undef
	if err := s.All().Nodes(t.Context(), decode(t, a.Root), func(c cid.Cid, _ []byte) error {
		if seen[c] {
			t.Errorf("node %s twice", c)
		}
		if seen[c] = true; !first.Defined() {
			first = c
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if first != decode(t, a.Root) || len(seen) != 3 { // the folder, onnx, the large file's node
		t.Errorf("%d nodes, the first is %s; want 3 and the root", len(seen), first)
	}
	stop := errors.New("enough")
	if err := s.All().Nodes(t.Context(), first, func(cid.Cid, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v, want that of yield", err)
	}
	if err := s.Shared().Nodes(t.Context(), first, nil); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

// What is there of a model of which only some files were fetched is served.
func TestGateway_incomplete(t *testing.T) {
	t.Parallel()
	from := openStore(t)
	a := mustAdd(t, from, modelFolder(t), ipfsstore.AddOptions{})
	s := openStore(t, gateway(t, "from", from))
	if f, err := s.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{Files: []string{"tokenizer.json"}}); err != nil || f.Complete {
		t.Fatalf("complete %v: %v", f.Complete, err)
	}
	for target, want := range map[string]int{
		"/ipfs/" + a.Root + "?format=raw":                200,
		"/ipfs/" + a.Root + "/tokenizer.json?format=raw": 200,
		"/ipfs/" + a.Root + "/config.json?format=raw":    404,
	} {
		if r := ask(t, s, "GET", target); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, r.StatusCode, want)
		}
	}
}
