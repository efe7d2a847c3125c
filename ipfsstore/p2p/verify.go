package p2p

import (
	"bytes"
	"errors"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// errLie says that a peer sent bytes that are not the block's.
var errLie = errors.New("wrong hash")

// matches reports whether data is the block c. It says which peer lied; the
// store that asked hashes again before it believes.
func matches(c cid.Cid, data []byte) bool {
	p := c.Prefix()
	if p.MhType != multihash.SHA2_256 && p.MhType != multihash.IDENTITY {
		return false
	}
	sum, err := multihash.Sum(data, p.MhType, p.MhLength)
	return err == nil && bytes.Equal(sum, c.Hash())
}
