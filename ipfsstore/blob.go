package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"
)

// expand finds the chunks of the blobs, level by level through their trees. A
// small dag-pb part may be a leaf or not; it is taken for a chunk, and the
// fetch goes on into it if it is none.
func expand(ctx context.Context, nodes *nodeSet, blobs []*blob, fetch nodeFetch) error {
	type part struct {
		b *blob
		chunk
	}
	var level []part
	for _, b := range blobs {
		b.chunks, b.lost = nil, false
		level = append(level, part{b, chunk{cid: b.cid, size: b.size}})
	}
	leaves := 0
	for len(level) > 0 {
		var inner []cid.Cid
		var next []part
		level = slices.DeleteFunc(level, func(p part) bool {
			if isNode(p.b, p.chunk, nodes, fetch == nil) {
				if !nodes.has(p.cid) && nodes.isAbsent(p.cid) {
					p.b.lost = true
					return true
				}
				inner = append(inner, p.cid)
				return false
			}
			p.b.chunks = append(p.b.chunks, p.chunk)
			leaves++
			return true
		})
		if err := bring(ctx, nodes, inner, fetch); err != nil {
			return err
		}
		for _, p := range level {
			own, below, err := split(nodes, p.chunk)
			if err != nil {
				return err
			}
			p.b.chunks = append(p.b.chunks, own...)
			for _, c := range below {
				next = append(next, part{p.b, c})
			}
			if leaves+len(next) > maxLeaves {
				return fmt.Errorf("%w: more than %d leaves", ErrTooLarge, maxLeaves)
			}
		}
		level = next
	}
	for _, b := range blobs {
		slices.SortFunc(b.chunks, func(a, c chunk) int { return int(min(1, max(-1, a.off-c.off))) })
	}
	return nil
}

// isNode reports whether c is to be looked into: not a raw leaf, and either the
// file itself, or too large for a leaf, or here already. A small file that is
// one dag-pb leaf is stored as its bytes alone: offline, what is not here is
// that.
func isNode(b *blob, c chunk, nodes *nodeSet, offline bool) bool {
	if c.cid.Type() == cid.Raw {
		return false
	}
	if _, here := nodes.get(c.cid); here || c.size > maxBlock-(16<<10) {
		return true
	}
	return c.cid == b.cid && !offline
}

// split returns the parts of a file's node: its own bytes, if it has any, and
// the chunks its links stand for.
func split(nodes *nodeSet, c chunk) (own, below []chunk, err error) {
	n, err := nodes.node(c.cid)
	if err != nil {
		return nil, nil, err
	}
	if c.depth > maxDepth {
		return nil, nil, fmt.Errorf("%w: the tree of a file is more than %d levels deep", ErrTooLarge, maxDepth)
	}
	if n.kind != fileNode || n.size != c.size {
		return nil, nil, fmt.Errorf("%w: block %s is not the %d bytes of a file it should be", ErrInvalidDAG, c.cid, c.size)
	}
	off := c.off + int64(len(n.data))
	if len(n.data) > 0 {
		own = []chunk{{c.cid, c.off, int64(len(n.data)), c.depth}}
	}
	for i, l := range n.links {
		size := int64(n.sizes[i])
		if l.Cid.Type() == cid.Raw && size > maxBlock {
			return nil, nil, fmt.Errorf("%w: leaf %s of %d bytes, which is more than %d", ErrTooLarge, l.Cid, size, maxBlock)
		}
		below = append(below, chunk{l.Cid, off, size, c.depth + 1})
		off += size
	}
	return own, below, nil
}

// payload returns the bytes of a file that a verified block holds itself.
func payload(c cid.Cid, block []byte) ([]byte, *node, error) {
	if c.Type() == cid.Raw {
		return block, nil, nil
	}
	n, err := decodeNode(c, block)
	if err != nil {
		return nil, nil, err
	}
	if n.kind != fileNode {
		return nil, nil, fmt.Errorf("%w: block %s is no part of a file", ErrInvalidDAG, c)
	}
	return n.data, n, nil
}

