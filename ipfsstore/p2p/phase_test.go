package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

// soon is how long these tests have silence last: whatever comes is no answer.
const soon = 300 * time.Millisecond

// halting is a peer that begins an answer, and stops.
func halting(t *testing.T) host.Host {
	return speaker(t, func(s network.Stream) {
		if _, err := s.Read(make([]byte, 1024)); err != nil {
			return
		}
		_, _ = s.Write(append(binary.AppendUvarint(nil, 1000), replyBlock)) // whoever is gone needs none
		_, _ = s.Read(make([]byte, 1))                                      // until the other gives up
	})
}

// silent is an address where connections are accepted and nobody speaks, of the
// peer that has that id.
func silent(t *testing.T, of host.Host) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "/ip4/127.0.0.1/tcp/" + port + "/p2p/" + of.ID().String()
}

// meet connects h to a peer that does not say hello, and makes sure that h knows
// what it speaks.
func (h *Host) meet(t *testing.T, p host.Host) {
	t.Helper()
	infos, err := addresses([]string{addressOf(p)})
	if err != nil {
		t.Fatal(err)
	}
	h.gate.know(p.ID())
	if err := h.host.Connect(t.Context(), infos[0]); err != nil {
		t.Fatal(err)
	}
	s, err := h.host.NewStream(t.Context(), p.ID(), blobProtocol)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Reset() // it was only to know
}

// An error says how far a peer got, to the process that asked the host, too.
func TestGet_phases(t *testing.T) {
	t.Parallel()
	for want, peer := range map[ipfsstore.Phase]func(*testing.T) host.Host{
		ipfsstore.PhaseFind: nil, ipfsstore.PhaseFirstByte: mute, ipfsstore.PhaseStalled: halting,
	} {
		for kind, c := range map[string]cid.Cid{"leaf": rawCID(t, []byte("leaf")), "node": cid.NewCidV1(cid.DagProtobuf, rawCID(t, []byte("node")).Hash())} {
			t.Run(string(want)+"/"+kind, func(t *testing.T) {
				t.Parallel()
				var src ipfsstore.Source
				if peer == nil {
					_, src = asked(t, peers.Config{Peers: []string{silent(t, mute(t))}}, soon)
				} else {
					var h *Host
					h, src = asked(t, peers.Config{}, maxLooking)
					h.meet(t, peer(t))
				}
				err := src.Fetch(t.Context(), []cid.Cid{c}, func(cid.Cid, []byte) error { return nil })
				if e, ok := errors.AsType[*ipfsstore.PhaseError](err); !ok || e.Phase != want {
					t.Errorf("%v, want phase %q", err, want)
				}
			})
		}
	}
}

// asked is a host with little patience, which looks for a block so long, and the
// source that another process would ask it by.
func asked(t *testing.T, c peers.Config, limit time.Duration) (*Host, ipfsstore.Source) {
	t.Helper()
	h, _ := open(t, c)
	h.blob.silence, h.find[peers.Blob].limit = soon, limit
	home, err := os.MkdirTemp("", "p2p") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	config := peers.Config{Home: home, Linger: time.Minute}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- serveSocket(ctx, h, config, func() { close(ready) }) }()
	<-ready
	client := peers.New(peers.Options{Config: config})
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(client.Close(), <-done, os.RemoveAll(home)); err != nil {
			t.Error(err)
		}
	})
	sources, err := client.Sources()
	if err != nil {
		t.Fatal(err)
	}
	return h, sources[0] // of the blob protocol
}

// A peer that can't be connected to any more is an error of that phase.
func TestBlobLender_connect(t *testing.T) {
	t.Parallel()
	h, _ := open(t, peers.Config{})
	gone := mute(t)
	h.meet(t, gone)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	_ = h.host.Network().ClosePeer(gone.ID()) // it may know already
	_, err := h.blob.ask(t.Context(), gone.ID(), rawCID(t, []byte("leaf")))
	if e, ok := errors.AsType[*ipfsstore.PhaseError](err); !ok || e.Phase != ipfsstore.PhaseConnect {
		t.Errorf("%v, want phase %q", err, ipfsstore.PhaseConnect)
	}
}
