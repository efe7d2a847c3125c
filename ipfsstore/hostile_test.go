package ipfsstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// A forge makes blocks with the right hashes and the wrong content.
type forge struct {
	t      *testing.T
	blocks map[cid.Cid][]byte
}

func (f forge) raw(data []byte) *ipld.Link {
	n := merkledag.NewRawNode(data)
	f.blocks[n.Cid()] = data
	return &ipld.Link{Cid: n.Cid(), Size: uint64(len(data))}
}

func (f forge) node(data []byte, links ...*ipld.Link) *ipld.Link {
	n := merkledag.NodeWithData(data)
	if err := n.SetCidBuilder(cid.V1Builder{Codec: cid.DagProtobuf, MhType: mh.SHA2_256}); err != nil {
		f.t.Fatal(err)
	}
	if err := n.SetLinks(links); err != nil {
		f.t.Fatal(err)
	}
	f.blocks[n.Cid()] = n.RawData()
	return &ipld.Link{Cid: n.Cid(), Size: uint64(len(n.RawData()))}
}

func (f forge) dir(entries ...*ipld.Link) *ipld.Link {
	return f.node(unixfs.FolderPBData(), entries...)
}

// document is a block that claims to be DAG-CBOR.
func (f forge) document(block []byte) *ipld.Link {
	c := other(f.t, cid.DagCBOR, mh.SHA2_256, block)
	f.blocks[c.Cid] = block
	return c
}

func (f forge) link(target string) *ipld.Link {
	data, err := unixfs.SymlinkData(target)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.node(data)
}

func (f forge) file(size uint64, sizes []uint64, parts ...*ipld.Link) *ipld.Link {
	n := unixfs.NewFSNode(unixfs.TFile)
	for _, s := range sizes {
		n.AddBlockSize(s)
	}
	n.UpdateFilesize(int64(size - n.FileSize()))
	data, err := n.GetBytes()
	if err != nil {
		f.t.Fatal(err)
	}
	return f.node(data, parts...)
}

func (f forge) shard(fanout, hash uint64, entries ...*ipld.Link) *ipld.Link {
	data, err := unixfs.HAMTShardData([]byte{1}, fanout, hash)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.node(data, entries...)
}

func named(name string, l *ipld.Link) *ipld.Link {
	c := *l
	c.Name = name
	return &c
}

func sized(size uint64, l *ipld.Link) *ipld.Link {
	c := *l
	c.Size = size
	return &c
}

func other(t *testing.T, codec, hash uint64, data []byte) *ipld.Link {
	sum, err := mh.Sum(data, hash, -1)
	if err != nil {
		t.Fatal(err)
	}
	return &ipld.Link{Cid: cid.NewCidV1(codec, sum), Size: uint64(len(data))}
}

// bomb is a folder of folders of folders, all the same few blocks, with more
// files than any disk.
func (f forge) bomb() *ipld.Link {
	at := f.dir(named("x", f.raw([]byte("x"))))
	for range 12 {
		var entries []*ipld.Link
		for i := range 20 {
			entries = append(entries, named(fmt.Sprint(i), at))
		}
		at = f.dir(entries...)
	}
	return at
}

func (f forge) deep(levels int) *ipld.Link {
	at := f.dir()
	for range levels {
		at = f.dir(named("d", at))
	}
	return at
}

// tower is a file of which each node has one part, the next node.
func (f forge) tower(levels int) *ipld.Link {
	at := f.raw(make([]byte, 3<<10))
	for range levels {
		at = f.file(3<<10, []uint64{3 << 10}, at)
	}
	return at
}

// wide is a folder whose one block has so many entries.
func (f forge) wide(entries int) *ipld.Link {
	links := make([]*ipld.Link, entries)
	x := f.raw([]byte("x"))
	for i := range links {
		links[i] = named(strconv.Itoa(i), x)
	}
	return f.dir(links...)
}

