package p2p

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

// A Host is a libp2p host that serves what a store shares, and gets blocks from
// others.
type Host struct {
	view   *ipfsstore.View
	gate   *gate
	host   host.Host
	ledger *ledger
	swap   *swap
	blob   *blobLender
	find   map[string]*finder // by the name of the source
	scout  *scout
	log    *slog.Logger

	cancel context.CancelFunc
	work   sync.WaitGroup
}

const (
	initialWindow = 2 << 20 // of a stream: a block of 1 MiB needs no round trip
	lowConns      = 32
	highConns     = 96
	quicDelay     = 250 * time.Millisecond
	blobStreams   = 256 // of all peers, one way
	peerStreams   = 16  // of one
	streamMemory  = 64 << 20
	peerMemory    = 32 << 20
)

// New starts a host for a store. Close ends it.
func New(store *ipfsstore.Store, c peers.Config, log *slog.Logger) (*Host, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	key, err := LoadIdentity(filepath.Join(c.Home, peers.KeyFile))
	if err != nil {
		return nil, err
	}
	g, err := newGate(c, log)
	if err != nil {
		return nil, err
	}
	options, err := hostOptions(c, g)
	if err != nil {
		return nil, err
	}
	lh, err := libp2p.New(append(options, libp2p.Identity(key))...)
	if err != nil {
		return nil, fmt.Errorf("start host: %w", err)
	}
	h := &Host{view: store.Shared(), gate: g, host: lh, ledger: newLedger(), log: log}
	if err := h.start(c); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func hostOptions(c peers.Config, g *gate) ([]libp2p.Option, error) {
	window := *yamux.DefaultTransport // a copy: the original is everybody's
	window.InitialStreamWindowSize = initialWindow
	limits, err := resources()
	if err != nil {
		return nil, err
	}
	conns, err := connmgr.NewConnManager(lowConns, highConns)
	if err != nil {
		return nil, err
	}
	listen := libp2p.NoListenAddrs
	if len(c.Listen) > 0 {
		listen = libp2p.ListenAddrStrings(c.Listen...)
	}
	return []libp2p.Option{
		listen, libp2p.ConnectionGater(g), libp2p.ResourceManager(limits), libp2p.ConnectionManager(conns),
		libp2p.Security(tls.ID, tls.New), libp2p.Security(noise.ID, noise.New), libp2p.Muxer(yamux.ID, &window),
		libp2p.SwarmOpts(swarm.WithDialRanker(tcpFirst)), libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.UserAgent("ipfs-accelerate"),
	}, nil
}

// resources bounds what peers can make the host hold.
func resources() (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	all := rcmgr.BaseLimit{Streams: 2 * blobStreams, StreamsInbound: blobStreams, StreamsOutbound: blobStreams, Memory: 4 * streamMemory}
	one := rcmgr.BaseLimit{Streams: 2 * peerStreams, StreamsInbound: peerStreams, StreamsOutbound: peerStreams, Memory: 4 * peerMemory}
	limits.AddProtocolLimit(blobProtocol, all, rcmgr.BaseLimitIncrease{})
	limits.AddProtocolPeerLimit(blobProtocol, one, rcmgr.BaseLimitIncrease{})
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.AutoScale()))
}

// tcpFirst has TCP dialled at once and QUIC a moment later: TCP moves bulk at
// twice the speed for half the work.
func tcpFirst(addrs []ma.Multiaddr) []network.AddrDelay {
	out := make([]network.AddrDelay, len(addrs))
	for i, a := range addrs {
		out[i].Addr = a
		if _, err := a.ValueForProtocol(ma.P_TCP); err != nil {
			out[i].Delay = quicDelay
		}
	}
	slices.SortStableFunc(out, func(a, b network.AddrDelay) int { return cmp.Compare(a.Delay, b.Delay) })
	return out
}

