package p2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs/go-cid"
)

// The blob protocol: one stream carries any number of requests, which are
// answered in their order.
//
//	frame    uvarint LENGTH, then so many bytes
//	request  a frame: KIND, uvarint COUNT, COUNT times (uvarint LENGTH, CID)
//	         'b'  blocks, in this order
//	         'd'  all nodes below the one CID, itself first; a leaf is itself
//	         'h'  nothing: whoever gets an answer is let in
//	answer   frames: 'B' uvarint LENGTH CID, then the block
//	                 'A' uvarint LENGTH CID: the block is not to be had
//	                 'X' why the request ends here, as text
//	                 'E' nothing: the request is answered
const blobProtocol = "/ipfs-accelerate/blob/1.0.0"

const (
	kindBlocks = 'b'
	kindDAG    = 'd'
	kindHello  = 'h'

	replyBlock  = 'B'
	replyAbsent = 'A'
	replyError  = 'X'
	replyEnd    = 'E'
)

// Limits on frames, checked before memory is taken.
const (
	maxRequest = 64 << 10
	maxCIDs    = 512
	maxCID     = 256
	maxBlock   = 2 << 20
	maxReply   = maxBlock + maxCID + 16
	maxReason  = 512
)

// errFrame says that a peer does not keep to the protocol.
var errFrame = errors.New("malformed frame")

// readFrame reads a frame into buf, or into a larger one of at most limit
// bytes.
func readFrame(r *bufio.Reader, buf []byte, limit uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n == 0 || n > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", errFrame, n, limit)
	}
	if uint64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	return buf, nil
}

// A request is what a client asks on a stream.
type request struct {
	kind byte
	cids []cid.Cid
}

func (q request) encode() []byte {
	body := binary.AppendUvarint([]byte{q.kind}, uint64(len(q.cids)))
	for _, c := range q.cids {
		body = binary.AppendUvarint(body, uint64(c.ByteLen()))
		body = append(body, c.Bytes()...)
	}
	return append(binary.AppendUvarint(nil, uint64(len(body))), body...)
}

func decodeRequest(frame []byte) (request, error) {
	q := request{kind: frame[0]}
	n, used := binary.Uvarint(frame[1:])
	if used <= 0 || n > maxCIDs {
		return q, fmt.Errorf("%w: too many CIDs", errFrame)
	}
	rest := frame[1+used:]
	for range n {
		c, after, err := cutCID(rest)
		if err != nil {
			return q, err
		}
		q.cids, rest = append(q.cids, c), after
	}
	want := map[byte]bool{kindBlocks: n > 0, kindDAG: n == 1, kindHello: n == 0}
	if len(rest) > 0 || !want[q.kind] {
		return q, fmt.Errorf("%w: request %q of %d CIDs and %d bytes more", errFrame, q.kind, n, len(rest))
	}
	return q, nil
}

// cutCID takes a CID and its length off the front of b.
func cutCID(b []byte) (cid.Cid, []byte, error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > maxCID || n > uint64(len(b)-used) {
		return cid.Undef, nil, fmt.Errorf("%w: a CID is cut short", errFrame)
	}
	c, err := cid.Cast(b[used : used+int(n)])
	if err != nil {
		return cid.Undef, nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	return c, b[used+int(n):], nil
}

// writeReply writes one frame of an answer; c is undefined where there is none.
func writeReply(w *bufio.Writer, kind byte, c cid.Cid, data []byte) error {
	head := []byte{kind}
	if c.Defined() {
		head = binary.AppendUvarint(head, uint64(c.ByteLen()))
		head = append(head, c.Bytes()...)
	}
	if _, err := w.Write(binary.AppendUvarint(nil, uint64(len(head)+len(data)))); err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// A reply is one frame of an answer. Its data is valid until the next is read.
type reply struct {
	kind byte
	cid  cid.Cid
	data []byte
}

func decodeReply(frame []byte) (reply, error) {
	r := reply{kind: frame[0], data: frame[1:]}
	var err error
	switch r.kind {
	case replyBlock:
		r.cid, r.data, err = cutCID(r.data)
		if err == nil && len(r.data) > maxBlock {
			err = fmt.Errorf("%w: block of %d bytes", errFrame, len(r.data))
		}
	case replyAbsent:
		r.cid, _, err = cutCID(r.data)
	case replyError:
		r.data = r.data[:min(len(r.data), maxReason)]
	case replyEnd:
	default:
		err = fmt.Errorf("%w: reply %q", errFrame, r.kind)
	}
	return r, err
}
