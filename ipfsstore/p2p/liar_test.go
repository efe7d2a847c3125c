package p2p

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

// A liar answers each request for blocks with wrong bytes.
func liar(t *testing.T) host.Host {
	return speaker(t, func(s network.Stream) {
		r, w := bufio.NewReader(s), bufio.NewWriter(s)
		for {
			frame, err := readFrame(r, nil, maxRequest)
			if err != nil {
				return
			}
			q, err := decodeRequest(frame)
			if err != nil {
				t.Error(err)
				return
			}
			for _, c := range q.cids {
				_ = writeReply(w, replyBlock, c, []byte("a lie")) // whoever is gone needs none
			}
			_ = writeReply(w, replyEnd, cid.Undef, nil) // as above
			if w.Flush() != nil {
				return
			}
		}
	})
}

// mute is a peer that takes requests and never answers.
func mute(t *testing.T) host.Host {
	return speaker(t, func(s network.Stream) {
		buf := make([]byte, 1024)
		for {
			if _, err := s.Read(buf); err != nil {
				return
			}
		}
	})
}

func speaker(t *testing.T, handle func(network.Stream)) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	h.SetStreamHandler(blobProtocol, handle)
	t.Cleanup(func() { h.Close() })
	return h
}

func addressOf(h host.Host) string { return h.Addrs()[0].String() + "/p2p/" + h.ID().String() }

// open starts a host for a store of its own.
func open(t *testing.T, c peers.Config) (*Host, *ipfsstore.Store) {
	t.Helper()
	c.Home, c.Listen = t.TempDir(), []string{"/ip4/127.0.0.1/tcp/0"}
	s, err := ipfsstore.Open(filepath.Join(c.Home, "store"), ipfsstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h, err := New(s, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, s
}

// With a liar and one that never answers among the peers, every block comes,
// and is right; the liar is known after its first and not asked again.
func TestGet_amongLiars(t *testing.T) {
	honest, store := open(t, peers.Config{})
	files := t.TempDir()
	var want []cid.Cid
	for i := range 40 {
		data := fmt.Appendf(nil, "file %d", i)
		want = append(want, rawCID(t, data))
		if err := os.WriteFile(filepath.Join(files, fmt.Sprint(i)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := store.Add(t.Context(), files, ipfsstore.AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Share(t.Context(), a.Root, true); err != nil {
		t.Fatal(err)
	}
	bad, quiet := liar(t), mute(t)
	addrs := []string{addressOf(bad), addressOf(quiet), honest.Addresses()[0]}
	taker, _ := open(t, peers.Config{})
	if err := peers.Change(honest.gate.home, func(b *peers.Book) { b.Allow = []string{taker.ID()} }); err != nil {
		t.Fatal(err)
	}
	for _, address := range addrs {
		infos, err := addresses([]string{address})
		if err != nil {
			t.Fatal(err)
		}
		taker.gate.know(infos[0].ID)
		if err := taker.host.Connect(t.Context(), infos[0]); err != nil {
			t.Fatal(err)
		}
	}
	for _, info := range []host.Host{bad, quiet} { // what they speak is known when this answers
		if s, err := taker.host.NewStream(t.Context(), info.ID(), blobProtocol); err != nil {
			t.Fatal(err)
		} else {
			_ = s.Reset() // it was only to know
		}
	}
	var wg sync.WaitGroup
	for _, c := range want {
		wg.Go(func() {
			if block, err := taker.Get(t.Context(), peers.Blob, c); err != nil || !matches(c, block) {
				t.Errorf("block %s: %d bytes, %v", c, len(block), err)
			}
		})
	}
	wg.Wait()
	st, err := taker.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(st.Peers, func(p peers.Peer) bool { return p.ID == bad.ID().String() })
	if i < 0 || !st.Peers[i].Banned || st.Peers[i].Bytes > 0 {
		t.Errorf("peers %+v; want the liar banned", st.Peers)
	}
}
