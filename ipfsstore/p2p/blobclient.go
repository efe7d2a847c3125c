package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

const (
	pipelined     = 64 // requests on one stream that are not answered yet
	linesOfPeer   = 4  // streams: each begins with a window of its own, which far away takes many round trips to grow
	answerTimeout = 20 * time.Second
	maxDAGs       = 8        // requests for all nodes below one, at a time
	maxCached     = 64 << 20 // bytes of nodes that are kept for their next asker
)

// A blobLender gets blocks by the blob protocol: leaves over one stream a peer,
// nodes all at once.
type blobLender struct {
	host    host.Host
	silence time.Duration // of a peer, before it is given up
	dags    chan struct{} // has room for requests for whole DAGs

	mu    sync.Mutex // guards all below
	lines map[peer.ID]*slots
	nodes map[cid.Cid][]byte // verified
	bytes int
}

var _ lender = (*blobLender)(nil)

func newBlobLender(h host.Host) *blobLender {
	return &blobLender{host: h, silence: answerTimeout, lines: make(map[peer.ID]*slots), dags: make(chan struct{}, maxDAGs), nodes: make(map[cid.Cid][]byte)}
}

func (b *blobLender) protocols() []string { return []string{blobProtocol} }

// cached returns a node that came with others.
func (b *blobLender) cached(c cid.Cid) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	block, ok := b.nodes[c]
	return block, ok
}

// keep keeps a verified node. When there are too many, all are forgotten: they
// are of one root as a rule, and asked for soon.
func (b *blobLender) keep(c cid.Cid, block []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes += len(block); b.bytes > maxCached {
		clear(b.nodes)
		b.bytes = len(block)
	}
	b.nodes[c] = block
}

func (b *blobLender) ask(ctx context.Context, p peer.ID, c cid.Cid) ([]byte, error) {
	if c.Type() != cid.Raw {
		return b.dag(ctx, p, c)
	}
	l, err := b.line(ctx, p)
	if err != nil {
		return nil, err
	}
	return l.ask(ctx, c)
}

// dag gets all nodes below c at once, keeps them, and returns the block of c.
func (b *blobLender) dag(ctx context.Context, p peer.ID, root cid.Cid) ([]byte, error) {
	select {
	case b.dags <- struct{}{}:
		defer func() { <-b.dags }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if block, ok := b.cached(root); ok { // it came while others were waited for
		return block, nil
	}
	stream, err := b.open(ctx, p)
	if err != nil {
		return nil, err
	}
	defer stream.Reset() //nolint:errcheck // it is over either way
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	if err := send(stream, request{kindDAG, []cid.Cid{root}}); err != nil {
		return nil, err
	}
	var first []byte
	err = b.replies(stream, func(r reply) error {
		if r.kind != replyBlock {
			return r.fault()
		}
		if !matches(r.cid, r.data) {
			return errLie
		}
		block := slices.Clone(r.data)
		if r.cid == root {
			first = block
		}
		b.keep(r.cid, block)
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil && first == nil:
		return nil, fmt.Errorf("%w: all nodes but the one asked for", errFrame)
	}
	return first, err
}

// open opens a stream to a peer.
func (b *blobLender) open(ctx context.Context, p peer.ID) (network.Stream, error) {
	stream, err := b.host.NewStream(ctx, p, blobProtocol)
	if err != nil {
		return nil, &ipfsstore.PhaseError{Phase: ipfsstore.PhaseConnect, Err: err}
	}
	return stream, nil
}

func send(s network.Stream, q request) error {
	if err := s.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	_, err := s.Write(q.encode())
	return err
}

// replies reads one whole answer.
func (b *blobLender) replies(s network.Stream, take func(reply) error) error {
	r := bufio.NewReaderSize(&alive{s: s, silence: b.silence}, streamBuffer)
	return readAnswer(r, nil, take)
}

// readAnswer hands the frames of one answer to take, until its end.
func readAnswer(r *bufio.Reader, buf []byte, take func(reply) error) error {
	for {
		frame, err := readFrame(r, buf, maxReply)
		if err != nil {
			return err
		}
		buf = frame
		got, err := decodeReply(frame)
		if err != nil || got.kind == replyEnd {
			return err
		}
		if err := take(got); err != nil {
			return err
		}
	}
}

// alive is a stream that is given up if nothing comes for too long.
type alive struct {
	s       network.Stream
	silence time.Duration
	begun   bool // some of the answer has come
}

// Read implements [io.Reader].
func (a *alive) Read(p []byte) (int, error) {
	if err := a.s.SetReadDeadline(time.Now().Add(a.silence)); err != nil {
		return 0, err
	}
	n, err := a.s.Read(p)
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		phase := ipfsstore.PhaseFirstByte
		if a.begun {
			phase = ipfsstore.PhaseStalled
		}
		err = &ipfsstore.PhaseError{Phase: phase, Err: errSilent}
	}
	a.begun = a.begun || n > 0
	return n, err
}

var errSilent = errors.New("the peer sent nothing in time")

// fault is what a frame that is no block means.
func (r reply) fault() error {
	if r.kind == replyAbsent {
		return ipfsstore.ErrNotFound
	}
	return fmt.Errorf("peer says %q", r.data)
}

// hello asks a peer whether it lets us in. One that does not speak the
// protocol, but something, does.
func (b *blobLender) hello(ctx context.Context, p peer.ID) error {
	stream, err := b.open(ctx, p)
	if err != nil {
		return err
	}
	defer stream.Reset() //nolint:errcheck // it is over either way
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	if err := send(stream, request{kindHello, nil}); err != nil {
		return err
	}
	if err := b.replies(stream, reply.fault); err != nil {
		return fmt.Errorf("the peer does not let us in: is this host on its allow-list? %w", err)
	}
	return nil
}

// line returns the next of the streams for blocks of p, which it opens if that
// does not live. Several who need one open one.
func (b *blobLender) line(ctx context.Context, p peer.ID) (*line, error) {
	s := b.slot(p)
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.line != nil && !s.line.dead() {
		return s.line, nil
	}
	stream, err := b.open(ctx, p)
	if err != nil {
		return nil, err
	}
	s.line = newLine(stream, b.silence)
	return s.line, nil
}

// slot returns a peer's slots in turn.
func (b *blobLender) slot(p peer.ID) *slot {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.lines[p]
	if !ok {
		s = &slots{}
		for i := range s.all {
			s.all[i].turn = make(chan struct{}, 1)
		}
		b.lines[p] = s
	}
	s.next = (s.next + 1) % linesOfPeer
	return &s.all[s.next]
}

// slots are where a peer's lines are.
type slots struct {
	all  [linesOfPeer]slot
	next int
}

// A slot is where one of them is.
type slot struct {
	turn chan struct{} // has room for who looks at the line
	line *line
}

// close ends all lines and waits for them.
func (b *blobLender) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, peers := range b.lines {
		for i := range peers.all {
			s := &peers.all[i]
			s.turn <- struct{}{}
			if s.line != nil {
				s.line.end()
			}
		}
	}
}
