package trustless

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ErrPrivateAddress means that a gateway led to an address inside of this
// machine or its network that its URL does not spell out.
var ErrPrivateAddress = errors.New("gateway leads to a private address")

// inner are the networks that are not the internet's, beyond those that
// [netip.Addr] knows by name.
var inner = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),      // this network
	netip.MustParsePrefix("100.64.0.0/10"),  // behind a carrier's translation
	netip.MustParsePrefix("192.0.0.0/24"),   // protocols
	netip.MustParsePrefix("198.18.0.0/15"),  // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),    // reserved, broadcast
	netip.MustParsePrefix("::/96"),          // IPv4-compatible
	netip.MustParsePrefix("64:ff9b:1::/48"), // translation within a network
	netip.MustParsePrefix("fec0::/10"),      // site-local
}

// nat64 holds IPv4 addresses in its last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// isPrivate reports whether a is not an address of one host on the internet.
func isPrivate(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return true
	}
	for _, p := range inner {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// dialer returns what connects to the gateway at base. Addresses are judged
// when they are dialled, so that no later answer of a name server counts. A
// proxy of the environment is its owner's choice and may be anywhere.
func dialer(base *url.URL) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	guarded := plain
	guarded.Control = guard(base.Hostname())
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: base})
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, _, _ := net.SplitHostPort(addr); err == nil && proxy != nil && host == proxy.Hostname() {
			return plain.DialContext(ctx, network, addr)
		}
		return guarded.DialContext(ctx, network, addr)
	}
}

// guard refuses private addresses, except what host itself spells out: an
// address, or localhost.
func guard(host string) func(network, address string, _ syscall.RawConn) error {
	named, _ := netip.ParseAddr(host) // invalid if it is a name, and so equal to no address
	host = strings.ToLower(host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	return func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		a := ap.Addr().Unmap()
		if !isPrivate(a) || a == named.Unmap() || local && a.IsLoopback() {
			return nil
		}
		return fmt.Errorf("%w: %s is %s; if that is meant, configure the gateway with this address", ErrPrivateAddress, host, a)
	}
}
