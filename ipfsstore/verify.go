package ipfsstore

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

const (
	// maxBlock is the largest block that is accepted, in bytes; the IPFS
	// world's own limit.
	maxBlock = 2 << 20
	// maxIdentity is the longest identity digest that is accepted, in bytes.
	maxIdentity = 128
)

// checkCID refuses CIDs that the store could not verify or would not
// understand.
func checkCID(c cid.Cid) error {
	p := c.Prefix()
	if p.Codec != cid.Raw && p.Codec != cid.DagProtobuf && p.Codec != cid.DagCBOR {
		return fmt.Errorf("%w %s: codec 0x%x is none of raw, dag-pb and dag-cbor", ErrUnsupportedCID, c, p.Codec)
	}
	switch {
	case p.MhType == mh.SHA2_256 && p.MhLength == sha256.Size:
		return nil
	case p.MhType == mh.IDENTITY && p.MhLength <= maxIdentity:
		return nil
	}
	return fmt.Errorf("%w %s: hash 0x%x of %d bytes is neither sha2-256 nor a short identity", ErrUnsupportedCID, c, p.MhType, p.MhLength)
}

// blockMatches reports whether data is the block c. It is the one place where
// content is accepted: every block from a source, a CAR or the disk passes it.
// c has passed [checkCID].
func blockMatches(c cid.Cid, data []byte) bool {
	digest, sha := digestOf(c)
	if !sha {
		return bytes.Equal(digest, data)
	}
	sum := sha256.Sum256(data)
	return bytes.Equal(digest, sum[:])
}

// digestOf returns the bytes of c's digest, and whether they are a sha2-256.
func digestOf(c cid.Cid) (digest []byte, sha bool) {
	d, err := mh.Decode(c.Hash())
	if err != nil { // a cid.Cid holds a valid multihash; nothing matches this
		return nil, true
	}
	return d.Digest, d.Code == mh.SHA2_256
}

// rawCID returns the CID of data as a raw leaf.
func rawCID(data []byte) cid.Cid {
	sum := sha256.Sum256(data)
	return newCID(cid.Raw, sum[:])
}

func newCID(codec uint64, sha []byte) cid.Cid {
	hash := make([]byte, 0, 2+sha256.Size)
	hash = append(hash, mh.SHA2_256, sha256.Size)
	return cid.NewCidV1(codec, append(hash, sha...))
}
