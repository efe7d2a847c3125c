//go:build figures && linux

package p2p_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	flatfs "github.com/ipfs/go-ds-flatfs"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/internal/figures"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

const (
	nearBytes = 512 << 20 // that are moved over loopback
	farBytes  = 128 << 20 // that are moved far
	oneWay    = 25 * time.Millisecond
)

// TestFigures prints the figures of `make bench`. They are printed, never
// asserted.
func TestFigures(t *testing.T) {
	t.Run("P4", p4)
	t.Run("P5", p5)
}

// A giver is a file that everybody here gives: our store by gateway and host,
// and a reference by bitswap.
type giver struct {
	file   string
	root   cid.Cid
	store  *ipfsstore.Store
	node   *node
	theirs *reference
}

// newGiver makes a giver of so many bytes that don't repeat.
func newGiver(t *testing.T, size int64, takers ...*node) *giver {
	t.Helper()
	g := &giver{node: newNode(t), file: filepath.Join(t.TempDir(), "model.bin")}
	for _, n := range takers {
		g.node.config.Allow = append(g.node.config.Allow, n.id())
	}
	g.store = g.node.store
	f, err := os.Create(g.file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{1}), size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := g.store.Add(t.Context(), g.file, ipfsstore.AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g.root = cid.MustParse(a.Root)
	g.node.share(a.Root, true)
	g.node.serve()
	g.theirs = flatReference(t)
	if f, err = os.Open(g.file); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if root := g.theirs.addAs(f, 1<<20, 1024); root != g.root {
		t.Fatalf("boxo's root is %s, ours %s", root, g.root)
	}
	return g
}

// flatReference is a reference that keeps its blocks as Kubo does.
func flatReference(t *testing.T) *reference {
	t.Helper()
	store, err := flatfs.CreateOrOpen(filepath.Join(t.TempDir(), "flatfs"), flatfs.NextToLast(2), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return newReferenceOn(t, store)
}

// boxoFetches is how long a reference takes to get a root from the peer at an
// address, as `ipfs pin add` does it.
func boxoFetches(t *testing.T, from string, root cid.Cid) (took float64) {
	t.Helper()
	t.Run("boxo", func(t *testing.T) { // which ends it, and removes its files
		r := flatReference(t)
		r.connect(from)
		dag := merkledag.NewDAGService(blockservice.New(r.blocks, r.swap))
		took = figures.Seconds(t, func() error { return merkledag.FetchGraph(t.Context(), root, dag) })
	})
	return took
}

// storeFetches is how long a new store takes to get a root from a source.
func storeFetches(t *testing.T, src ipfsstore.Source, root cid.Cid) (took float64) {
	t.Helper()
	t.Run(src.Name(), func(t *testing.T) {
		s, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{Sources: []ipfsstore.Source{src}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		took = figures.Seconds(t, func() error {
			_, err := s.Fetch(t.Context(), root.String(), ipfsstore.FetchOptions{})
			return err
		})
	})
	return took
}

// p4 is how long a verified fetch of 512 MiB over loopback takes, over a plain
// copy that is not verified, and what boxo takes over it.
func p4(t *testing.T) {
	g := newGiver(t, nearBytes)
	plain := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(g.file))))
	defer plain.Close()
	src := storetest.Gateway(t, "gateway", g.store.Gateway())
	kubo := adding(t, g.file, g.root)
	var copies, ours, boxo, theirs []float64
	for range figures.Rounds {
		copies = append(copies, figures.Seconds(t, func() error { return plainCopy(t, plain.URL+"/model.bin") }))
		ours = append(ours, storeFetches(t, src, g.root))
		boxo = append(boxo, boxoFetches(t, g.theirs.address(), g.root))
		if kubo != nil {
			theirs = append(theirs, kuboFetches(t, kubo.address(), g.root))
		}
	}
	mib := func(s []float64) float64 { return nearBytes / (1 << 20) / figures.Median(s) }
	figures.Note("P4 fetch %.0f MiB/s, plain copy %.0f MiB/s, boxo by bitswap into flatfs %.0f MiB/s", mib(ours), mib(copies), mib(boxo))
	figures.AtMost("P4", figures.Median(ours)/figures.Median(copies), "ratio_to_plain_copy", 2.5)
	figures.AtLeast("P4b", figures.Median(boxo)/figures.Median(ours), "ratio_to_boxo", 2.5)
	besideKubo("P4k", theirs, ours, 3.5)
}

