package ipfsstore

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// A CARv2 is a CARv1 between a head of fixed length and an index, see
// https://ipld.io/specs/transport/car/carv2/.
var carPragma = []byte{10, 0xa1, 0x67, 'v', 'e', 'r', 's', 'i', 'o', 'n', 2}

const (
	carV2Start   = 11 + 40         // bytes of the pragma and the head: where the CARv1 may begin
	maxCARGap    = 1 << 20         // padding before it
	fullyIndexed = 1 << 7          // the first bit of the characteristics: every block is in the index
	carIndexCode = 0x0401          // the multicodec of MultihashIndexSorted
	indexEntry   = sha256.Size + 8 // bytes of a digest and an offset
)

// openCARv2 reads the head of a CARv2 up to the CARv1 in it, and returns how many
// bytes came before that and how many it has. Of a CARv1 it reads nothing; size
// is 0 then.
func openCARv2(r *bufio.Reader) (skipped, size int64, err error) {
	if head, err := r.Peek(len(carPragma)); err != nil || !bytes.Equal(head, carPragma) {
		return 0, 0, nil //nolint:nilerr // the reader of CARv1 says what is wrong
	}
	var head [carV2Start]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, carError("header", err)
	}
	fields := head[len(carPragma)+16:]
	skipped, size = int64(binary.LittleEndian.Uint64(fields)), int64(binary.LittleEndian.Uint64(fields[8:]))
	if skipped < carV2Start || skipped > carV2Start+maxCARGap || size <= 0 {
		return 0, 0, fmt.Errorf("%w: header: %d bytes of data at %d", ErrInvalidCAR, size, skipped)
	}
	if _, err := io.CopyN(io.Discard, r, skipped-carV2Start); err != nil {
		return 0, 0, carError("header", err)
	}
	return skipped, size, nil
}

// A carIndexer is a writer of a CARv1 that notes where blocks are.
type carIndexer struct {
	pos     int64
	offsets map[string]int64 // by sha2-256 digest: of the block's length, in the CARv1
}

// Write counts, and keeps nothing.
func (x *carIndexer) Write(p []byte) (int, error) {
	x.pos += int64(len(p))
	return len(p), nil
}

// ExportV2 is [Store.Export] as a CARv2 with an index by multihash. It reads the
// blocks that are not whole files or ranges of them twice.
func (s *Store) ExportV2(ctx context.Context, ref string, w io.Writer) error {
	c, err := s.whole(ctx, ref)
	if err != nil {
		return err
	}
	x := &carIndexer{offsets: make(map[string]int64)}
	if err := s.exportTo(ctx, c, x, x); err != nil {
		return fmt.Errorf("export %s: %w", ref, err)
	}
	counted := &countingWriter{w: w}
	head := slices.Clone(carPragma)
	head = binary.LittleEndian.AppendUint64(head, fullyIndexed)
	head = binary.LittleEndian.AppendUint64(head, 0)
	head = binary.LittleEndian.AppendUint64(head, carV2Start)
	head = binary.LittleEndian.AppendUint64(head, uint64(x.pos))
	head = binary.LittleEndian.AppendUint64(head, carV2Start+uint64(x.pos))
	if _, err := w.Write(head); err != nil {
		return err
	}
	if err := s.exportTo(ctx, c, counted, nil); err != nil {
		return fmt.Errorf("export %s: %w", ref, err)
	}
	if counted.n != x.pos {
		return fmt.Errorf("export %s: %w", ref, ErrModelChanged)
	}
	_, err = w.Write(x.index())
	return err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// exportTo writes a whole CARv1; x, if given, only measures it.
func (s *Store) exportTo(ctx context.Context, c cid.Cid, w io.Writer, x *carIndexer) error {
	cw, err := s.All().newCARWriter(w, c, false)
	if err != nil {
		return err
	}
	cw.index = x
	if err := cw.scope(ctx, c, scopeAll); err != nil {
		return err
	}
	return cw.w.Flush()
}

// measure notes a block instead of writing it. Of a raw leaf the size is known,
// so that it need not be read.
func (cw *carWriter) measure(ctx context.Context, c cid.Cid) ([]byte, error) {
	if err := cw.w.Flush(); err != nil { // what is counted is the header and nothing else
		return nil, err
	}
	digest, sha := digestOf(c)
	if sha {
		cw.index.offsets[string(digest)] = cw.index.pos
	}
	var block []byte
	size := int64(-1)
	if c.Type() == cid.Raw && sha {
		x, err := cw.view.store.blocks(ctx)
		if err != nil {
			return nil, err
		}
		if p, ok := x.where[string(c.Hash())]; ok && p.leaf {
			size = int64(p.size)
		}
	}
	if size < 0 {
		var err error
		if block, err = cw.view.Block(ctx, c); err != nil {
			return nil, err
		}
		size = int64(len(block))
	}
	size += int64(c.ByteLen())
	cw.index.pos += size + int64(len(binary.AppendUvarint(nil, uint64(size))))
	return block, nil
}

// index encodes what was noted, sorted by digest.
func (x *carIndexer) index() []byte {
	out := binary.AppendUvarint(nil, carIndexCode)
	out = binary.LittleEndian.AppendUint32(out, 1) // one kind of hash
	out = binary.LittleEndian.AppendUint64(out, mh.SHA2_256)
	out = binary.LittleEndian.AppendUint32(out, 1) // one width of digests
	out = binary.LittleEndian.AppendUint32(out, indexEntry)
	out = binary.LittleEndian.AppendUint64(out, uint64(len(x.offsets))*indexEntry)
	for _, digest := range sortedKeys(x.offsets) {
		out = append(out, digest...)
		out = binary.LittleEndian.AppendUint64(out, uint64(x.offsets[digest]))
	}
	return out
}
