package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A lender is one way to ask a peer for a block.
type lender interface {
	// protocols are those of which a peer must speak one.
	protocols() []string
	// ask returns a block that has c's hash, [ipfsstore.ErrNotFound] if the
	// peer does not have it, errLie if it sent something else, or what is
	// wrong.
	ask(ctx context.Context, p peer.ID, c cid.Cid) ([]byte, error)
	// cached returns a block that is here already.
	cached(c cid.Cid) ([]byte, bool)
}

const (
	patience    = 2 * time.Second // with a peer, before another is asked too
	maxAsked    = 3               // at a time, for one block
	maxLooking  = 30 * time.Second
	maxAbsences = 16 // peers asked for one block in all
)

// A finder gets blocks from whichever peer is best at the moment.
type finder struct {
	host   host.Host
	lender lender
	ledger *ledger
	// wait waits until there may be peers that were not there before, and
	// reports whether to try again.
	wait  func(ctx context.Context, c cid.Cid) bool
	limit time.Duration // of a search
	log   *slog.Logger
}

// A search is one block's.
type search struct {
	f       *finder
	c       cid.Cid
	tried   []peer.ID
	asking  int
	answers chan answer
	err     error // of a peer in trouble
}

// errPaused says that the peers there are have failed too often.
var errPaused = errors.New("the peers that are left fail, and are not asked for a while")

// An answer is what one peer said.
type answer struct {
	block []byte
	err   error
}

// get returns the block of c. If no peer has it, that is
// [ipfsstore.ErrNotFound].
func (f *finder) get(ctx context.Context, c cid.Cid) ([]byte, error) {
	if matches(c, nil) { // boxo's server does not send it
		return nil, nil
	}
	if block, ok := f.lender.cached(c); ok {
		return block, nil
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	s := &search{f: f, c: c, answers: make(chan answer, maxAbsences)}
	for {
		block, err := s.round(ctx)
		if err == nil || !errors.Is(err, ipfsstore.ErrNotFound) || ctx.Err() != nil || !f.wait(ctx, c) {
			return block, s.late(caller, ctx, err)
		}
	}
}

var (
	errUnfound    = errors.New("no peer that has it was found in time")
	errUnanswered = errors.New("no peer that was asked has answered in time")
)

// late is what an error of the search means if its time, not the caller's, is
// over.
func (s *search) late(caller, ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() == nil || caller.Err() != nil:
		return err
	case s.asking > 0:
		return &ipfsstore.PhaseError{Phase: ipfsstore.PhaseFirstByte, Err: errUnanswered}
	}
	return &ipfsstore.PhaseError{Phase: ipfsstore.PhaseFind, Err: errUnfound}
}

// candidates are the connected peers that can be asked and were not.
func (s *search) candidates() []peer.ID {
	var out []peer.ID
	for _, p := range s.f.host.Network().Peers() {
		if !slices.Contains(s.tried, p) && s.f.speaks(p) && !s.f.ledger.isBanned(p) {
			out = append(out, p)
		}
	}
	return out
}

func (f *finder) speaks(p peer.ID) bool {
	known, err := f.host.Peerstore().FirstSupportedProtocol(p, protocol.ConvertFromStrings(f.lender.protocols())...)
	return err == nil && known != ""
}

// round asks peers, best first, until one has the block or none is left.
func (s *search) round(ctx context.Context) ([]byte, error) {
	for s.asking > 0 || s.more(ctx) {
		timer := time.NewTimer(patience)
		select {
		case a := <-s.answers:
			s.asking--
			if a.err == nil {
				timer.Stop()
				return a.block, nil
			}
			if !errors.Is(a.err, ipfsstore.ErrNotFound) {
				s.err = a.err
			}
		case <-timer.C:
			s.more(ctx) // the one that is asked is slow
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	return nil, fmt.Errorf("block %s: no peer has it: %w", s.c, ipfsstore.ErrNotFound)
}

// more asks one more peer, if there is one and it is not too much.
func (s *search) more(ctx context.Context) bool {
	if s.asking >= maxAsked || len(s.tried) >= maxAbsences {
		return false
	}
	from := s.candidates()
	p, ok := s.f.ledger.pick(from)
	if !ok {
		if len(from) > 0 && s.err == nil { // they may have it: that they are left alone is no answer
			s.err = errPaused
		}
		return false
	}
	s.tried, s.asking = append(s.tried, p), s.asking+1
	go func() { // ends with ctx at the latest; answers has room
		block, err := s.f.askOne(ctx, p, s.c)
		s.answers <- answer{block, err}
	}()
	return true
}

// askOne asks a peer and books how it went.
func (f *finder) askOne(ctx context.Context, p peer.ID, c cid.Cid) ([]byte, error) {
	start := time.Now()
	block, err := f.lender.ask(ctx, p, c)
	how := failed
	switch {
	case err == nil:
		how = served
	case errors.Is(err, ipfsstore.ErrNotFound):
		how = absent
	case ctx.Err() != nil:
		how = dropped
	}
	f.ledger.book(p, how, len(block), time.Since(start))
	if errors.Is(err, errLie) {
		f.ledger.ban(p)
		f.log.Warn("a peer sent wrong bytes and is not asked again", "peer", p, "cid", c)
		_ = f.host.Network().ClosePeer(p) // it may be gone already
	}
	return block, ofPeer(p, err)
}

// ofPeer says whose error it is; nil is nobody's. A phase stays in front.
func ofPeer(p peer.ID, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*ipfsstore.PhaseError](err); ok {
		return &ipfsstore.PhaseError{Phase: e.Phase, Err: fmt.Errorf("peer %s: %w", p, e.Err)}
	}
	return fmt.Errorf("peer %s: %w", p, err)
}
