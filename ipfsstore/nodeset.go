package ipfsstore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

const (
	// maxNodeBytes bounds the nodes of one root, which are held in memory
	// while it is fetched: enough for five terabytes.
	maxNodeBytes = 256 << 20
)

// A nodeSet holds the nodes of a root: everything but the leaves. It may be
// used concurrently.
type nodeSet struct {
	absent func(cid.Cid) bool // knows what can't be had; nil: nothing
	parts  []string           // paths of sparse files; see indexParts

	mu    sync.RWMutex // guards all below
	order []cid.Cid
	data  map[cid.Cid][]byte
	bytes int64
}

func newNodeSet() *nodeSet { return &nodeSet{data: make(map[cid.Cid][]byte)} }

// put adds a block, of which it keeps the bytes.
func (s *nodeSet) put(c cid.Cid, block []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.data[c]; ok {
		return nil
	}
	if s.bytes += int64(len(block)); s.bytes > maxNodeBytes {
		return fmt.Errorf("%w: more than %d bytes of nodes", ErrTooLarge, int64(maxNodeBytes))
	}
	s.data[c] = block
	s.order = append(s.order, c)
	return nil
}

// get returns a block, which must not be changed.
func (s *nodeSet) get(c cid.Cid) ([]byte, bool) {
	if digest, sha := digestOf(c); !sha {
		return digest, true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.data[c]
	return b, ok
}

// node returns the decoded block of c.
func (s *nodeSet) node(c cid.Cid) (*node, error) {
	b, ok := s.get(c)
	if !ok {
		return nil, fmt.Errorf("block %s: %w", c, ErrNotFound)
	}
	return decodeNode(c, b)
}

// encode returns the set as a CAR.
func (s *nodeSet) encode(root cid.Cid) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var buf bytes.Buffer
	if err := writeCARHeader(&buf, root); err != nil {
		return nil, err
	}
	for _, c := range s.order {
		if err := writeCARBlock(&buf, c, s.data[c]); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), nil
}

// loadNodes reads what encode wrote. Blocks that are not what they should be
// are left out, as if they had never been there.
func loadNodes(path string) (*nodeSet, error) {
	set := newNodeSet()
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return set, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := newCARReader(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		return set, nil // a damaged file is fetched or added again
	}
	for {
		c, block, err := r.next(nil)
		if err == io.EOF || errors.Is(err, ErrInvalidCAR) { //nolint:errorlint // next returns EOF itself
			return set, nil
		}
		if err != nil {
			return nil, err
		}
		if blockMatches(c, block) {
			if err := set.put(c, block); err != nil {
				return nil, err
			}
		}
	}
}

// dagService lets boxo's folder code put its nodes into a nodeSet.
type dagService struct{ *nodeSet }

var _ ipld.DAGService = dagService{}

func (d dagService) Add(_ context.Context, n ipld.Node) error { return d.put(n.Cid(), n.RawData()) }

func (d dagService) AddMany(ctx context.Context, ns []ipld.Node) error {
	for _, n := range ns {
		if err := d.Add(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (d dagService) Get(_ context.Context, c cid.Cid) (ipld.Node, error) {
	return nil, ipld.ErrNotFound{Cid: c} // a folder is only built, never read back
}

func (d dagService) GetMany(context.Context, []cid.Cid) <-chan *ipld.NodeOption {
	ch := make(chan *ipld.NodeOption)
	close(ch)
	return ch
}
func (d dagService) Remove(context.Context, cid.Cid) error       { return nil }
func (d dagService) RemoveMany(context.Context, []cid.Cid) error { return nil }
