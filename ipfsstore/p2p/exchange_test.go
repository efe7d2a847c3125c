package p2p_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/p2p"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

var sources = []string{peers.Blob, peers.Bitswap}

func TestSources(t *testing.T) {
	for _, name := range sources {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, blocks map[cid.Cid][]byte) ipfsstore.Source {
				giver, taker := pair(t)
				giver.holding(blocks)
				return taker.source(name)
			})
		})
	}
}

// A shared model goes from one store to another by either way, and not any more
// once it is not shared.
func TestExchange(t *testing.T) {
	giver, taker := pair(t)
	root := giver.addModel(true)
	for _, name := range sources {
		f, err := taker.fetch(t.Context(), name, root)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameModel(t, f)
	}
	st := taker.status()
	if len(st.Peers) != 1 || st.Peers[0].ID != giver.id() || !st.Peers[0].Connected || st.Peers[0].Bytes < 9<<20 || st.Peers[0].Bandwidth == 0 {
		t.Errorf("peers %+v; want the giver, with what came from it", st.Peers)
	}
	giver.share(root, false)
	other := "bafybeidskjjd4zmr7oh6ku6wp72vvbxyibcli2r6if3ocdcy7jjjusvl2u" // nobody's
	for _, name := range sources {
		for _, missing := range []string{root, other} {
			if name == peers.Blob && missing == root {
				continue // the taker's host has kept its nodes
			}
			if _, err := taker.fetch(t.Context(), name, missing); !errors.Is(err, ipfsstore.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			}
		}
	}
}

// Who is on no list gets nothing: not a connection, not a block.
func TestStranger(t *testing.T) {
	giver, friend := pair(t)
	root := giver.addModel(true)
	stranger := newNode(t)
	stranger.config.Peers = []string{giver.address()}
	stranger.serve()
	if err := stranger.client.Connect(t.Context(), giver.address()); err == nil {
		t.Error("the stranger was let in")
	}
	for _, name := range sources {
		if f, err := stranger.fetch(t.Context(), name, root); err == nil || f.Bytes > 0 {
			t.Errorf("%s: the stranger got %d bytes: %v", name, f.Bytes, err)
		}
	}
	if f, err := friend.fetch(t.Context(), peers.Blob, root); err != nil {
		t.Errorf("the friend got %d bytes: %v", f.Bytes, err)
	}
	if err := peers.Change(giver.home, func(b *peers.Book) { b.Allow = append(b.Allow, stranger.id()) }); err != nil {
		t.Fatal(err)
	}
	if err := stranger.client.Connect(t.Context(), giver.address()); err != nil {
		t.Errorf("the peer is allowed now: %v", err)
	}
	f, err := stranger.fetch(t.Context(), peers.Bitswap, root)
	if err != nil {
		t.Fatal(err)
	}
	sameModel(t, f)
}

// A peer that is kept connected to, and is not allowed, may connect and gets
// nothing.
func TestPeerThatIsNotAllowed(t *testing.T) {
	giver, taker := newNode(t), newNode(t)
	taker.serve()
	giver.config.Peers = []string{taker.address()}
	giver.serve()
	root := giver.addModel(true)
	if err := peers.Change(taker.home, func(b *peers.Book) { b.Allow = []string{giver.id()} }); err != nil {
		t.Fatal(err)
	}
	if err := taker.client.Connect(t.Context(), giver.address()); err == nil {
		t.Error("hello was answered to a peer that is not allowed")
	}
	for _, name := range sources {
		if f, err := taker.fetch(t.Context(), name, root); err == nil {
			t.Errorf("%s: got %d bytes", name, f.Bytes)
		}
	}
}

// A fetch that begins before the peer is there waits for it a little.
func TestFetch_beforeThePeer(t *testing.T) {
	giver, taker := newNode(t), newNode(t)
	giver.config.Allow = []string{taker.id()}
	giver.serve()
	root := giver.addModel(true)
	taker.config.Peers = []string{giver.address()}
	taker.serve() // and at once:
	f, err := taker.fetch(t.Context(), peers.Blob, root)
	if err != nil {
		t.Fatal(err)
	}
	sameModel(t, f)
}

// A host that is gone is an error of its source, not a wait without end.
func TestFetch_peerGone(t *testing.T) {
	_, taker := newNode(t).serve(), newNode(t).serve()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := taker.fetch(ctx, peers.Blob, "bafybeidskjjd4zmr7oh6ku6wp72vvbxyibcli2r6if3ocdcy7jjjusvl2u"); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

// By the table, a peer is found that nobody named.
func TestTable(t *testing.T) {
	meeting, giver, taker := newNode(t), newNode(t), newNode(t)
	meeting.config.Allow, meeting.config.DHT = []string{giver.id(), taker.id()}, true
	meeting.serve()
	giver.config.Allow, taker.config.Allow = []string{taker.id(), meeting.id()}, []string{giver.id(), meeting.id()}
	for _, n := range []*node{giver, taker} {
		n.config.DHT, n.config.Bootstrap = true, []string{meeting.address()}
		n.serve()
	}
	root := giver.addModel(true)
	for _, n := range []*node{giver, taker} {
		if err := n.client.Connect(t.Context(), meeting.address()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return giver.client.Announce(t.Context()) == nil })
	if st := giver.status(); st.Shared < 4 {
		t.Errorf("%d roots are shared; want the model's and its files'", st.Shared)
	}
	f, err := taker.fetch(t.Context(), peers.Blob, root)
	if err != nil {
		t.Fatal(err)
	}
	sameModel(t, f)
}

// eventually waits until ok is true, which the table takes a moment for.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		if ok() {
			return
		}
		<-tick.C
	}
	t.Fatal("it did not become true")
}

func TestIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := p2p.LoadIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p2p.LoadIdentity(path)
	if err != nil || !first.Equals(again) {
		t.Errorf("another key: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p2p.LoadIdentity(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("%v; want that others can read it", err)
	}
}

// A configuration with what is no peer is refused, and says what.
func TestServe_badConfig(t *testing.T) {
	for _, change := range []func(*peers.Config){
		func(c *peers.Config) { c.Allow = []string{"nobody"} },
		func(c *peers.Config) { c.Peers = []string{"127.0.0.1:4001"} },
		func(c *peers.Config) { c.Peers = []string{"/ip4/127.0.0.1/tcp/1"} },
		func(c *peers.Config) { c.DHT, c.Bootstrap = true, []string{"x"} },
		func(c *peers.Config) { c.Listen = []string{"x"} },
	} {
		n := newNode(t)
		change(&n.config)
		if err := p2p.Serve(t.Context(), n.config, nil, func() { t.Error("ready") }); err == nil {
			t.Errorf("%+v: no error", n.config)
		}
	}
}

// A home has one host; a second one says that it is taken.
func TestServe_taken(t *testing.T) {
	n := newNode(t).serve()
	if err := p2p.Serve(t.Context(), n.config, nil, func() { t.Error("ready") }); !errors.Is(err, p2p.ErrTaken) {
		t.Errorf("%v, want ErrTaken", err)
	}
}
