package ipfsstore

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs/go-cid"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/ipld/go-ipld-prime/fluent/qp"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	"github.com/ipld/go-ipld-prime/node/basicnode"
)

const (
	maxCARHeader  = 64 << 10
	maxCARSection = maxBlock + 256 // a block and its CID
)

func writeCARHeader(w io.Writer, root cid.Cid) error {
	n, err := qp.BuildMap(basicnode.Prototype.Any, 2, func(m datamodel.MapAssembler) {
		qp.MapEntry(m, "roots", qp.List(1, func(l datamodel.ListAssembler) {
			qp.ListEntry(l, qp.Link(cidlink.Link{Cid: root}))
		}))
		qp.MapEntry(m, "version", qp.Int(1))
	})
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := dagcbor.Encode(n, &buf); err != nil {
		return err
	}
	if _, err := w.Write(binary.AppendUvarint(nil, uint64(buf.Len()))); err != nil {
		return err
	}
	_, err = w.Write(buf.Bytes())
	return err
}

func writeCARBlock(w io.Writer, c cid.Cid, block []byte) error {
	id := c.Bytes()
	head := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(id)), uint64(len(id)+len(block)))
	if _, err := w.Write(append(head, id...)); err != nil {
		return err
	}
	_, err := w.Write(block)
	return err
}

// A carReader reads a CARv1 stream. It believes nothing: lengths are checked
// before memory is taken, and hashes are the caller's to check.
type carReader struct {
	r    *bufio.Reader
	root cid.Cid
	pos  int64 // of the next byte of r
}

// newCARReader reads the header, which must name exactly one root.
func newCARReader(r *bufio.Reader) (*carReader, error) {
	cr := &carReader{r: r}
	n, err := cr.length(maxCARHeader)
	if err != nil {
		return nil, carError("header", err)
	}
	head := make([]byte, n)
	if err := cr.fill(head); err != nil {
		return nil, carError("header", err)
	}
	cr.root, err = decodeCARHeader(head)
	return cr, err
}

func decodeCARHeader(head []byte) (cid.Cid, error) {
	nb := basicnode.Prototype.Map.NewBuilder()
	if err := dagcbor.Decode(nb, bytes.NewReader(head)); err != nil {
		return cid.Undef, carError("header", err)
	}
	version, verr := nb.Build().LookupByString("version")
	roots, rerr := nb.Build().LookupByString("roots")
	if verr != nil || rerr != nil {
		return cid.Undef, carError("header", errors.Join(verr, rerr))
	}
	if v, err := version.AsInt(); err != nil || v != 1 {
		return cid.Undef, fmt.Errorf("%w: only version 1 is understood", ErrInvalidCAR)
	}
	first, err := roots.LookupByIndex(0)
	if err != nil || roots.Length() != 1 {
		return cid.Undef, fmt.Errorf("%w: %d roots; exactly one is needed", ErrInvalidCAR, max(0, roots.Length()))
	}
	link, err := first.AsLink()
	if err != nil {
		return cid.Undef, carError("root", err)
	}
	c := link.(cidlink.Link).Cid // dagcbor makes no other kind of link
	return c, checkCID(c)
}

// next returns the next block, in buf if that is large enough, or io.EOF at the
// end. The block is not verified.
func (cr *carReader) next(buf []byte) (cid.Cid, []byte, error) {
	if _, err := cr.r.Peek(1); errors.Is(err, io.EOF) {
		return cid.Undef, nil, io.EOF
	}
	n, err := cr.length(maxCARSection)
	if err != nil {
		return cid.Undef, nil, carError("block", err)
	}
	if n > cap(buf) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if err := cr.fill(buf); err != nil {
		return cid.Undef, nil, carError("block", err)
	}
	used, c, err := cid.CidFromBytes(buf)
	if err != nil {
		return cid.Undef, nil, carError("block", err)
	}
	return c, buf[used:], checkCID(c)
}

func (cr *carReader) length(limit uint64) (int, error) {
	n, err := binary.ReadUvarint(cr)
	if err != nil {
		return 0, err
	}
	if n == 0 || n > limit {
		return 0, fmt.Errorf("length %d is not within 1 and %d", n, limit)
	}
	return int(n), nil
}

// ReadByte implements io.ByteReader for the length.
func (cr *carReader) ReadByte() (byte, error) {
	b, err := cr.r.ReadByte()
	if err == nil {
		cr.pos++
	}
	return b, err
}

func (cr *carReader) fill(buf []byte) error {
	n, err := io.ReadFull(cr.r, buf)
	cr.pos += int64(n)
	return err
}

func carError(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: truncated in a %s", ErrInvalidCAR, what)
	}
	return fmt.Errorf("%w: %s: %w", ErrInvalidCAR, what, err)
}