// start begins all that goes on until Close.
func (h *Host) start(c peers.Config) error {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.swap = newSwap(ctx, h.host, h.view, h.gate.allowed)
	h.blob = newBlobLender(h.host)
	server := newBlobServer(h.view, func(s network.Stream) bool { return h.gate.allowed(s.Conn().RemotePeer()) }, h.log)
	h.host.SetStreamHandler(blobProtocol, func(s network.Stream) { server.handle(ctx, s) })
	var err error
	if h.scout, err = newScout(ctx, h, c); err != nil {
		return err
	}
	h.find = map[string]*finder{
		peers.Bitswap: {h.host, h.swap.lender, h.ledger, h.scout.wait, maxLooking, h.log},
		peers.Blob:    {h.host, h.blob, h.ledger, h.scout.wait, maxLooking, h.log},
	}
	h.work.Go(func() { h.scout.run(ctx) })
	return nil
}

// Close ends the host and waits for what it was doing.
func (h *Host) Close() error {
	if h.cancel != nil {
		h.cancel()
	}
	h.work.Wait()
	var errs []error
	if h.scout != nil {
		errs = append(errs, h.scout.close())
	}
	if h.swap != nil {
		h.swap.close()
	}
	errs = append(errs, h.host.Close())
	if h.blob != nil {
		h.blob.close()
	}
	return errors.Join(errs...)
}

// Get returns a block from peers, by way of the source of that name. If no peer
// has it, that is [ipfsstore.ErrNotFound].
func (h *Host) Get(ctx context.Context, source string, c cid.Cid) ([]byte, error) {
	f, ok := h.find[source]
	if !ok {
		return nil, fmt.Errorf("source %q: %w", source, ipfsstore.ErrNotFound)
	}
	return f.get(ctx, c)
}

// Connect connects to the peer at a multiaddr with /p2p/ID, and makes sure that
// it lets us in.
func (h *Host) Connect(ctx context.Context, address string) error {
	infos, err := addresses([]string{address})
	if err != nil {
		return err
	}
	h.gate.know(infos[0].ID)
	return h.greet(ctx, infos[0])
}

// greet connects to a peer and says hello: only its answer tells that the
// connection will last.
func (h *Host) greet(ctx context.Context, p peer.AddrInfo) error {
	if err := h.host.Connect(ctx, p); err != nil {
		return err
	}
	speaks, err := h.host.Peerstore().SupportsProtocols(p.ID, blobProtocol)
	if err == nil && len(speaks) == 0 {
		if others, err := h.host.Peerstore().GetProtocols(p.ID); err == nil && len(others) > 0 {
			return nil // it told what it speaks, so it is connected
		}
	}
	return h.blob.hello(ctx, p.ID)
}

// Announce tells the table what is shared, now.
func (h *Host) Announce(ctx context.Context) error { return h.scout.announce(ctx) }

// ID is the host's peer id.
func (h *Host) ID() string { return h.host.ID().String() }

// Addresses are the multiaddrs that the host listens on, with /p2p/ID.
func (h *Host) Addresses() []string {
	addrs, err := h.host.Network().InterfaceListenAddresses()
	if err != nil {
		h.log.Warn("the addresses of the interfaces can't be read", "error", err)
		addrs = h.host.Addrs()
	}
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String() + "/p2p/" + h.ID()
	}
	return out
}

// Status tells how the host is.
func (h *Host) Status(ctx context.Context) (peers.Status, error) {
	roots, err := h.view.Roots(ctx)
	if err != nil {
		return peers.Status{}, err
	}
	st := peers.Status{ID: h.ID(), PID: os.Getpid(), Addresses: h.Addresses(), Shared: len(roots), Peers: []peers.Peer{}}
	entries, ranked := h.ledger.snapshot()
	for _, p := range h.host.Network().Peers() {
		if !slices.Contains(ranked, p) {
			ranked = append(ranked, p)
		}
	}
	for _, p := range ranked {
		st.Peers = append(st.Peers, h.describe(p, entries[p]))
	}
	return st, nil
}

func (h *Host) describe(p peer.ID, e entry) peers.Peer {
	out := peers.Peer{
		ID: p.String(), Connected: h.host.Network().Connectedness(p) == network.Connected, Allowed: h.gate.allowed(p),
		Latency: e.latency, Bandwidth: e.bandwidth, Success: e.success, Bytes: e.bytes, Banned: e.banned,
	}
	if conns := h.host.Network().ConnsToPeer(p); len(conns) > 0 {
		out.Address = conns[0].RemoteMultiaddr().String()
	}
	return out
}
