package p2p_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/files"
	"github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/go-cid"
	ds "github.com/ipfs/go-datastore"
	dsync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// A reference is a peer made of boxo alone, with its own importer, bitswap and
// gateway.
type reference struct {
	t      *testing.T
	host   host.Host
	blocks blockstore.Blockstore
	swap   *bitswap.Bitswap
}

func newReference(t *testing.T) *reference {
	t.Helper()
	return newReferenceOn(t, dsync.MutexWrap(ds.NewMapDatastore()))
}

// newReferenceOn is newReference with its blocks in a datastore.
func newReferenceOn(t *testing.T, blocks ds.Batching) *reference {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings(loopback), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	r := &reference{t: t, host: h, blocks: blockstore.NewIdStore(blockstore.NewBlockstore(blocks, blockstore.NoPrefix()))}
	ctx, cancel := context.WithCancel(t.Context())
	r.swap = bitswap.New(ctx, bsnet.NewFromIpfsHost(h), nil, r.blocks)
	t.Cleanup(func() {
		cancel()
		r.swap.Close()
		h.Close()
	})
	return r
}

func (r *reference) address() string {
	return r.host.Addrs()[0].String() + "/p2p/" + r.host.ID().String()
}

// add imports data as boxo does it by default but for raw leaves.
func (r *reference) add(data io.Reader) cid.Cid {
	r.t.Helper()
	return r.addAs(data, 256<<10, 174)
}

func (r *reference) addAs(data io.Reader, leaf int64, width int) cid.Cid {
	r.t.Helper()
	dag := merkledag.NewDAGService(blockservice.New(r.blocks, offline.Exchange(r.blocks)))
	params := helpers.DagBuilderParams{Maxlinks: width, RawLeaves: true, CidBuilder: cid.V1Builder{Codec: cid.DagProtobuf, MhType: 0x12}, Dagserv: dag}
	builder, err := params.New(chunk.NewSizeSplitter(data, leaf))
	if err != nil {
		r.t.Fatal(err)
	}
	n, err := balanced.Layout(builder)
	if err != nil {
		r.t.Fatal(err)
	}
	return n.Cid()
}

func (r *reference) connect(address string) {
	r.t.Helper()
	a, err := ma.NewMultiaddr(address)
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.host.Connect(r.t.Context(), *info); err != nil {
		r.t.Fatal(err)
	}
}

// file reads the large file of the small model out of the reference's blocks,
// which it gets by its own bitswap.
func (r *reference) file(root cid.Cid) []byte {
	r.t.Helper()
	session := merkledag.NewSession(r.t.Context(), merkledag.NewDAGService(blockservice.New(r.blocks, r.swap)))
	n, err := session.Get(r.t.Context(), root)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range []string{"onnx", "model.onnx"} {
		link, _, err := n.ResolveLink([]string{name})
		if err != nil {
			r.t.Fatal(err)
		}
		if n, err = session.Get(r.t.Context(), link.Cid); err != nil {
			r.t.Fatal(err)
		}
	}
	file, err := uio.NewDagReader(r.t.Context(), n, session)
	if err != nil {
		r.t.Fatal(err)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

// Boxo's bitswap gets a shared model from ours, and ours a file from boxo's.
func TestInterop_bitswap(t *testing.T) {
	ours, theirs := newNode(t), newReference(t)
	ours.config.Allow = []string{theirs.host.ID().String()}
	ours.serve()
	root := ours.addModel(true)
	theirs.connect(ours.address())
	c, err := cid.Decode(root)
	if err != nil {
		t.Fatal(err)
	}
	if got := theirs.file(c); string(got) != string(modelFiles()["onnx/model.onnx"]) {
		t.Errorf("boxo got %d bytes that are not the file's", len(got))
	}
	want := stream("theirs", 5<<20+3)
	file := theirs.add(bytes.NewReader(want))
	if err := ours.client.Connect(t.Context(), theirs.address()); err != nil {
		t.Fatal(err)
	}
	f, err := ours.fetch(t.Context(), peers.Bitswap, file.String())
	if err != nil {
		t.Fatal(err)
	}
	sameFile(t, f, want)
	if _, err := ours.fetch(t.Context(), peers.Bitswap, storetest.CID([]byte("nobody's")).String()); err == nil {
		t.Error("there is a block that nobody has")
	}
}

func sameFile(t *testing.T, f ipfsstore.Fetched, want []byte) {
	t.Helper()
	if len(f.Files) != 1 {
		t.Fatalf("%d files", len(f.Files))
	}
	got, err := os.ReadFile(filepath.Join(f.Dir, f.Files[0].Name))
	if err != nil || string(got) != string(want) {
		t.Errorf("got %d bytes, %v; want the %d of the file", len(got), err, len(want))
	}
}

// A model goes by trustless gateway from boxo's to our store, and from our
// gateway to boxo's client, by blocks and by CAR.
func TestInterop_gateway(t *testing.T) {
	theirs := newReference(t)
	want := stream("theirs", 5<<20+3)
	file := theirs.add(bytes.NewReader(want))
	backend, err := gateway.NewBlocksBackend(blockservice.New(theirs.blocks, offline.Exchange(theirs.blocks)))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ipfs/", gateway.NewHandler(gateway.Config{}, backend))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	imports(t, srv.URL+"/ipfs/"+file.String()+"?format=car", want)
	src, err := storetest.HTTP("theirs", srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{Sources: []ipfsstore.Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := s.Fetch(t.Context(), file.String(), ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameFile(t, f, want)

	ours := httptest.NewServer(s.Gateway())
	defer ours.Close()
	blocks, err := gateway.NewRemoteBlocksBackend([]string{ours.URL}, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	cars, err := gateway.NewRemoteCarBackend([]string{ours.URL}, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	for name, remote := range map[string]gateway.IPFSBackend{"blocks": blocks, "CAR": cars} {
		at, err := path.NewImmutablePath(path.FromCid(file))
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := remote.GetAll(t.Context(), at)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		data, err := io.ReadAll(got.(files.File))
		if err != nil || string(data) != string(want) {
			t.Errorf("by %s boxo got %d bytes, %v; want the %d of the file", name, len(data), err, len(want))
		}
	}
}

// imports imports the CAR at url into a store of its own.
func imports(t *testing.T, url string, want []byte) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	s, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, err := s.Import(t.Context(), resp.Body, ipfsstore.AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameFile(t, ipfsstore.Fetched{Artifact: a}, want)
}
