package ipfsstore

import (
	"fmt"
	"math/bits"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/spaolacci/murmur3"
)

type nodeKind int

const (
	folderNode nodeKind = iota
	shardNode
	fileNode
	linkNode
	dataNode // a DAG-CBOR document
)

// A node is a decoded block: dag-pb that makes sense as UnixFS, or a document.
type node struct {
	kind  nodeKind
	links []*ipld.Link
	data  []byte   // a file's own bytes, before those of its links; a link's target
	size  int64    // of a file, all in all
	sizes []uint64 // of a file's links, one each
	shard shardShape
	value datamodel.Node // of a document
}

// A shardShape says how a shard of a large folder spreads its entries.
type shardShape struct {
	fanout uint64
	prefix int // hex digits before each name
}

// decodeNode decodes the block of c and checks all that can be checked
// without the blocks below it.
func decodeNode(c cid.Cid, block []byte) (*node, error) {
	if len(block) > maxBlock {
		return nil, fmt.Errorf("%w: node %s of %d bytes, which is more than %d", ErrTooLarge, c, len(block), maxBlock)
	}
	switch c.Type() {
	case cid.Raw:
		return &node{kind: fileNode, data: block, size: int64(len(block))}, nil
	case cid.DagCBOR:
		return decodeData(c, block)
	}
	pn, err := merkledag.DecodeProtobuf(block)
	if err != nil {
		return nil, fmt.Errorf("%w: node %s: %w", ErrInvalidDAG, c, err)
	}
	fsn, err := unixfs.FSNodeFromBytes(pn.Data())
	if err != nil {
		return nil, fmt.Errorf("%w: node %s is not UnixFS: %w", ErrInvalidDAG, c, err)
	}
	for _, l := range pn.Links() {
		if err := checkCID(l.Cid); err != nil {
			return nil, fmt.Errorf("node %s: %w", c, err)
		}
	}
	n := &node{links: pn.Links(), data: fsn.Data()}
	return n, n.interpret(c, fsn)
}

func (n *node) interpret(c cid.Cid, fsn *unixfs.FSNode) error {
	switch fsn.Type() {
	case unixfs.TDirectory:
		n.kind = folderNode
	case unixfs.THAMTShard:
		n.kind = shardNode
		return n.checkShard(c, fsn)
	case unixfs.TSymlink:
		n.kind = linkNode
	case unixfs.TFile, unixfs.TRaw:
		n.kind = fileNode
		return n.checkFile(c, fsn)
	default:
		return fmt.Errorf("%w: node %s has UnixFS type %v", ErrInvalidDAG, c, fsn.Type())
	}
	return nil
}

const (
	maxFanout = 1024
	murmur3ID = 0x22
)

func (n *node) checkShard(c cid.Cid, fsn *unixfs.FSNode) error {
	f := fsn.Fanout()
	if f < 8 || f > maxFanout || bits.OnesCount64(f) != 1 || fsn.HashType() != murmur3ID {
		return fmt.Errorf("%w: shard %s with fanout %d, hash 0x%x", ErrInvalidDAG, c, f, fsn.HashType())
	}
	n.shard = shardShape{f, len(fmt.Sprintf("%X", f-1))}
	for _, l := range n.links {
		if len(l.Name) < n.shard.prefix {
			return fmt.Errorf("%w: shard %s has entry %q", ErrInvalidDAG, c, l.Name)
		}
	}
	return nil
}

const maxFileSize = 1 << 56

// checkFile checks that the sizes in a file's node agree with each other; that
// they agree with the blocks below is checked as those arrive.
func (n *node) checkFile(c cid.Cid, fsn *unixfs.FSNode) error {
	n.sizes = fsn.BlockSizes()
	if len(n.sizes) != len(n.links) {
		return fmt.Errorf("%w: file node %s has %d links and %d sizes", ErrInvalidDAG, c, len(n.links), len(n.sizes))
	}
	sum := uint64(len(n.data))
	for _, s := range n.sizes {
		if s == 0 || s > maxFileSize {
			return fmt.Errorf("%w: file node %s has a part of %d bytes", ErrInvalidDAG, c, s)
		}
		if sum += s; sum > maxFileSize {
			return fmt.Errorf("%w: file %s of more than %d bytes", ErrTooLarge, c, int64(maxFileSize))
		}
	}
	if declared := fsn.FileSize(); declared != sum && (declared != 0 || len(n.links) > 0) {
		return fmt.Errorf("%w: file node %s says %d bytes and has %d", ErrInvalidDAG, c, declared, sum)
	}
	n.size = int64(sum)
	return nil
}

// slot is the prefix that the entry name has at a depth of a sharded folder.
func (s shardShape) slot(name string, depth int) (string, bool) {
	width := bits.TrailingZeros64(s.fanout)
	if (depth+1)*width > 64 {
		return "", false
	}
	h := murmur3.Sum64([]byte(name))
	return fmt.Sprintf("%0*X", s.prefix, h<<(depth*width)>>(64-width)), true
}

// find returns the link of n for name at a depth of a sharded folder: that of
// the entry, or (deeper) that of the shard it would be in.
func (n *node) find(name string, depth int) (link *ipld.Link, deeper bool) {
	want := name
	slot := ""
	if n.kind == shardNode {
		var ok bool
		if slot, ok = n.shard.slot(name, depth); !ok {
			return nil, false
		}
		want = slot + name
	}
	for _, l := range n.links {
		switch {
		case l.Name == want:
			return l, false
		case n.kind == shardNode && l.Name == slot:
			return l, true
		}
	}
	return nil, false
}
