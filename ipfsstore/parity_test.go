package ipfsstore_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bserv "github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// A boxoImporter is boxo's own importer: the second implementation.
type boxoImporter struct {
	dag     ipld.DAGService
	blocks  blockstore.Blockstore
	profile uio.UnixFSProfile
	builder cid.Builder
}

func newBoxo(profile uio.UnixFSProfile) *boxoImporter {
	bs := blockstore.NewBlockstore(dssync.MutexWrap(ds.NewMapDatastore()))
	b := &boxoImporter{merkledag.NewDAGService(bserv.New(bs, offline.Exchange(bs))), bs, profile, cid.V0Builder{}}
	if profile.CIDVersion == 1 {
		b.builder = cid.V1Builder{Codec: cid.DagProtobuf, MhType: mh.SHA2_256}
	}
	return b
}

func (b *boxoImporter) add(t testing.TB, p string) ipld.Node {
	t.Helper()
	fi, err := os.Lstat(p)
	if err != nil {
		t.Fatal(err)
	}
	var n ipld.Node
	switch {
	case fi.Mode()&os.ModeSymlink != 0:
		n = b.link(t, p)
	case fi.IsDir():
		n = b.folder(t, p)
	default:
		n = b.file(t, p)
	}
	if err := b.dag.Add(context.Background(), n); err != nil { //nolint:usetesting // also in benchmarks
		t.Fatal(err)
	}
	return n
}

