//go:build figures && linux

package p2p_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/internal/figures"
)

// A kuboNode is a daemon of the program in KUBO_BIN that runs until its test
// ends, on loopback, with a repository of its own and defaults otherwise.
type kuboNode struct {
	t   *testing.T
	env []string
}

// newKubo returns nil if KUBO_BIN names no program.
func newKubo(t *testing.T) *kuboNode {
	t.Helper()
	if os.Getenv("KUBO_BIN") == "" {
		return nil
	}
	n := &kuboNode{t, append(os.Environ(), "IPFS_TELEMETRY=off", "IPFS_PATH="+filepath.Join(t.TempDir(), "repo"))}
	n.run("init", "--profile=test,unixfs-v1-2025") // test: no bootstrap, no mdns
	n.run("config", "Routing.Type", "none")
	n.run("config", "--json", "Swarm.RelayClient.Enabled", "false")
	n.run("config", "--json", "Swarm.EnableHolePunching", "false")
	n.start()
	return n
}

func (n *kuboNode) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Getenv("KUBO_BIN"), args...)
	cmd.Env, cmd.Stderr = n.env, n.t.Output()
	return cmd
}

func (n *kuboNode) run(args ...string) string {
	n.t.Helper()
	out, err := n.command(n.t.Context(), args...).Output()
	if err != nil {
		n.t.Fatalf("%v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

func (n *kuboNode) start() {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := n.command(ctx, "daemon")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { cancel(); _ = cmd.Wait() }) // it was killed
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Daemon is ready") {
			return
		}
	}
	n.t.Fatal("the daemon did not get ready")
}

// address is where the node listens by TCP.
func (n *kuboNode) address() string {
	n.t.Helper()
	all := strings.Fields(n.run("id", "-f", "<addrs>"))
	i := slices.IndexFunc(all, func(a string) bool {
		return strings.HasPrefix(a, "/ip4/127.0.0.1/tcp/") && !strings.Contains(a, "/ws")
	})
	if i < 0 {
		n.t.Fatalf("no address of %q is on loopback", all)
	}
	return all[i]
}

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
