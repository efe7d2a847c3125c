package peers_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

// A wire is two network namespaces with a cable between them: two machines, as
// far as their networks know.
type wire struct{ left, right string }

const (
	leftAddress  = "10.86.75.1"
	rightAddress = "10.86.75.2"
)

// newWire makes the namespaces, or skips the test where that is not allowed.
func newWire(t *testing.T) wire {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal("no program ip:", err)
	} else if err != nil || os.Getuid() != 0 {
		t.Skipf("two network namespaces need root and the program ip: %v", err)
	}
	w := wire{fmt.Sprintf("peers%da", os.Getpid()), fmt.Sprintf("peers%db", os.Getpid())}
	if out, err := exec.Command("ip", "netns", "add", w.left).CombinedOutput(); err != nil {
		t.Skipf("there are no network namespaces here: %v: %s", err, out)
	}
	t.Cleanup(func() { ip(t, "netns", "del", w.left) })
	ip(t, "netns", "add", w.right)
	t.Cleanup(func() { ip(t, "netns", "del", w.right) })
	ip(t, "link", "add", "eth0", "netns", w.left, "type", "veth", "peer", "name", "eth0", "netns", w.right)
	for name, address := range map[string]string{w.left: leftAddress, w.right: rightAddress} {
		ip(t, "-n", name, "address", "add", address+"/24", "dev", "eth0")
		ip(t, "-n", name, "link", "set", "lo", "up")
		ip(t, "-n", name, "link", "set", "eth0", "up")
		ip(t, "-n", name, "route", "add", "default", "dev", "eth0")
	}
	return w
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// in is a client whose host runs in a namespace. Sockets know no namespaces.
func in(t *testing.T, namespace string, c peers.Config) *peers.Client {
	t.Helper()
	return newClient(t, c, "ip", "netns", "exec", namespace, program)
}

// idOf is the id of a home: its host runs for a moment.
func idOf(t *testing.T, c peers.Config) string {
	t.Helper()
	c.MDNS, c.Peers, c.Allow, c.Listen = false, nil, nil, nil
	client := newClient(t, c)
	id := status(t, client).ID
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	over(t, c.Home)
	return id
}

// Two machines find each other, by an address or by multicast, and exchange a
// model. A third that is on no list finds them too, and gets nothing.
func TestTwoNamespaces(t *testing.T) {
	for _, how := range []string{"static", "mdns"} {
		t.Run(how, func(t *testing.T) {
			w := newWire(t)
			giver, taker, stranger := config(shortHome(t)), config(shortHome(t)), config(shortHome(t))
			for _, c := range []*peers.Config{&giver, &taker, &stranger} {
				c.Listen, c.MDNS = []string{"/ip4/0.0.0.0/tcp/4101"}, how == "mdns"
			}
			stranger.Listen = []string{"/ip4/0.0.0.0/tcp/4102"}
			giver.Allow = []string{idOf(t, taker)}
			root := share(t, giver, make([]byte, 3<<20+1))
			from := status(t, in(t, w.left, giver))
			for _, c := range []*peers.Config{&taker, &stranger} {
				c.Allow = []string{from.ID}
				if how == "static" {
					c.Peers = []string{"/ip4/" + leftAddress + "/tcp/4101/p2p/" + from.ID}
				}
			}
			if f, err := fetch(t, in(t, w.right, stranger), root); err == nil {
				t.Errorf("the stranger got %d bytes", f.Bytes)
			}
			f, err := fetch(t, in(t, w.right, taker), root)
			if err != nil || f.Bytes != 3<<20+1 || f.Level != "L4" {
				t.Fatalf("%d bytes at %s: %v", f.Bytes, f.Level, err)
			}
		})
	}
}
