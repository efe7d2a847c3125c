package p2p

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/sync/semaphore"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

const (
	streamBuffer  = 64 << 10
	idleStream    = 2 * time.Minute // between requests
	replyPatience = 30 * time.Second
	maxServing    = 32 // requests that are answered at once, of all peers together
)

// A blobServer answers streams of the blob protocol.
type blobServer struct {
	view    *ipfsstore.View
	allowed func(network.Stream) bool
	serving *semaphore.Weighted
	log     *slog.Logger
}

func newBlobServer(view *ipfsstore.View, allowed func(network.Stream) bool, log *slog.Logger) *blobServer {
	return &blobServer{view, allowed, semaphore.NewWeighted(maxServing), log}
}

// handle serves a stream until its end. A peer that is not allowed is reset at
// once, before anything is read.
func (s *blobServer) handle(ctx context.Context, stream network.Stream) {
	if !s.allowed(stream) {
		_ = stream.Reset() // it is over either way
		return
	}
	err := s.serve(ctx, deadlined{stream})
	if err == nil {
		err = stream.Close()
	}
	if err != nil {
		s.log.Debug("a stream ended", "peer", stream.Conn().RemotePeer(), "error", err)
		_ = stream.Reset() // it is over either way
	}
}

// deadlined gives each read and write of a stream its time.
type deadlined struct{ s network.Stream }

func (d deadlined) Read(p []byte) (int, error) {
	if err := d.s.SetReadDeadline(time.Now().Add(idleStream)); err != nil {
		return 0, err
	}
	return d.s.Read(p)
}

func (d deadlined) Write(p []byte) (int, error) {
	if err := d.s.SetWriteDeadline(time.Now().Add(replyPatience)); err != nil {
		return 0, err
	}
	return d.s.Write(p)
}

// serve answers requests until the peer says no more.
func (s *blobServer) serve(ctx context.Context, rw io.ReadWriter) error {
	r, w := bufio.NewReaderSize(rw, streamBuffer), bufio.NewWriterSize(rw, streamBuffer)
	var buf []byte
	for {
		frame, err := readFrame(r, buf, maxRequest)
		if errors.Is(err, io.EOF) && !errors.Is(err, errFrame) {
			return nil
		}
		if err != nil {
			return err
		}
		buf = frame
		q, err := decodeRequest(frame)
		if err != nil {
			return err
		}
		if err := s.answer(ctx, w, q); err != nil {
			return err
		}
		if r.Buffered() == 0 { // else the next answer goes with this one
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

func (s *blobServer) answer(ctx context.Context, w *bufio.Writer, q request) error {
	if err := s.serving.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.serving.Release(1)
	var err error
	switch q.kind {
	case kindBlocks:
		err = s.blocks(ctx, w, q.cids)
	case kindDAG:
		err = s.dag(ctx, w, q.cids[0])
	}
	if err != nil {
		return err
	}
	return writeReply(w, replyEnd, cid.Undef, nil)
}

func (s *blobServer) blocks(ctx context.Context, w *bufio.Writer, cids []cid.Cid) error {
	for _, c := range cids {
		block, err := s.view.Block(ctx, c)
		switch {
		case unserved(err):
			err = writeReply(w, replyAbsent, c, nil)
		case err == nil:
			err = writeReply(w, replyBlock, c, block)
		default:
			s.log.Error("serve block", "cid", c, "error", err)
			return writeReply(w, replyError, cid.Undef, []byte("the block can't be read"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *blobServer) dag(ctx context.Context, w *bufio.Writer, root cid.Cid) error {
	sent := false
	err := s.view.Nodes(ctx, root, func(c cid.Cid, block []byte) error {
		sent = true
		return writeReply(w, replyBlock, c, block)
	})
	switch {
	case unserved(err):
		return writeReply(w, replyAbsent, root, nil)
	case err != nil || sent:
		return err
	}
	return s.blocks(ctx, w, []cid.Cid{root})
}
