package ipfsstore

import (
	"fmt"

	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
)

// A Profile says how files become blocks, and so which CIDs they get (IPIP-499).
type Profile string

// The profiles, by the names that Kubo gives them.
const (
	// ProfileV1 makes CIDv1, raw leaves of a mebibyte, up to 1024 links in a
	// file's node; folders whose block would exceed 256 KiB are spread over
	// shards of 256. It is what the zero Profile means.
	ProfileV1 Profile = "unixfs-v1-2025"
	// ProfileV0 makes CIDv0, dag-pb leaves of 256 KiB, up to 174 links in a
	// file's node; folders whose names and links exceed 256 KiB are spread
	// over shards of 256. It is Kubo's default.
	ProfileV0 Profile = "unixfs-v0-2015"
)

// Profiles are the names that [AddOptions] takes.
func Profiles() []Profile { return []Profile{ProfileV1, ProfileV0} }

const (
	shardAbove = 256 << 10 // bytes of a folder, as its profile counts them
	shardWidth = 256
)

// A shape is what a profile means.
type shape struct {
	leafSize int64
	width    int  // links of a file's node
	raw      bool // leaves are raw, else dag-pb
	cids     cid.Builder
	links    bool // a folder is counted by its links, else by its block
}

func (p Profile) shape() (shape, error) {
	switch p {
	case "", ProfileV1:
		return shape{1 << 20, 1024, true, cid.V1Builder{Codec: cid.DagProtobuf, MhType: mh.SHA2_256}, false}, nil
	case ProfileV0:
		return shape{256 << 10, 174, false, cid.V0Builder{}, true}, nil
	}
	return shape{}, fmt.Errorf("%w: profile %q is none of %q", ErrInvalidRef, p, Profiles())
}

// leaf makes the leaf of a range of a file. Its block is not kept: it can be
// made again, see [rewrap].
func (s shape) leaf(data []byte) (built, error) {
	size := int64(len(data))
	if s.raw {
		return built{rawCID(data), size, uint64(size)}, nil
	}
	if size == 0 {
		data = nil // an empty file has no data field at all
	}
	pn, err := protoNode(s.cids, unixfs.FilePBData(data, uint64(size)), nil)
	if err != nil {
		return built{}, err
	}
	return built{pn.Cid(), size, uint64(len(pn.RawData()))}, nil
}

// chunks cuts a file of size bytes into leaves; an empty file is one.
func (s shape) chunks(size int64) []chunk {
	out := make([]chunk, 0, size/s.leafSize+1)
	for off := int64(0); off < size || off == 0; off += s.leafSize {
		out = append(out, chunk{off: off, size: min(s.leafSize, size-off)})
	}
	return out
}

// sharded reports whether a folder of these links, whose block would have so
// many bytes, is to be spread over shards.
func (s shape) sharded(links []*ipld.Link, block int) bool {
	if !s.links {
		return block > shardAbove
	}
	size := 0
	for _, l := range links {
		size += len(l.Name) + l.Cid.ByteLen()
	}
	return size > shardAbove
}
