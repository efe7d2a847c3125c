package p2p_test

import (
	"context"
	"crypto/sha256"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/p2p"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

const loopback = "/ip4/127.0.0.1/tcp/0"

// A node is a store with a host process's insides, run in this one.
type node struct {
	t      testing.TB
	home   string
	store  *ipfsstore.Store
	client *peers.Client
	config peers.Config
}

// newNode makes a node that is not served yet.
func newNode(t testing.TB) *node {
	t.Helper()
	home, err := os.MkdirTemp("", "p2p") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	store, err := ipfsstore.Open(filepath.Join(home, "store"), ipfsstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	n := &node{t: t, home: home, store: store, config: peers.Config{
		Home: home, Store: filepath.Join(home, "store"), Listen: []string{loopback}, Linger: time.Minute,
	}}
	n.client = peers.New(peers.Options{Config: n.config})
	return n
}

// serve runs the host until the test ends, and returns the node.
func (n *node) serve() *node {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p2p.Serve(ctx, n.config, nil, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := n.client.Close(); err != nil {
			n.t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			n.t.Error(err)
		}
	})
	return n
}

func (n *node) status() peers.Status {
	n.t.Helper()
	st, err := n.client.Status(n.t.Context(), false)
	if err != nil {
		n.t.Fatal(err)
	}
	return st
}

func (n *node) id() string {
	n.t.Helper()
	key, err := p2p.LoadIdentity(filepath.Join(n.home, peers.KeyFile))
	if err != nil {
		n.t.Fatal(err)
	}
	id, err := p2p.IDOf(key)
	if err != nil {
		n.t.Fatal(err)
	}
	return id
}

func (n *node) address() string {
	n.t.Helper()
	st := n.status()
	if len(st.Addresses) == 0 {
		n.t.Fatal("the host has no address")
	}
	return st.Addresses[0]
}

func (n *node) source(name string) ipfsstore.Source {
	n.t.Helper()
	sources, err := n.client.Sources()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, src := range sources {
		if src.Name() == name {
			return src
		}
	}
	n.t.Fatalf("no source %q", name)
	return nil
}

// fetch fetches a model into an empty store by one of the node's sources.
func (n *node) fetch(ctx context.Context, source, root string) (ipfsstore.Fetched, error) {
	n.t.Helper()
	s, err := ipfsstore.Open(n.t.TempDir(), ipfsstore.Options{Sources: []ipfsstore.Source{n.source(source)}})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { s.Close() })
	return s.Fetch(ctx, root, ipfsstore.FetchOptions{})
}

// pair is two nodes that are allowed to each other, served and connected: the
// second keeps the first among its peers.
func pair(t testing.TB) (giver, taker *node) {
	t.Helper()
	giver, taker = newNode(t), newNode(t)
	giver.config.Allow = []string{taker.id()}
	giver.serve()
	taker.config.Allow, taker.config.Peers = []string{giver.id()}, []string{giver.address()}
	return giver, taker.serve()
}

// stream is deterministic content.
func stream(seed string, n int) []byte {
	out := make([]byte, 0, n+sha256.Size)
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256([]byte(seed + ":" + strconv.Itoa(i)))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func modelFiles() map[string][]byte {
	return map[string][]byte{
		"config.json": []byte("{}\n"), "empty": {}, "onnx/model.onnx": stream("m", 9<<20+17), "tokenizer.json": stream("t", 300_000),
	}
}

// addModel adds the small model of these tests, and shares it.
func (n *node) addModel(share bool) string {
	n.t.Helper()
	dir := filepath.Join(n.t.TempDir(), "model")
	for name, data := range modelFiles() {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			n.t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			n.t.Fatal(err)
		}
	}
	a, err := n.store.Add(n.t.Context(), dir, ipfsstore.AddOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	if share {
		n.share(a.Root, true)
	}
	return a.Root
}

func (n *node) share(root string, on bool) {
	n.t.Helper()
	if _, err := n.store.Share(n.t.Context(), root, on); err != nil {
		n.t.Fatal(err)
	}
}

// sameModel checks that what was fetched is the small model.
func sameModel(t testing.TB, f ipfsstore.Fetched) {
	t.Helper()
	want := modelFiles()
	if len(f.Files) != len(want) {
		t.Errorf("%d files, want %d", len(f.Files), len(want))
	}
	for name, data := range want {
		got, err := os.ReadFile(filepath.Join(f.Dir, filepath.FromSlash(name)))
		if err != nil || string(got) != string(data) {
			t.Errorf("%s: %d bytes, %v; want %d, the same", name, len(got), err, len(data))
		}
	}
}

// holding makes n's store hold the blocks, as files of a shared folder.
func (n *node) holding(blocks map[cid.Cid][]byte) {
	n.t.Helper()
	folder := merkledag.NodeWithData(unixfs.FolderPBData())
	if err := folder.SetCidBuilder(cid.V1Builder{Codec: cid.DagProtobuf, MhType: 0x12}); err != nil {
		n.t.Fatal(err)
	}
	for c, b := range blocks {
		if err := folder.AddRawLink(c.String(), &ipld.Link{Cid: c, Size: uint64(len(b))}); err != nil {
			n.t.Fatal(err)
		}
	}
	all := map[cid.Cid][]byte{folder.Cid(): folder.RawData()}
	maps.Copy(all, blocks)
	s, err := ipfsstore.Open(n.config.Store, ipfsstore.Options{Sources: []ipfsstore.Source{storetest.Memory("memory", all)}})
	if err != nil {
		n.t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Fetch(n.t.Context(), folder.Cid().String(), ipfsstore.FetchOptions{}); err != nil {
		n.t.Fatal(err)
	}
	n.share(folder.Cid().String(), true)
}
