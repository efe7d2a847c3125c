package ipfsstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

const (
	// maxNodeBytes bounds the nodes of one root, which are held in memory
	// while it is fetched: enough for five terabytes.
	maxNodeBytes = 256 << 20

	// maxHeldNode bounds a block that stays in memory once it is on disk, in bytes:
	// those of files and folders are smaller, but what is below documents need
	// not be.
	maxHeldNode = 64 << 10
)

// A nodeSet holds the nodes of a root: everything but the leaves. It may be
// used concurrently.
type nodeSet struct {
	file string // where large nodes are; see loadNodes

	absent func(cid.Cid) bool // knows what can't be had; nil: nothing
	parts  []string           // paths of sparse files; see indexParts

	mu    sync.RWMutex // guards all below
	order []cid.Cid
	data  map[cid.Cid][]byte
	large map[cid.Cid]byteRange // of file
	bytes int64
}

func newNodeSet() *nodeSet {
	return &nodeSet{data: make(map[cid.Cid][]byte), large: make(map[cid.Cid]byteRange)}
}

// put adds a block, of which it keeps the bytes.
func (s *nodeSet) put(c cid.Cid, block []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, err := s.enter(c, len(block)); known || err != nil {
		return err
	}
	s.data[c] = block
	return nil
}

// enter makes room for a block, if it is not known. s.mu is held.
func (s *nodeSet) enter(c cid.Cid, size int) (known bool, err error) {
	_, large := s.large[c]
	if _, held := s.data[c]; held || large {
		return true, nil
	}
	if s.bytes += int64(size); s.bytes > maxNodeBytes {
		return false, fmt.Errorf("%w: more than %d bytes of nodes", ErrTooLarge, int64(maxNodeBytes))
	}
	s.order = append(s.order, c)
	return false, nil
}

// leave notes that a large block is in the set's file, at that range.
func (s *nodeSet) leave(c cid.Cid, at byteRange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, err := s.enter(c, int(at.to-at.from)); known || err != nil {
		return err
	}
	s.large[c] = at
	return nil
}

// get returns a block, which must not be changed.
func (s *nodeSet) get(c cid.Cid) ([]byte, bool) {
	if digest, sha := digestOf(c); !sha {
		return digest, true
	}
	s.mu.RLock()
	b, ok := s.data[c]
	at, large := s.large[c]
	s.mu.RUnlock()
	if large {
		b = s.read(at)
		ok = b != nil && blockMatches(c, b) // the file may be another by now
	}
	return b, ok
}

// read returns a range of the set's file; nil if that can't be had.
func (s *nodeSet) read(at byteRange) []byte {
	f, err := os.Open(s.file)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, at.to-at.from)
	if _, err := f.ReadAt(b, at.from); err != nil {
		return nil
	}
	return b
}

// node returns the decoded block of c.
func (s *nodeSet) node(c cid.Cid) (*node, error) {
	b, ok := s.get(c)
	if !ok {
		return nil, fmt.Errorf("block %s: %w", c, ErrNotFound)
	}
	return decodeNode(c, b)
}

// encode writes the set as a CAR.
func (s *nodeSet) encode(w io.Writer, root cid.Cid) error {
	if err := writeCARHeader(w, root); err != nil {
		return err
	}
	s.mu.RLock()
	order := slices.Clone(s.order)
	s.mu.RUnlock()
	for _, c := range order {
		block, ok := s.get(c)
		if !ok {
			return fmt.Errorf("block %s: %w", c, ErrNotFound)
		}
		if err := writeCARBlock(w, c, block); err != nil {
			return err
		}
	}
	return nil
}

// loadNodes reads what encode wrote. Blocks that are not what they should be
// are left out, as if they had never been there. Large ones are left in the file.
func loadNodes(path string) (*nodeSet, error) {
	set := newNodeSet()
	set.file = path
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
		if !blockMatches(c, block) {
			continue
		}
		if len(block) > maxHeldNode {
			err = set.leave(c, byteRange{r.pos - int64(len(block)), r.pos})
		} else {
			err = set.put(c, block)
		}
		if err != nil {
			return nil, err
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
