package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

const (
	prefixSize = 12
	maxHeader  = 1 << 20

	// readBuffer is small so that nearly all of a large payload is read
	// straight to where it stays.
	readBuffer = 4 << 10

	// DefaultMaxPayload is the limit of a frame's payload where none is set.
	DefaultMaxPayload = 1 << 30
)

// A reader reads frames from one stream.
type reader struct {
	r      *bufio.Reader
	limit  int64  // of a payload
	shared []byte // where payloads may lie; nil if nothing is shared
}

func newReader(r io.Reader, limit int64, shared []byte) *reader {
	return &reader{r: bufio.NewReaderSize(r, readBuffer), limit: limit, shared: shared}
}

// header reads a frame up to its payload, of whose length and layout it makes
// sure. The caller reads or discards the payload next, unless it lies in
// shared memory. At the end of the stream, between frames, the error is
// io.EOF.
func (r *reader) header() (*header, int64, error) {
	var prefix [prefixSize]byte
	if _, err := io.ReadFull(r.r, prefix[:]); err != nil {
		return nil, 0, err
	}
	n := int64(binary.LittleEndian.Uint32(prefix[:]))
	payload := binary.LittleEndian.Uint64(prefix[4:])
	if n < 2 || n > maxHeader {
		return nil, 0, protocolError("a header of %d bytes is not within 2 to %d", n, maxHeader)
	}
	if payload > uint64(r.limit) {
		return nil, 0, protocolError("a payload of %d bytes is over the limit of %d", payload, r.limit)
	}
	text := make([]byte, n+pad(prefixSize+n))
	if _, err := io.ReadFull(r.r, text); err != nil {
		return nil, 0, noEOF(err)
	}
	h := new(header)
	if err := json.Unmarshal(text[:n], h); err != nil {
		return nil, 0, protocolError("header is not understood: %v", err)
	}
	n = int64(payload)
	if h.Shared != nil {
		if n != 0 {
			return nil, 0, protocolError("a frame with a payload of %d bytes has another one in shared memory", n)
		}
		if err := h.Shared.check(int64(len(r.shared))); err != nil {
			return nil, 0, err
		}
		if n = h.Shared.Length; n > r.limit {
			return nil, 0, protocolError("a payload of %d bytes is over the limit of %d", n, r.limit)
		}
	}
	return h, n, checkLayout(h.Tensors, n)
}

// payload fills b with the bytes that follow a header.
func (r *reader) payload(b []byte) error {
	_, err := io.ReadFull(r.r, b)
	return noEOF(err)
}

// sharedPayload is the payload that h says lies in shared memory.
func (r *reader) sharedPayload(h *header) []byte {
	end := h.Shared.At + h.Shared.Length
	return r.shared[h.Shared.At:end:end]
}

// discard skips the n bytes that follow a header.
func (r *reader) discard(h *header, n int64) error {
	if h.Shared != nil {
		return nil
	}
	_, err := io.CopyN(io.Discard, r.r, n)
	return noEOF(err)
}

// noEOF turns an end in the middle of a frame into what it is.
func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // io.ReadFull returns it bare
		return io.ErrUnexpectedEOF
	}
	return err
}

// A writer writes frames to one stream, one at a time.
type writer struct {
	conn io.WriteCloser
	turn chan struct{} // holds a token while nobody writes
}

func newWriter(conn io.WriteCloser) *writer {
	w := &writer{conn: conn, turn: make(chan struct{}, 1)}
	w.turn <- struct{}{}
	return w
}

// writeGrace is how long a write that is under way when its context ends may
// still take. A reader that is alive needs microseconds; breaking off earlier
// would cost everyone the stream.
const writeGrace = 100 * time.Millisecond

// A frame is what is to be written.
type frame struct {
	h     *header
	parts [][]byte // the payload, in pieces
	n     int64    // bytes of payload
}

// newFrame lays out tensors, which may be nil, behind h. They are not to be
// changed before the frame is written.
func newFrame(h *header, tensors engine.Tensors, limit int64) (frame, error) {
	headers, parts, n, err := layOut(tensors, limit)
	h.Tensors = headers
	return frame{h, parts, n}, err
}

// share moves the payload to b, a block of shared memory that holds it. What
// is left of the block is for the answer.
func (f *frame) share(shared []byte, b block) {
	to := shared[b.at : b.at+b.size]
	for _, part := range f.parts {
		to = to[copy(to, part):]
	}
	f.h.Shared = &sharedHeader{At: b.at, Length: f.n}
	if left := int64(len(to)) - pad(b.at+f.n); left > 0 {
		f.h.Shared.Room = left
	}
	f.parts, f.n = nil, 0
}

// oneWrite is up to how many bytes a frame's pieces are joined to be written
// in one system call: not every stream takes them in pieces.
const oneWrite = 64 << 10

// bytes returns the frame in pieces.
func (f *frame) bytes() (net.Buffers, error) {
	head, err := encodeHeader(f.h, f.n)
	if err != nil {
		return nil, err
	}
	if int64(len(head))+f.n > oneWrite {
		return append(net.Buffers{head}, f.parts...), nil
	}
	for _, part := range f.parts {
		head = append(head, part...)
	}
	return net.Buffers{head}, nil
}

// write sends a frame. When ctx ends while the other side does not read, the
// stream is broken off: half a frame is of use to nobody.
func (w *writer) write(ctx context.Context, f frame) error {
	buffers, err := f.bytes()
	if err != nil {
		return err
	}
	select {
	case <-w.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { w.turn <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return err
	}
	defer w.breakOff(ctx)()
	_, err = buffers.WriteTo(w.conn)
	return err
}

// breakOff closes the stream if ctx ends before the returned func is called,
// and writeGrace has passed too.
func (w *writer) breakOff(ctx context.Context) (done func()) {
	var (
		mu    sync.Mutex // guards what follows
		over  bool
		timer *time.Timer
	)
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			timer = time.AfterFunc(writeGrace, func() { w.conn.Close() }) // the write reports it
		}
	})
	return func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		over = true
		if timer != nil {
			timer.Stop()
		}
	}
}

// encodeHeader returns everything of a frame that precedes its payload.
func encodeHeader(h *header, payload int64) ([]byte, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, engine.Errorf(engine.ErrInternal, "wire: encode header: %w", err)
	}
	if len(text) > maxHeader {
		return nil, engine.Errorf(engine.ErrTooLarge, "a header of %d bytes is over the limit of %d", len(text), maxHeader)
	}
	n := int64(prefixSize + len(text))
	out := make([]byte, 0, n+pad(n))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
	out = binary.LittleEndian.AppendUint64(out, uint64(payload))
	out = append(out, text...)
	return append(out, zeros[:pad(n)]...), nil
}