// rewrap returns the block of a dag-pb leaf, made again from its bytes: such
// leaves are stored as nothing but a range of their file.
func rewrap(c cid.Cid, data []byte) ([]byte, bool) {
	if len(data) == 0 {
		data = nil // an empty file has no data field at all
	}
	for _, inner := range [][]byte{unixfs.FilePBData(data, uint64(len(data))), unixfs.WrapData(data)} {
		pn, err := protoNode(cid.V0Builder{}, inner, nil)
		if err != nil {
			return nil, false
		}
		if block := pn.RawData(); blockMatches(c, block) {
			return block, true
		}
	}
	return nil, false
}

// chunkRight reports whether data is what chunk c stands for.
func chunkRight(nodes *nodeSet, c chunk, data []byte) bool {
	if c.cid.Type() == cid.Raw {
		return blockMatches(c.cid, data)
	}
	if block, ok := nodes.get(c.cid); ok {
		own, _, err := payload(c.cid, block)
		return err == nil && string(own) == string(data)
	}
	_, ok := rewrap(c.cid, data)
	return ok
}

// hashers is how many goroutines hash at once.
func hashers() int { return runtime.GOMAXPROCS(0) }

// leafBuffers holds buffers of maxBlock bytes.
var leafBuffers = sync.Pool{New: func() any { b := make([]byte, maxBlock); return &b }}

// smallBuffer is a size up to which a buffer of one's own costs less than a large
// one that is shared, in bytes.
const smallBuffer = 32 << 10

// chunkBuffer returns a buffer for size bytes of a chunk, and what gives it back.
func chunkBuffer(size int64) (buf []byte, release func()) {
	if size <= smallBuffer {
		return make([]byte, size), func() {}
	}
	b := leafBuffers.Get().(*[]byte) // the pool holds nothing else
	return *b, func() { leafBuffers.Put(b) }
}

// hashBlob reports whether the file at p is the blob of fileCID, as far as in has
// it looked at.
func (s *Store) hashBlob(ctx context.Context, p, fileCID string, size int64, nodes *nodeSet, in inspection) (bool, error) {
	c, err := cid.Decode(fileCID)
	if err != nil {
		return false, err
	}
	b := &blob{cid: c, size: size}
	if c.Type() == cid.Raw && size > maxBlock {
		return false, nil
	}
	if err := expand(ctx, nodes, []*blob{b}, nil); err != nil {
		if errors.Is(err, ErrInvalidDAG) { // it should have another size
			return false, nil
		}
		return false, err
	}
	b.chunks = in.sample(b.chunks)
	var wrong atomic.Bool
	err = s.eachChunk(ctx, p, b.chunks, func(i int, data []byte) error {
		if !chunkRight(nodes, b.chunks[i], data) {
			wrong.Store(true)
			return errStop
		}
		in.meter.add(int64(len(data)))
		return nil
	})
	if wrong.Load() || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// errStop ends a walk early; it is not reported.
var errStop = errors.New("stop")

// eachChunk reads the chunks of the file at p, several at once, and hands each
// to fn.
func (s *Store) eachChunk(ctx context.Context, p string, chunks []chunk, fn func(i int, data []byte) error) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	g, gctx := errgroup.WithContext(ctx)
	for i, c := range chunks {
		if s.hashing.Acquire(gctx, 1) != nil {
			break // g.Wait or ctx says why
		}
		g.Go(func() error {
			defer s.hashing.Release(1)
			return readChunk(f, c, func(data []byte) error { return fn(i, data) })
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func readChunk(f io.ReaderAt, c chunk, fn func(data []byte) error) error {
	buf, release := chunkBuffer(c.size)
	defer release()
	data := buf[:c.size]
	if n, err := f.ReadAt(data, c.off); n < len(data) {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	return fn(data)
}
