package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

const (
	tablePrefix    = "/ipfs-accelerate" // a table of our own: the public one has strangers in it
	lookEvery      = 2 * time.Second    // at the peers that should be connected
	dialTimeout    = 5 * time.Second
	longestRedial  = time.Minute
	announceEvery  = 30 * time.Second
	renewEvery     = 12 * time.Hour
	maxProviders   = 8
	lookupTimeout  = 10 * time.Second
	announcesAtOnc = 8
)

// A scout finds peers: those it was told of, those on the local network, and
// those that the table knows for a block.
type scout struct {
	h     *Host
	table *dht.IpfsDHT // nil: none
	mdns  mdns.Service // nil: not looked for

	known event.Subscription // to who is connected and has told what it speaks

	settled chan struct{} // closed when every static peer was tried, and the local network heard

	mu        sync.Mutex // guards all below
	changed   chan struct{}
	meeting   int                       // peers, at the moment
	heard     map[peer.ID]peer.AddrInfo // on the local network
	retry     map[peer.ID]redial
	lookedUp  map[cid.Cid]time.Time
	announced map[cid.Cid]time.Time
}

// A redial says when a peer is tried again.
type redial struct {
	at    time.Time
	pause time.Duration
}

func newScout(ctx context.Context, h *Host, c peers.Config) (*scout, error) {
	s := &scout{
		h: h, settled: make(chan struct{}), changed: make(chan struct{}),
		heard: make(map[peer.ID]peer.AddrInfo), retry: make(map[peer.ID]redial), lookedUp: make(map[cid.Cid]time.Time), announced: make(map[cid.Cid]time.Time),
	}
	var err error
	if s.known, err = h.host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted)); err != nil {
		return s, fmt.Errorf("hear of peers: %w", err)
	}
	if c.DHT {
		if err := s.joinTable(ctx, c.Bootstrap); err != nil {
			return s, err
		}
	}
	if c.MDNS {
		return s, s.joinLAN(ctx)
	}
	return s, nil
}

func (s *scout) joinTable(ctx context.Context, bootstrap []string) error {
	known, err := addresses(bootstrap)
	if err != nil {
		return err
	}
	s.table, err = dht.New(s.h.host, dht.Mode(dht.ModeServer), dht.ProtocolPrefix(tablePrefix), dht.BootstrapPeers(known...), dht.DisableValues())
	if err != nil {
		return fmt.Errorf("join the table: %w", err)
	}
	return s.table.Bootstrap(ctx)
}

// meet connects to a peer, if it is not, and says so in the log if it can't.
func (s *scout) meet(ctx context.Context, p peer.AddrInfo) bool {
	if s.h.host.Network().Connectedness(p.ID) == network.Connected {
		return true
	}
	defer s.meets()()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := s.h.greet(ctx, p); err != nil {
		s.h.log.Info("a peer can't be connected to", "peer", p.ID, "error", err)
		return false
	}
	s.wake()
	return true
}

// meets counts one more peer that is being met, until what it returns is
// called.
func (s *scout) meets() (met func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meeting++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.meeting--
	}
}

func (s *scout) close() error {
	var errs []error
	if s.known != nil {
		errs = append(errs, s.known.Close())
	}
	if s.mdns != nil {
		errs = append(errs, s.mdns.Close())
	}
	if s.table != nil {
		errs = append(errs, s.table.Close())
	}
	return errors.Join(errs...)
}

// wake tells those who wait that a peer may be there that was not before.
func (s *scout) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// run keeps the static peers connected and the table up to date until ctx is
// done.
func (s *scout) run(ctx context.Context) {
	var g errgroup.Group
	g.Go(func() error { s.settle(ctx); return nil })
	g.Go(func() error { s.listen(ctx); return nil })
	if s.table != nil {
		g.Go(func() error { s.keepAnnounced(ctx); return nil })
	}
	_ = g.Wait() // nothing fails
}

// listen wakes those who wait when a peer has told what it speaks: before that
// it can't be asked.
func (s *scout) listen(ctx context.Context) {
	for {
		select {
		case <-s.known.Out():
			s.wake()
		case <-ctx.Done():
			return
		}
	}
}

