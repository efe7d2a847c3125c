package p2p

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/libp2p/zeroconf/v2"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	lanSettles = 5 * time.Second        // after which whoever is on the local network was heard
	lanAlone   = 10 * time.Second       // if nobody was, who may be let in
	lanAsks    = time.Second            // between questions, until then: multicast gets lost
	asksAgain  = 30                     // looks after the static peers, until the local network is asked again
	lanYields  = 500 * time.Millisecond // so that of two that hear of each other one dials
	lanDomain  = "local"
	lanAddress = "dnsaddr=" // before an address in a record
)

// joinLAN announces the host on the local network and begins to listen.
func (s *scout) joinLAN(ctx context.Context) error {
	service := mdns.NewMdnsService(s.h.host, mdns.ServiceName, neighbour{ctx, s})
	if err := service.Start(); err != nil {
		return fmt.Errorf("look on the local network: %w", err)
	}
	s.mdns = service
	return nil
}

// neighbour is told of the peers on the local network.
type neighbour struct {
	ctx context.Context //nolint:containedctx // the interface of mdns has none
	s   *scout
}

// HandlePeerFound implements the interface of mdns: of those it hears, only the
// allowed are connected to. It is told of each once, so that they are
// remembered. Two hosts hear of each other at the same moment; if both dialed
// then from the ports that they listen on, TCP would make one connection of the
// two, in which both are clients.
func (n neighbour) HandlePeerFound(p peer.AddrInfo) {
	own := n.s.h.host.ID()
	if p.ID == own || !n.s.h.gate.admits(p.ID) || !n.s.remember(p) {
		return
	}
	n.s.h.work.Go(func() {
		if own > p.ID {
			pause(n.ctx, lanYields)
		}
		n.s.tried(p.ID, n.s.meet(n.ctx, p))
	})
}

// remember reports whether a neighbour is new, or has moved.
func (s *scout) remember(p peer.AddrInfo) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.heard[p.ID]; ok && sameAddresses(old.Addrs, p.Addrs) {
		return false
	}
	s.heard[p.ID] = p
	s.retry[p.ID] = redial{at: time.Now().Add(dialTimeout)} // it is met at once, by who heard it
	return true
}

func sameAddresses(a, b []ma.Multiaddr) bool {
	known := make(map[string]bool, len(a))
	for _, addr := range a {
		known[string(addr.Bytes())] = true
	}
	for _, addr := range b {
		if !known[string(addr.Bytes())] {
			return false
		}
	}
	return len(a) == len(b)
}

// neighbours are the peers of the local network that were heard and did not
// stay away.
func (s *scout) neighbours() []peer.AddrInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]peer.AddrInfo, 0, len(s.heard))
	for _, p := range s.heard {
		out = append(out, p)
	}
	return out
}

// hearLAN asks the local network until those who are there had time to answer
// and were met.
func (s *scout) hearLAN(ctx context.Context) {
	for begun := time.Now(); ctx.Err() == nil && !s.lanHeard(time.Since(begun)); s.dial(ctx) {
		s.askLAN(ctx)
	}
}

func (s *scout) lanHeard(after time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meeting == 0 && (after >= lanAlone || after >= lanSettles && len(s.heard) > 0)
}

// askLAN asks the local network who is there, and listens for a moment. What
// mdns itself asks, it repeats after four seconds, and where there is no IPv6 it
// does not hear the answers.
func (s *scout) askLAN(ctx context.Context) {
	asked, cancel := context.WithTimeout(ctx, lanAsks)
	defer cancel()
	entries, over := make(chan *zeroconf.ServiceEntry), make(chan error, 1)
	go func() {
		over <- zeroconf.Browse(asked, mdns.ServiceName, lanDomain, entries, zeroconf.SelectIPTraffic(zeroconf.IPv4))
	}()
	for {
		select {
		case e, more := <-entries:
			if !more {
				entries = nil // and it is over in a moment
				continue
			}
			s.hear(ctx, e)
		case err := <-over:
			if err != nil && ctx.Err() == nil {
				s.h.log.Debug("the local network can't be asked", "error", err)
				<-asked.Done()
			}
			return
		}
	}
}

// hear reads an answer of the local network.
func (s *scout) hear(ctx context.Context, e *zeroconf.ServiceEntry) {
	var addresses []ma.Multiaddr
	for _, text := range e.Text {
		address, ok := strings.CutPrefix(text, lanAddress)
		if !ok {
			continue
		}
		if a, err := ma.NewMultiaddr(address); err == nil {
			addresses = append(addresses, a)
		}
	}
	infos, err := peer.AddrInfosFromP2pAddrs(addresses...)
	if err != nil {
		return // an answer of something else
	}
	for _, p := range infos {
		neighbour{ctx, s}.HandlePeerFound(p)
	}
}
