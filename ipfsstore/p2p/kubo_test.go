package p2p_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
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
	return strings.TrimSpace(string(n.output(args...)))
}

func (n *kuboNode) output(args ...string) []byte {
	n.t.Helper()
	out, err := n.command(n.t.Context(), args...).Output()
	if err != nil {
		n.t.Fatalf("%v: %v", args, err)
	}
	return out
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

// A real Kubo gets a shared model from ours by bitswap and by CAR, and ours a file
// from it.
func TestInterop_kubo(t *testing.T) {
	theirs := newKubo(t)
	if theirs == nil {
		t.Skip("KUBO_BIN names no Kubo")
	}
	ours := newNode(t)
	ours.config.Allow = []string{theirs.run("id", "-f", "<id>")}
	ours.serve()
	root := ours.addModel(true)
	theirs.run("swarm", "connect", ours.address())
	if got := theirs.output("cat", root+"/onnx/model.onnx"); !bytes.Equal(got, modelFiles()["onnx/model.onnx"]) {
		t.Errorf("Kubo got %d bytes that are not the file's", len(got))
	}
	theirs.run("pin", "add", root)

	file, want := filepath.Join(t.TempDir(), "theirs"), stream("theirs", 5<<20+3)
	if err := os.WriteFile(file, want, 0o600); err != nil {
		t.Fatal(err)
	}
	added := theirs.run("add", "-Q", file)
	if err := ours.client.Connect(t.Context(), theirs.address()); err != nil {
		t.Fatal(err)
	}
	f, err := ours.fetch(t.Context(), peers.Bitswap, added)
	if err != nil {
		t.Fatal(err)
	}
	sameFile(t, f, want)
}

// CARs of ours are Kubo's to import, and its are ours.
func TestInterop_kuboCAR(t *testing.T) {
	theirs := newKubo(t)
	if theirs == nil {
		t.Skip("KUBO_BIN names no Kubo")
	}
	ours := newNode(t)
	root, car := ours.addModel(false), filepath.Join(t.TempDir(), "ours.car")
	var buf bytes.Buffer
	if err := ours.store.Export(t.Context(), root, &buf); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(car, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs.run("dag", "import", car)
	if got := theirs.output("cat", "--offline", root+"/onnx/model.onnx"); !bytes.Equal(got, modelFiles()["onnx/model.onnx"]) {
		t.Errorf("Kubo has %d bytes that are not the file's", len(got))
	}
	s, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, err := s.Import(t.Context(), bytes.NewReader(theirs.output("dag", "export", "--progress=false", root)), ipfsstore.AddOptions{})
	if err != nil || a.Root != root {
		t.Fatalf("%+v, %v", a, err)
	}
	sameModel(t, ipfsstore.Fetched{Artifact: a})
}
