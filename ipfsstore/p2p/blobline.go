package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"
)

// A line is a stream on which requests follow each other without waiting for
// answers.
type line struct {
	in     *alive // what comes of stream
	stream network.Stream
	queue  chan *waiter // in the order of their requests
	quit   chan struct{}
	over   chan struct{}
	err    error // why; set before over is closed

	mu sync.Mutex // held while a request is written, so that the orders agree
}

// A waiter waits for one answer.
type waiter struct {
	cid   cid.Cid
	ctx   context.Context //nolint:containedctx // of the request, which is what a waiter is
	block []byte
	err   error
	done  chan struct{}
}

func newLine(s network.Stream, silence time.Duration) *line {
	l := &line{in: &alive{s: s, silence: silence}, stream: s, queue: make(chan *waiter, pipelined), quit: make(chan struct{}), over: make(chan struct{})}
	go l.listen()
	return l
}

// end ends the line, once, and waits for that.
func (l *line) end() {
	close(l.quit)
	_ = l.stream.Reset() // it is over either way
	<-l.over
}

func (l *line) dead() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

func (l *line) ask(ctx context.Context, c cid.Cid) ([]byte, error) {
	w := &waiter{cid: c, ctx: ctx, done: make(chan struct{})}
	if err := l.enqueue(ctx, w); err != nil {
		return nil, err
	}
	select {
	case <-w.done:
		return w.block, w.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.over:
		return nil, l.err
	}
}

func (l *line) enqueue(ctx context.Context, w *waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.queue <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.over:
		return l.err
	}
	if err := send(l.stream, request{kindBlocks, []cid.Cid{w.cid}}); err != nil {
		_ = l.stream.Reset() // what is on its way can't be told apart any more
		return err
	}
	return nil
}

// listen reads the answers until the stream breaks or is idle for long.
func (l *line) listen() {
	defer close(l.over)
	defer l.stream.Reset() //nolint:errcheck // it is over either way
	r := bufio.NewReaderSize(l.in, streamBuffer)
	buf := make([]byte, maxReply)
	idle := time.NewTimer(idleStream / 2)
	defer idle.Stop()
	for {
		idle.Reset(idleStream / 2)
		var w *waiter
		select {
		case w = <-l.queue:
		case <-idle.C:
			l.err = errIdle
			return
		case <-l.quit:
			l.err = net.ErrClosed
			return
		}
		l.in.begun = r.Buffered() > 0
		if l.err = l.read(r, buf, w); l.err != nil {
			return
		}
	}
}

var errIdle = errors.New("the stream was idle")

// read reads the answer for w. Its error is the stream's; the peer's own is w's.
func (l *line) read(r *bufio.Reader, buf []byte, w *waiter) error {
	defer close(w.done)
	w.err = io.ErrUnexpectedEOF
	err := readAnswer(r, buf, func(got reply) error {
		switch {
		case got.kind != replyBlock:
			w.err = got.fault()
		case got.cid != w.cid:
			return fmt.Errorf("%w: block %s, asked for %s", errFrame, got.cid, w.cid)
		case w.ctx.Err() != nil: // nobody waits: it need not be hashed
			w.err = w.ctx.Err()
		case !matches(w.cid, got.data):
			w.err = errLie
		default:
			w.block, w.err = slices.Clone(got.data), nil
		}
		return nil
	})
	if err != nil {
		w.err = err
	}
	return err
}
