package trustless

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ipfs/go-cid"
)

func TestIsPrivate(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "224.0.0.1",
		"0.0.0.0", "0.1.2.3", "100.64.0.1", "255.255.255.255", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1",
		"ff02::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::127.0.0.1",
		"64:ff9b::10.0.0.1", "64:ff9b:1::1",
	} {
		if !isPrivate(netip.MustParseAddr(a)) {
			t.Errorf("%s passes as public", a)
		}
	}
	for _, a := range []string{"1.1.1.1", "172.32.0.1", "100.128.0.1", "::ffff:1.1.1.1", "2606:4700::1111", "64:ff9b::1.1.1.1"} {
		if isPrivate(netip.MustParseAddr(a)) {
			t.Errorf("%s passes as private", a)
		}
	}
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		host, dialled string
		ok            bool
	}{
		{"gw.example", "1.1.1.1:80", true},
		{"gw.example", "127.0.0.1:80", false},
		{"gw.example", "[::ffff:192.168.0.1]:80", false},
		{"gw.example", "[fe80::1%lo]:80", false},
		{"127.0.0.1", "127.0.0.1:80", true},
		{"127.0.0.1", "127.0.0.2:80", false},
		{"::ffff:127.0.0.1", "127.0.0.1:80", true},
		{"192.168.0.7", "192.168.0.7:80", true},
		{"192.168.0.7", "127.0.0.1:80", false},
		{"127.1", "127.0.0.1:80", false},
		{"::1", "[::1]:80", true},
		{"localhost", "[::1]:80", true},
		{"LOCALHOST", "127.0.0.1:80", true},
		{"localhost", "10.0.0.1:80", false},
		{"localhost.example", "127.0.0.1:80", false},
	} {
		err := guard(c.host)("tcp", c.dialled, nil)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrPrivateAddress) {
			t.Errorf("%s at %s: %v", c.host, c.dialled, err)
		}
	}
}

// nameServer makes every name resolve to the address a.
func nameServer(t *testing.T, a [4]byte) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := resolved(buf[:n], a); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = before; _ = conn.Close(); <-ended })
}

// resolved answers a query of one question with one address, if IPv4 is asked for.
func resolved(query []byte, a [4]byte) []byte {
	const header = 12
	if len(query) < header {
		return nil
	}
	name := bytes.IndexByte(query[header:], 0)
	end := header + name + 5 // the name's end, its type and its class
	if name < 0 || end > len(query) {
		return nil
	}
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, query[header:end]...)
	if query[end-3] == 1 { // A
		reply[7] = 1
		reply = append(reply, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
		reply = append(reply, a[:]...)
	}
	return reply
}

// A name that resolves to this machine is refused when it is dialled, and so is
// a redirect to another private host; neither server is asked.
func TestSource_privateAddresses(t *testing.T) {
	var asked atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer inside.Close()
	nameServer(t, [4]byte{127, 0, 0, 1})
	_, port, _ := strings.Cut(strings.TrimPrefix(inside.URL, "http://"), ":")
	err := fetchFrom(t, "http://gateway.example:"+port)
	if !errors.Is(err, ErrPrivateAddress) || !strings.Contains(err.Error(), "gateway.example is 127.0.0.1; if that is meant, configure") {
		t.Errorf("resolved to a private address: %v", err)
	}
	for _, to := range []string{inside.URL, "http://127.0.0.2:" + port, "http://[::1]:" + port, "http://169.254.169.254/", "http://other.example:" + port} {
		gateway := httptest.NewServer(http.RedirectHandler(to, http.StatusFound))
		if err := fetchFrom(t, gateway.URL); err == nil || !strings.Contains(err.Error(), "redirect to another host") {
			t.Errorf("redirect to %s: %v", to, err)
		}
		gateway.Close()
	}
	if asked.Load() > 0 {
		t.Error("the inner server was asked")
	}
	if err := fetchFrom(t, inside.URL); err != nil || asked.Load() != 1 {
		t.Errorf("a gateway configured by its private address: %v", err)
	}
}

func fetchFrom(t *testing.T, base string) error {
	t.Helper()
	s, err := New("gw", base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := cid.MustParse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
	return s.Fetch(t.Context(), []cid.Cid{c}, func(cid.Cid, []byte) error { return nil })
}
