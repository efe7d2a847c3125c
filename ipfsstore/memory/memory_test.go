package memory_test

import (
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/memory"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

func TestSource(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, blocks map[cid.Cid][]byte) ipfsstore.Source {
		s := memory.New("memory")
		for c, b := range blocks {
			s.Put(c, b)
		}
		return s
	})
}
