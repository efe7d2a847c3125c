package p2p

import (
	"context"
	"errors"
	"sync"
	"time"

	bsmsg "github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	"github.com/ipfs/boxo/bitswap/network"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/bitswap/server"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// outstanding is how many bytes bitswap may have under way to one peer: the
// usual 1 MiB makes it wait for each block.
const outstanding = 16 << 20

// A bitswapLender gets blocks by bitswap. It asks one peer at a time for a
// block and wants to know if it is absent, which boxo's own client does not:
// that asks all peers, waits 20 ms before it does, and waits forever for what
// nobody has.
type bitswapLender struct {
	net network.BitSwapNetwork

	mu    sync.Mutex // guards all below
	wants map[want]*pending
	queue map[peer.ID]*outbox
}

// A want is a block that a peer was asked for.
type want struct {
	peer peer.ID
	cid  cid.Cid
}

// A pending want has those who wait for it.
type pending struct {
	waiters int
	done    chan struct{}
	block   []byte // set before done is closed; nil: the peer does not have it
	gone    bool   // the peer is
}

// An outbox is what is to be said to one peer, in the next message.
type outbox struct {
	wants, cancels []cid.Cid
	sending        bool
}

var (
	_ lender           = (*bitswapLender)(nil)
	_ network.Receiver = (*bitswapLender)(nil)
)

// A swap is bitswap both ways.
type swap struct {
	net    network.BitSwapNetwork
	server *server.Server
	lender *bitswapLender
}

// newSwap starts bitswap on h: it gives what is in view to those who are
// allowed.
func newSwap(ctx context.Context, h host.Host, view *ipfsstore.View, allowed func(peer.ID) bool) *swap {
	net := bsnet.NewFromIpfsHost(h)
	s := &swap{net: net, lender: &bitswapLender{net: net, wants: make(map[want]*pending), queue: make(map[peer.ID]*outbox)}}
	s.server = server.New(ctx, net, shelf{view},
		server.MaxOutstandingBytesPerPeer(outstanding),
		server.WithPeerBlockRequestFilter(func(p peer.ID, _ cid.Cid) bool { return allowed(p) }))
	net.Start(s.server, s.lender)
	return s
}

func (s *swap) close() {
	s.net.Stop()
	s.server.Close()
}

func (b *bitswapLender) protocols() []string {
	return []string{"/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0", "/ipfs/bitswap/1.0.0", "/ipfs/bitswap"}
}

func (b *bitswapLender) cached(cid.Cid) ([]byte, bool) { return nil, false }

var errGone = errors.New("the peer is gone")

func (b *bitswapLender) ask(ctx context.Context, p peer.ID, c cid.Cid) ([]byte, error) {
	w := want{p, c}
	pd := b.add(w) //nolint:contextcheck // a message has the wants of several callers
	select {
	case <-pd.done:
	case <-ctx.Done():
		b.drop(w, pd) //nolint:contextcheck // the caller is gone, the message is sent
		return nil, ctx.Err()
	}
	switch {
	case pd.gone:
		return nil, &ipfsstore.PhaseError{Phase: ipfsstore.PhaseConnect, Err: errGone}
	case pd.block == nil:
		return nil, ipfsstore.ErrNotFound
	}
	return pd.block, nil
}

// add joins those who wait for a block of a peer, or asks for it.
func (b *bitswapLender) add(w want) *pending {
	b.mu.Lock()
	defer b.mu.Unlock()
	pd, ok := b.wants[w]
	if !ok {
		pd = &pending{done: make(chan struct{})}
		b.wants[w] = pd
		b.say(w.peer, func(o *outbox) { o.wants = append(o.wants, w.cid) })
	}
	pd.waiters++
	return pd
}

// drop ends a wait; the last one out tells the peer.
func (b *bitswapLender) drop(w want, pd *pending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if pd.waiters--; pd.waiters > 0 || b.wants[w] != pd {
		return
	}
	delete(b.wants, w)
	b.say(w.peer, func(o *outbox) { o.cancels = append(o.cancels, w.cid) })
}

// say puts something into a peer's outbox, and has it sent: with all that
// comes while the message before is on its way. The caller has the lock.
func (b *bitswapLender) say(p peer.ID, put func(*outbox)) {
	o, ok := b.queue[p]
	if !ok {
		o = &outbox{}
		b.queue[p] = o
	}
	put(o)
	if !o.sending {
		o.sending = true
		go b.send(p, o)
	}
}

const (
	sendTimeout = 20 * time.Second
	maxEntries  = 512 // of one message
)

// send empties an outbox, and ends.
func (b *bitswapLender) send(p peer.ID, o *outbox) {
	for {
		msg, wants := b.message(p, o)
		if msg == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
		err := b.net.SendMessage(ctx, p, msg)
		cancel()
		if err == nil {
			continue
		}
		b.mu.Lock()
		for _, c := range wants {
			b.settle(want{p, c}, nil, true)
		}
		b.mu.Unlock()
	}
}

// message takes the next message out of an outbox; nil if there is none, and
// then the outbox is gone.
func (b *bitswapLender) message(p peer.ID, o *outbox) (bsmsg.BitSwapMessage, []cid.Cid) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(o.wants)+len(o.cancels) == 0 {
		delete(b.queue, p)
		return nil, nil
	}
	msg := bsmsg.New(false)
	n := min(len(o.cancels), maxEntries)
	for _, c := range o.cancels[:n] {
		msg.Cancel(c)
	}
	o.cancels = o.cancels[n:]
	n = min(len(o.wants), maxEntries)
	wants := o.wants[:n]
	for i, c := range wants {
		msg.AddEntry(c, int32(maxEntries-i), pb.Message_Wantlist_Block, true)
	}
	o.wants = o.wants[n:]
	return msg, wants
}

// settle ends a want. The caller has the lock.
func (b *bitswapLender) settle(w want, block []byte, gone bool) {
	pd, ok := b.wants[w]
	if !ok {
		return // unasked for
	}
	delete(b.wants, w)
	pd.block, pd.gone = block, gone
	close(pd.done)
}

// ReceiveMessage implements [network.Receiver]. The CIDs of a message's blocks
// are computed from their bytes, so they are verified.
func (b *bitswapLender) ReceiveMessage(_ context.Context, p peer.ID, msg bsmsg.BitSwapMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, block := range msg.Blocks() {
		data := block.RawData()
		if data == nil {
			data = []byte{}
		}
		b.settle(want{p, block.Cid()}, data, false)
	}
	for _, c := range msg.DontHaves() {
		b.settle(want{p, c}, nil, false)
	}
}

// ReceiveError implements [network.Receiver].
func (b *bitswapLender) ReceiveError(error) {}

// PeerConnected implements [network.Receiver].
func (b *bitswapLender) PeerConnected(peer.ID) {}

// PeerDisconnected implements [network.Receiver].
func (b *bitswapLender) PeerDisconnected(p peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.wants {
		if w.peer == p {
			b.settle(w, nil, true)
		}
	}
}