// settle tries every static peer once, listens for those of the local network,
// and then keeps looking.
func (s *scout) settle(ctx context.Context) {
	s.dial(ctx)
	if s.mdns != nil {
		s.hearLAN(ctx)
	}
	close(s.settled)
	s.wake()
	for n := 1; pause(ctx, lookEvery); n++ {
		s.dial(ctx)
		if s.mdns != nil && n%asksAgain == 0 {
			s.askLAN(ctx)
		}
	}
}

// pause reports whether d has passed and ctx is not done.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// dial connects to the peers that should be and are not, each after a longer
// pause than before, and reports whether there is one more.
func (s *scout) dial(ctx context.Context) bool {
	var g errgroup.Group
	g.SetLimit(lowConns)
	var more atomic.Bool
	for _, p := range append(s.h.gate.statics(), s.neighbours()...) {
		if !s.due(p.ID) {
			continue
		}
		g.Go(func() error {
			ok := s.meet(ctx, p)
			s.tried(p.ID, ok)
			if ok {
				more.Store(true)
			}
			return nil
		})
	}
	_ = g.Wait() // nothing fails
	return more.Load()
}

func (s *scout) due(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p != s.h.host.ID() && s.h.host.Network().Connectedness(p) != network.Connected && !time.Now().Before(s.retry[p].at)
}

func (s *scout) tried(p peer.ID, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		delete(s.retry, p)
		return
	}
	pause := min(longestRedial, max(lookEvery, 2*s.retry[p].pause))
	if pause == longestRedial {
		delete(s.heard, p) // it is gone; should it come back, it says so
	}
	s.retry[p] = redial{time.Now().Add(pause/2 + rand.N(pause)), pause} // no two in step
}

// wait waits until a block that no peer had may be found after all: another
// peer came while the host was still settling, one that should be connected is
// now, or the table knows one. It reports whether to ask again.
func (s *scout) wait(ctx context.Context, c cid.Cid) bool {
	s.mu.Lock()
	changed := s.changed
	s.mu.Unlock()
	select {
	case <-s.settled:
		return s.dial(ctx) || s.lookUp(ctx, c)
	default:
	}
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}

// lookUp asks the table who shares c, and connects to them. Only roots are in
// it, so leaves are not looked for, and nothing is twice in a short time.
func (s *scout) lookUp(ctx context.Context, c cid.Cid) bool {
	if s.table == nil || !s.mayLookUp(c) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(maxProviders)
	found := make(chan struct{}, maxProviders)
	for p := range s.table.FindProvidersAsync(ctx, c, maxProviders) {
		if p.ID == s.h.host.ID() || !s.h.gate.admits(p.ID) || s.h.host.Network().Connectedness(p.ID) == network.Connected {
			continue
		}
		g.Go(func() error {
			if s.meet(ctx, p) {
				found <- struct{}{}
			}
			return nil
		})
	}
	_ = g.Wait() // nothing fails
	return len(found) > 0
}

func (s *scout) mayLookUp(c cid.Cid) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.lookedUp[c]) < announceEvery {
		return false
	}
	for old, at := range s.lookedUp {
		if now.Sub(at) >= announceEvery {
			delete(s.lookedUp, old)
		}
	}
	if len(s.lookedUp) >= maxAbsences*maxProviders {
		return false
	}
	s.lookedUp[c] = now
	return true
}

// keepAnnounced tells the table what is shared, until ctx is done.
func (s *scout) keepAnnounced(ctx context.Context) {
	for {
		if err := s.announce(ctx); err != nil && ctx.Err() == nil {
			s.h.log.Info("what is shared is not in the table yet", "error", err)
		}
		if !pause(ctx, announceEvery) {
			return
		}
	}
}

// announce tells the table of the shared roots that it does not know, or has
// known for long.
func (s *scout) announce(ctx context.Context) error {
	if s.table == nil {
		return errors.New("the table is not on: p2p.dht")
	}
	roots, err := s.h.view.Roots(ctx)
	if err != nil {
		return err
	}
	roots = slices.DeleteFunc(roots, s.isAnnounced)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(announcesAtOnc)
	for _, c := range roots {
		g.Go(func() error {
			if err := s.table.Provide(ctx, c, true); err != nil {
				return fmt.Errorf("announce %s: %w", c, err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.announced[c] = time.Now()
			return nil
		})
	}
	return g.Wait()
}

func (s *scout) isAnnounced(c cid.Cid) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.announced[c]
	return ok && time.Since(at) < renewEvery
}