// wideFile is a file whose one node has so many parts.
func (f forge) wideFile(parts int) *ipld.Link {
	links, sizes := make([]*ipld.Link, parts), make([]uint64, parts)
	x := f.raw([]byte("x"))
	for i := range links {
		links[i], sizes[i] = x, 1
	}
	return f.file(uint64(parts), sizes, links...)
}

// fan is a file that says it is huge, made of one leaf over and over.
func (f forge) fan() *ipld.Link {
	leaf := f.raw(make([]byte, 1<<20))
	at, size := leaf, uint64(1<<20)
	for range 4 {
		sizes, parts := make([]uint64, 1024), make([]*ipld.Link, 1024)
		for i := range parts {
			sizes[i], parts[i] = size, at
		}
		size *= 1024
		at = f.file(size, sizes, parts...)
	}
	return at
}

func TestFetch_hostileDAGs(t *testing.T) {
	t.Parallel()
	f := forge{t, make(map[cid.Cid][]byte)}
	x := f.raw([]byte("x"))
	big := make([]byte, 2<<20+1)
	cases := map[string]struct {
		root *ipld.Link
		want error
	}{
		"dot dot":          {f.dir(named("..", x)), ipfsstore.ErrInvalidDAG},
		"dot":              {f.dir(named(".", x)), ipfsstore.ErrInvalidDAG},
		"slash":            {f.dir(named("a/../../b", x)), ipfsstore.ErrInvalidDAG},
		"absolute":         {f.dir(named("/etc/x", x)), ipfsstore.ErrInvalidDAG},
		"backslash":        {f.dir(named(`..\x`, x)), ipfsstore.ErrInvalidDAG},
		"NUL":              {f.dir(named("a\x00b", x)), ipfsstore.ErrInvalidDAG},
		"no name":          {f.dir(named("", x)), ipfsstore.ErrInvalidDAG},
		"not UTF-8":        {f.dir(named("\xff\xfe", x)), ipfsstore.ErrInvalidDAG},
		"twice":            {f.dir(named("a", x), named("a", f.raw([]byte("y")))), ipfsstore.ErrInvalidDAG},
		"file and folder":  {f.dir(named("a", x), named("a", f.dir(named("b", x)))), ipfsstore.ErrInvalidDAG},
		"folder twice":     {f.dir(named("a", f.dir()), named("a", f.dir(named("b", x)))), ipfsstore.ErrInvalidDAG},
		"lying leaf":       {f.dir(named("a", sized(5, x))), ipfsstore.ErrInvalidDAG},
		"lying part":       {f.dir(named("a", f.file(7, []uint64{7}, x))), ipfsstore.ErrInvalidDAG},
		"lying sum":        {f.dir(named("a", f.file(9, []uint64{1, 1}, x, x))), ipfsstore.ErrInvalidDAG},
		"too few sizes":    {f.dir(named("a", f.file(1, []uint64{1}, x, x))), ipfsstore.ErrInvalidDAG},
		"empty parts":      {f.dir(named("a", f.file(0, []uint64{0, 0}, x, x))), ipfsstore.ErrInvalidDAG},
		"exabytes":         {f.dir(named("a", f.file(1<<62, []uint64{1 << 62}, x))), ipfsstore.ErrInvalidDAG},
		"huge fan":         {f.dir(named("a", f.fan())), ipfsstore.ErrTooLarge},
		"bomb":             {f.bomb(), ipfsstore.ErrTooLarge},
		"deep":             {f.deep(1000), ipfsstore.ErrTooLarge},
		"tower":            {f.tower(1000), ipfsstore.ErrTooLarge},
		"wide":             {f.wide(200_000), ipfsstore.ErrTooLarge},
		"wide file":        {f.dir(named("a", f.wideFile(60_000))), ipfsstore.ErrTooLarge},
		"large leaf":       {f.dir(named("a", f.raw(big))), ipfsstore.ErrTooLarge},
		"large node":       {f.node(append(unixfs.FolderPBData(), make([]byte, 2<<20)...)), ipfsstore.ErrTooLarge},
		"not UnixFS":       {f.node([]byte("junk"), named("a", x)), ipfsstore.ErrInvalidDAG},
		"dag-json":         {f.dir(named("a", other(t, cid.DagJSON, mh.SHA2_256, []byte("x")))), ipfsstore.ErrUnsupportedCID},
		"no dag-cbor":      {f.dir(named("a", f.document([]byte("\xff")))), ipfsstore.ErrInvalidDAG},
		"deep dag-cbor":    {f.dir(named("a", f.document(bytes.Repeat([]byte{0x81}, 1<<20)))), ipfsstore.ErrInvalidDAG},
		"sha2-512":         {f.dir(named("a", other(t, cid.Raw, mh.SHA2_512, []byte("x")))), ipfsstore.ErrUnsupportedCID},
		"identity":         {f.dir(named("a", other(t, cid.Raw, mh.IDENTITY, make([]byte, 500)))), ipfsstore.ErrUnsupportedCID},
		"link out":         {f.dir(named("a", f.link("../../etc/passwd"))), ipfsstore.ErrLinkOutside},
		"link absolute":    {f.dir(named("a", f.link("/etc/passwd"))), ipfsstore.ErrLinkOutside},
		"link loop":        {f.dir(named("a", f.link("b")), named("b", f.link("a"))), ipfsstore.ErrLinkOutside},
		"link to nothing":  {f.dir(named("a", f.link("b"))), ipfsstore.ErrInvalidDAG},
		"link through out": {f.dir(named("a", f.link("b/../../c")), named("b", x)), ipfsstore.ErrLinkOutside},
		"link as root":     {f.link("a"), ipfsstore.ErrInvalidDAG},
		"shard of 3":       {f.shard(3, 0x22), ipfsstore.ErrInvalidDAG},
		"shard of 2^40":    {f.shard(1<<40, 0x22), ipfsstore.ErrInvalidDAG},
		"shard hash":       {f.shard(256, 0x12), ipfsstore.ErrInvalidDAG},
		"shard prefix":     {f.shard(256, 0x22, named("A", x)), ipfsstore.ErrInvalidDAG},
		"shard dot dot":    {f.shard(256, 0x22, named("0A..", x)), ipfsstore.ErrInvalidDAG},
		"shard in shard":   {f.shard(256, 0x22, named("0A", f.dir(named("..", x)))), ipfsstore.ErrInvalidDAG},
		"shard of a leaf":  {f.shard(256, 0x22, named("0A", x)), ipfsstore.ErrInvalidDAG},
	}
	forged := storetest.Memory("forged", f.blocks)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, forged)
			_, err := s.Fetch(t.Context(), c.root.Cid.String(), ipfsstore.FetchOptions{})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if errors.Is(c.want, ipfsstore.ErrTooLarge) && !regexp.MustCompile(`more than [0-9]+`).MatchString(err.Error()) {
				t.Errorf("%v does not name the limit", err)
			}
			noFileUnderCID(t, s)
		})
	}
}

// TestFetch_oddButFair fetches what is unusual and not wrong.
func TestFetch_oddButFair(t *testing.T) {
	t.Parallel()
	f := forge{t, make(map[cid.Cid][]byte)}
	x := f.raw([]byte("x"))
	for name, c := range map[string]struct {
		root *ipld.Link
		want map[string][]byte
	}{
		"same part often": {f.dir(named("a", f.file(3, []uint64{1, 1, 1}, x, x, x))), map[string][]byte{"a": []byte("xxx")}},
		"identity":        {f.dir(named("a", other(t, cid.Raw, mh.IDENTITY, []byte("tiny")))), map[string][]byte{"a": []byte("tiny")}},
		"own and below":   {f.dir(named("a", f.node(append([]byte("\x08\x02\x12\x02hi\x18\x03"), 0x20, 1), x))), map[string][]byte{"a": []byte("hix")}},
		"empty folder":    {f.dir(), map[string][]byte{}},
	} {
		s := openStore(t, storetest.Memory("forged", f.blocks))
		got, err := s.Fetch(t.Context(), c.root.Cid.String(), ipfsstore.FetchOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sameTree(t, got.Artifact, c.want)
		if err := s.Verify(t.Context(), got.Root); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
