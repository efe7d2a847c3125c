//go:build figures && linux

package p2p_test

import (
	"fmt"
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/internal/figures"
)

// adding returns a node that has the file, whose CID is root; nil if there is no
// Kubo.
func adding(t *testing.T, file string, root cid.Cid) *kuboNode {
	t.Helper()
	n := newKubo(t)
	if n == nil {
		return nil
	}
	if got := n.run("add", "-Q", file); got != root.String() {
		t.Fatalf("Kubo says %s, want %s", got, root)
	}
	return n
}

// kuboFetches is how long a new Kubo takes to pin a root that the node at an
// address has.
func kuboFetches(t *testing.T, from string, root cid.Cid) (took float64) {
	t.Helper()
	t.Run("kubo", func(t *testing.T) { // which ends it, and removes its files
		n := newKubo(t)
		n.run("swarm", "connect", from)
		took = figures.Seconds(t, func() error { return n.command(t.Context(), "pin", "add", root.String()).Run() })
	})
	return took
}

// besideKubo prints how much faster we were than Kubo; took is empty if there is
// none.
func besideKubo(id string, took, ours []float64, goal float64) {
	if len(took) == 0 {
		figures.Absent(id, "ratio_to_kubo", fmt.Sprintf(">=%g", goal), "no_KUBO_BIN")
		return
	}
	figures.Note("%s Kubo from Kubo %.2f s, ours %.2f s", id, figures.Median(took), figures.Median(ours))
	figures.AtLeast(id, figures.Median(took)/figures.Median(ours), "ratio_to_kubo", goal)
}