// plainCopy copies what is at a URL to a file, which is then on disk.
func plainCopy(t *testing.T, url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.CreateTemp(t.TempDir(), "copy")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := io.Copy(f, resp.Body); err != nil {
		return err
	}
	return f.Sync()
}

// far is a peer's address, or a URL, at the other end of a delay.
func far(t *testing.T, address string) string {
	t.Helper()
	if url, ok := strings.CutPrefix(address, "http://"); ok {
		return "http://" + newDelay(t, url, oneWay).String()
	}
	at, err := ma.NewMultiaddr(address)
	if err != nil {
		t.Fatal(err)
	}
	transport, id := ma.SplitLast(at)
	_, to, err := manet.DialArgs(transport)
	if err != nil {
		t.Fatal(err)
	}
	through, err := manet.FromNetAddr(newDelay(t, to, oneWay))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s%s", through, id)
}

// p5 is how much faster than boxo from boxo, both by default, a model of 128 MiB
// comes when each round trip takes 50 ms.
func p5(t *testing.T) {
	taker := newNode(t)
	g := newGiver(t, farBytes, taker)
	taker.config.Allow = []string{g.node.id(), g.theirs.host.ID().String()}
	taker.serve()
	srv := httptest.NewServer(g.store.Gateway())
	defer srv.Close()
	raw, err := storetest.HTTP("raw", far(t, srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	theirs := far(t, g.theirs.address())
	connect(t, taker, far(t, g.node.address()))
	stranger := newNode(t) // knows boxo only
	stranger.config.Allow = []string{g.theirs.host.ID().String()}
	stranger.serve()
	connect(t, stranger, theirs)
	took := map[string][]float64{}
	ways := map[string]func() float64{
		"boxo":    func() float64 { return boxoFetches(t, theirs, g.root) },
		"bitswap": func() float64 { return storeFetches(t, taker.source(peers.Bitswap), g.root) },
		"blob":    func() float64 { return storeFetches(t, taker.source(peers.Blob), g.root) },
		"raw":     func() float64 { return storeFetches(t, raw, g.root) },
		"from":    func() float64 { return storeFetches(t, stranger.source(peers.Bitswap), g.root) },
	}
	if kubo := adding(t, g.file, g.root); kubo != nil {
		address := far(t, kubo.address())
		ways["kubo"] = func() float64 { return kuboFetches(t, address, g.root) }
	}
	for range figures.Rounds {
		for name, one := range ways {
			took[name] = append(took[name], one())
		}
	}
	s := func(name string) float64 { return figures.Median(took[name]) }
	figures.Note("P5 boxo from boxo %.2f s, ours from ours by bitswap %.2f s, by blob stream %.2f s, by raw blocks %.2f s, ours from boxo %.2f s", s("boxo"), s("bitswap"), s("blob"), s("raw"), s("from"))
	figures.AtLeast("P5", s("boxo")/s("bitswap"), "ratio_to_boxo", 15)
	figures.AtLeast("P5b", s("boxo")/s("raw"), "ratio_to_boxo", 30)
	figures.AtLeast("P5s", s("boxo")/s("blob"), "ratio_to_boxo", 30)
	figures.AtLeast("P5u", s("boxo")/s("from"), "ratio_to_boxo", 2.5)
	besideKubo("P5k", took["kubo"], took["bitswap"], 15)
}

func connect(t *testing.T, n *node, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.client.Connect(ctx, address); err != nil {
		t.Fatal(err)
	}
}
