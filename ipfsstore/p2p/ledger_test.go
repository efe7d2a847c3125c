package p2p

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestLedger_picksTheFaster(t *testing.T) {
	l := newLedger()
	both := []peer.ID{"slow", "fast"}
	for p, took := range map[peer.ID]time.Duration{"slow": time.Second, "fast": 10 * time.Millisecond} {
		if _, ok := l.pick([]peer.ID{p}); !ok {
			t.Fatal("nobody is picked")
		}
		l.book(p, served, 1<<20, took)
	}
	for range 10 { // even when it is busy, up to a point
		if p, _ := l.pick(both); p != "fast" {
			t.Errorf("%s is picked", p)
		}
	}
	for range 1000 {
		if p, _ := l.pick(both); p == "slow" {
			return
		}
	}
	t.Error("the slower one never helps, however busy the other is")
}

func TestLedger_leavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		one := []peer.ID{"one"}
		for range maxFails {
			if _, ok := l.pick(one); !ok {
				t.Fatal("it is left alone too soon")
			}
			l.book("one", failed, 0, time.Second)
		}
		if _, ok := l.pick(one); ok {
			t.Error("a peer that fails all the time is asked again at once")
		}
		time.Sleep(firstPause)
		if _, ok := l.pick(one); !ok {
			t.Error("it is not asked again after the pause")
		}
		l.ban("one")
		time.Sleep(longestPause)
		if _, ok := l.pick(one); ok {
			t.Error("a liar is asked again")
		}
	})
}

func TestLedger_ranks(t *testing.T) {
	l := newLedger()
	for p, rate := range map[peer.ID]int{"a": 1 << 20, "b": 100 << 20, "c": 10 << 20} {
		l.pick([]peer.ID{p})
		l.book(p, served, rate, time.Second)
	}
	entries, ranked := l.snapshot()
	if len(entries) != 3 || ranked[0] != "b" || ranked[1] != "c" || ranked[2] != "a" {
		t.Errorf("ranked %v", ranked)
	}
}
