// Package kubo is a source of blocks that a Kubo node of this machine has
// already. It asks over the node's RPC, for it does not know the address of the
// gateway, and only for what lies in the node's repository: it never makes the
// node search a network. What it gets is verified like everything else.
package kubo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/trustless"
)

// Options configure a source. The zero value finds the node by itself.
type Options struct {
	// Find says where the node's RPC is, as http://HOST:PORT, each time it is
	// asked; nil means [Find]. An error that is [ipfsstore.ErrNotFound] says
	// that no node runs, which is no trouble: it has no blocks then.
	Find func() (string, error)
	// Idle is how long the node may send not one byte before a request is
	// given up; 0 means 20 seconds.
	Idle time.Duration
	// Parallel is how many requests are in flight at once; 0 means 16.
	Parallel int
}

// New returns a source, of the tier "L3".
func New(name string, o Options) (ipfsstore.Source, error) {
	if o.Find == nil {
		o.Find = Find
	}
	return trustless.New(name, "http://localhost", trustless.Options{
		Parallel: o.Parallel, Idle: o.Idle, Tier: "L3",
		Client: &http.Client{Transport: &rpc{find: o.Find, next: transport()}},
	})
}

func transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil // the node is on this machine
	t.MaxIdleConnsPerHost = t.MaxIdleConns
	t.DisableCompression = true
	t.ReadBufferSize = 64 << 10
	return t
}

// An rpc turns a gateway's requests into those of Kubo's RPC, and its errors
// into those of a gateway.
type rpc struct {
	find func() (string, error)
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t *rpc) RoundTrip(r *http.Request) (*http.Response, error) {
	base, err := t.find()
	if err != nil {
		return nil, &ipfsstore.PhaseError{Phase: ipfsstore.PhaseFind, Err: err}
	}
	query := url.Values{"offline": {"true"}, "arg": {path.Base(r.URL.Path)}}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, base+"/api/v0/block/get?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusInternalServerError {
		return resp, err
	}
	return told(resp)
}

// maxTold bounds what is read of an error, in bytes.
const maxTold = 4 << 10

// told makes a response of an RPC's error: 404 for a block that is not there.
func told(resp *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTold))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	var e struct{ Message string }
	if json.Unmarshal(body, &e) != nil || e.Message == "" {
		e.Message = "error without a message"
	}
	if !strings.Contains(e.Message, "could not find") && !strings.Contains(e.Message, "not found") {
		return nil, fmt.Errorf("node answers %q", e.Message)
	}
	resp.StatusCode, resp.Status = http.StatusNotFound, "404 "+e.Message
	resp.Body = http.NoBody
	return resp, nil
}

// Find returns where the RPC of this user's node is, by the file "api" that a
// running node writes into $IPFS_PATH or ~/.ipfs. Where there is none, the error
// is [ipfsstore.ErrNotFound]. Nodes of other machines are refused.
func Find() (string, error) {
	dir := os.Getenv("IPFS_PATH")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%w: no node: %w", ipfsstore.ErrNotFound, err)
		}
		dir = filepath.Join(home, ".ipfs")
	}
	data, err := os.ReadFile(filepath.Join(dir, "api"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: no node runs", ipfsstore.ErrNotFound)
	}
	if err != nil {
		return "", err
	}
	return parseAddress(strings.TrimSpace(string(data)))
}

// parseAddress turns a multiaddr of TCP on this machine into a URL.
func parseAddress(text string) (string, error) {
	parts := strings.Split(strings.TrimPrefix(text, "/"), "/")
	if len(parts) < 4 || parts[0] != "ip4" && parts[0] != "ip6" || parts[2] != "tcp" {
		return "", fmt.Errorf("address %q of the node is not /ip4/ADDRESS/tcp/PORT", text)
	}
	addr, err := netip.ParseAddrPort(map[string]string{"ip4": parts[1], "ip6": "[" + parts[1] + "]"}[parts[0]] + ":" + parts[3])
	if err != nil {
		return "", fmt.Errorf("address of the node: %w", err)
	}
	switch ip := addr.Addr(); {
	case ip.IsLoopback():
	case ip.IsUnspecified() && ip.Is4():
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	case ip.IsUnspecified():
		addr = netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())
	default:
		return "", fmt.Errorf("address %q of the node is not of this machine", text)
	}
	return "http://" + addr.String(), nil
}