func (b *boxoImporter) file(t testing.TB, p string) ipld.Node {
	t.Helper()
	f, err := os.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	params := helpers.DagBuilderParams{Maxlinks: b.profile.FileDAGWidth, RawLeaves: b.profile.RawLeaves, CidBuilder: b.builder, Dagserv: b.dag}
	builder, err := params.New(chunk.NewSizeSplitter(f, b.profile.ChunkSize))
	if err != nil {
		t.Fatal(err)
	}
	n, err := balanced.Layout(builder)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (b *boxoImporter) link(t testing.TB, p string) ipld.Node {
	t.Helper()
	target, err := os.Readlink(p)
	if err != nil {
		t.Fatal(err)
	}
	data, err := unixfs.SymlinkData(target)
	if err != nil {
		t.Fatal(err)
	}
	n := merkledag.NodeWithData(data)
	if err := n.SetCidBuilder(b.builder); err != nil {
		t.Fatal(err)
	}
	return n
}

func (b *boxoImporter) folder(t testing.TB, p string) ipld.Node {
	t.Helper()
	d, err := uio.NewDirectory(b.dag, uio.WithCidBuilder(b.builder), uio.WithSizeEstimationMode(b.profile.HAMTSizeEstimation), uio.WithMaxHAMTFanout(b.profile.HAMTShardWidth))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := d.AddChild(context.Background(), e.Name(), b.add(t, filepath.Join(p, e.Name()))); err != nil { //nolint:usetesting // also in benchmarks
			t.Fatal(err)
		}
	}
	n, err := d.GetNode()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const treeDepth = 2

// randomTree writes a folder with everything that matters: sizes about the edges
// of leaves, names of many lengths, folders about the edge of sharding, links.
func randomTree(t testing.TB, rng *rand.Rand, dir string, depth int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	edges := []int{0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 2 << 20, 3<<20 + 5}
	for i := range 1 + rng.IntN(6) {
		size := rng.IntN(5000)
		if rng.IntN(4) == 0 {
			size = edges[rng.IntN(len(edges))]
		}
		name := fmt.Sprintf("f%d-%s", i, strings.Repeat("é", rng.IntN(60)))
		writeTree(t, dir, map[string][]byte{name: stream(fmt.Sprint(rng.Uint64()), size)})
		if rng.IntN(4) == 0 {
			_ = os.Symlink(name, filepath.Join(dir, "link-"+fmt.Sprint(i))) // not everywhere
		}
	}
	if depth == treeDepth && rng.IntN(2) == 0 { // entries of about 250 bytes: 256 KiB are about a thousand
		big := filepath.Join(dir, "big")
		for i := range 1000 + rng.IntN(60) {
			writeTree(t, big, map[string][]byte{fmt.Sprintf("%0200d", i): []byte("x")})
		}
	}
	for i := range rng.IntN(3) {
		if depth > 0 {
			randomTree(t, rng, filepath.Join(dir, fmt.Sprintf("d%d", i)), depth-1)
		}
	}
}

var profiles = map[ipfsstore.Profile]uio.UnixFSProfile{
	ipfsstore.ProfileV1: uio.UnixFS_v1_2025, ipfsstore.ProfileV0: uio.UnixFS_v0_2015,
}

func TestAdd_sameAsBoxo(t *testing.T) {
	t.Parallel() // it takes long, and waits much
	rng := seeded(t)
	for range times(100) {
		dir := filepath.Join(memDir(t), "tree")
		randomTree(t, rng, dir, treeDepth)
		for profile, theirs := range profiles {
			want := newBoxo(theirs).add(t, dir).Cid().String()
			if a := mustAdd(t, memStore(t), dir, ipfsstore.AddOptions{Profile: profile}); a.Root != want {
				t.Fatalf("%s: root %s, boxo says %s", profile, a.Root, want)
			}
		}
	}
}

// TestAdd_shardEdge goes over the edge between a folder of one block and a
// sharded one, entry by entry.
func TestAdd_shardEdge(t *testing.T) {
	t.Parallel()                                          // it takes long, and waits much
	for profile, edge := range map[ipfsstore.Profile]int{ // entries, by the bytes that one counts
		ipfsstore.ProfileV1: (256<<10 - 4) / 196,
		ipfsstore.ProfileV0: 256 << 10 / (150 + 34),
	} {
		t.Run(string(profile), func(t *testing.T) {
			t.Parallel()
			testShardEdge(t, profile, edge)
		})
	}
}

func testShardEdge(t *testing.T, profile ipfsstore.Profile, edge int) {
	dir := filepath.Join(memDir(t), "edge")
	about := max(1, times(30)/10) // entries on either side
	for i := range edge - about {
		writeTree(t, dir, map[string][]byte{fmt.Sprintf("%0150d", i): []byte("x")})
	}
	s, kinds := memStore(t), map[bool]int{}
	for i := edge - about; i < edge+about; i++ {
		writeTree(t, dir, map[string][]byte{fmt.Sprintf("%0150d", i): []byte("x")})
		n := newBoxo(profiles[profile]).add(t, dir)
		a := mustAdd(t, s, dir, ipfsstore.AddOptions{Profile: profile})
		if a.Root != n.Cid().String() {
			t.Fatalf("%d entries: root %s, boxo says %s", i+1, a.Root, n.Cid())
		}
		kinds[len(n.Links()) > 256]++
		if err := s.Remove(t.Context(), a.Root, false); err != nil {
			t.Fatal(err)
		}
	}
	if len(kinds) != 2 {
		t.Errorf("the edge was not met: %v", kinds)
	}
}

// TestFetch_otherProfiles fetches what others made: CIDv0, dag-pb leaves, trees of
// several levels; and serves it on, block for block.
func TestFetch_otherProfiles(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"big": stream("b", 9<<20+3), "sub/small": []byte("x"), "empty": {}}
	dir := filepath.Join(t.TempDir(), "m")
	writeTree(t, dir, files)
	narrow := uio.UnixFS_v1_2025
	narrow.FileDAGWidth = 3
	for name, profile := range map[string]uio.UnixFSProfile{"v0-2015": uio.UnixFS_v0_2015, "narrow": narrow} {
		b := newBoxo(profile)
		if name == "v0-2015" {
			b.profile.FileDAGWidth = 4 // more levels, as a larger file would have
		}
		root := b.add(t, dir).Cid().String()
		first := openStore(t, storetest.Memory("boxo", b.all(t)))
		f, err := first.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameTree(t, f.Artifact, files)
		second := openStore(t, gateway(t, "first", first))
		if f, err = second.Fetch(t.Context(), root, ipfsstore.FetchOptions{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameTree(t, f.Artifact, files)
		if err := second.Verify(t.Context(), root); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := second.Export(t.Context(), root, io.Discard); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// all returns every block, under every CID it may go by.
func (b *boxoImporter) all(t testing.TB) map[cid.Cid][]byte {
	t.Helper()
	out := make(map[cid.Cid][]byte)
	keys, err := b.blocks.AllKeysChan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for k := range keys {
		block, err := b.blocks.Get(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []cid.Cid{cid.NewCidV1(cid.Raw, k.Hash()), cid.NewCidV1(cid.DagProtobuf, k.Hash()), cid.NewCidV0(k.Hash())} {
			out[c] = block.RawData()
		}
	}
	return out
}
