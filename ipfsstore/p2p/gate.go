package p2p

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

// A gate knows who may connect, and who may have what is shared. The book of
// its home adds to the configuration, and is read again when it changes.
type gate struct {
	home   string
	log    *slog.Logger
	config peers.Config

	mu     sync.Mutex // guards all below
	stamp  time.Time
	size   int64
	allow  map[peer.ID]bool
	static []peer.AddrInfo
	known  map[peer.ID]bool // static, of the table's bootstrap, or connected to by command
}

var _ connmgr.ConnectionGater = (*gate)(nil)

// newGate refuses a configuration with ids or addresses that are none.
func newGate(c peers.Config, log *slog.Logger) (*gate, error) {
	g := &gate{home: c.Home, log: log, config: c, known: make(map[peer.ID]bool)}
	bootstrap, err := addresses(c.Bootstrap)
	if err != nil {
		return nil, err
	}
	if c.DHT {
		for _, p := range bootstrap {
			g.known[p.ID] = true
		}
	}
	return g, g.load(peers.Book{})
}

// load takes the configuration and a book as what holds. The caller has the
// lock, or the gate for itself.
func (g *gate) load(b peers.Book) error {
	allow := make(map[peer.ID]bool)
	for _, text := range slices.Concat(g.config.Allow, b.Allow) {
		id, err := peer.Decode(text)
		if err != nil {
			return fmt.Errorf("peer id %q: %w", text, err)
		}
		allow[id] = true
	}
	static, err := addresses(slices.Concat(g.config.Peers, b.Peers))
	if err != nil {
		return err
	}
	for _, p := range static {
		g.known[p.ID] = true
	}
	g.allow, g.static = allow, static
	return nil
}

// addresses reads multiaddrs with /p2p/ID; several of one peer become one.
func addresses(texts []string) ([]peer.AddrInfo, error) {
	var all []ma.Multiaddr
	for _, text := range texts {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("peer %q: %w", text, err)
		}
		all = append(all, a)
	}
	infos, err := peer.AddrInfosFromP2pAddrs(all...)
	if err != nil {
		return nil, fmt.Errorf("peers %q: %w", texts, err)
	}
	slices.SortFunc(infos, func(a, b peer.AddrInfo) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
	return infos, nil
}

// renew reads the book if it has changed. One that can't be read changes
// nothing. The caller has the lock.
func (g *gate) renew() {
	info, err := os.Stat(filepath.Join(g.home, peers.BookFile))
	if err != nil || info.ModTime().Equal(g.stamp) && info.Size() == g.size {
		return
	}
	b, err := peers.ReadBook(g.home)
	if err == nil {
		err = g.load(b)
	}
	if err != nil {
		g.log.Error("the book of peers is not followed", "error", err)
	}
	g.stamp, g.size = info.ModTime(), info.Size()
}

// allowed reports whether p may have what is shared.
func (g *gate) allowed(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.renew()
	return g.allow[p]
}

// admits reports whether p may be connected to.
func (g *gate) admits(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.renew()
	return g.allow[p] || g.known[p]
}

// know lets a peer connect, without giving it anything.
func (g *gate) know(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known[p] = true
}

// statics returns the peers to keep connected to.
func (g *gate) statics() []peer.AddrInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.renew()
	return slices.Clone(g.static)
}

// InterceptPeerDial implements [connmgr.ConnectionGater].
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.admits(p) }

// InterceptAddrDial implements [connmgr.ConnectionGater].
func (g *gate) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept implements [connmgr.ConnectionGater]: who it is, is not known
// yet.
func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured implements [connmgr.ConnectionGater].
func (g *gate) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return g.admits(p)
}

// InterceptUpgraded implements [connmgr.ConnectionGater].
func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
