package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/internal/phased"
)

const (
	maxRedirects = 8
	agent        = "ipfs-accelerate"
)

// do sends a GET and turns refusals into the errors that callers branch on.
func (h *Origin) do(ctx context.Context, at string, header http.Header) (*http.Response, error) {
	if h.o.Offline {
		return nil, fmt.Errorf("%w: HF_HUB_OFFLINE is set", ipfsstore.ErrOffline)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	req.Header.Set("User-Agent", agent)
	if h.o.Token != nil {
		if t := h.o.Token(); t != "" {
			req.Header.Set("Authorization", "Bearer "+t)
		}
	}
	resp, err := phased.Do(h.client, req, h.o.Idle)
	if err != nil {
		return nil, fmt.Errorf("ask the hub: %w", scrub(err))
	}
	if err := statusError(resp); err != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// scrub takes the query out of the URL in an error: that of a download is signed.
func scrub(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		if at, _, cut := strings.Cut(u.URL, "?"); cut {
			u.URL = at
		}
	}
	return err
}

// statusError is what an answer other than success means.
func statusError(resp *http.Response) error {
	said := resp.Header.Get("X-Error-Message")
	if said == "" {
		said = resp.Status
	}
	said = fmt.Sprintf("the hub answers: %.300s", said)
	switch code := resp.StatusCode; {
	case code == http.StatusOK, code == http.StatusPartialContent:
		return nil
	case code == http.StatusUnauthorized && strings.EqualFold(resp.Header.Get("X-Error-Code"), "RepoNotFound"):
		return fmt.Errorf("%w, or only for some: %s", ipfsstore.ErrNotFound, said) // it does not tell strangers which
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("%w: %s", ipfsstore.ErrDenied, said)
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("%w: %s", ipfsstore.ErrNotFound, said)
	}
	return errors.New(said)
}

// newClient makes a client that tells the token to the hub only.
func newClient(base *url.URL) *http.Client {
	d := &dialer{hub: hostPort(base)}
	proxy := http.ProxyFromEnvironment
	if p, err := proxy(&http.Request{URL: base}); err == nil && p != nil {
		d.proxy = hostPort(p)
	}
	return &http.Client{
		CheckRedirect: func(r *http.Request, via []*http.Request) error { return redirect(base, r, via) },
		Transport: &http.Transport{
			Proxy: proxy, DialContext: d.dial, TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, DisableCompression: true, ReadBufferSize: 64 << 10,
		},
	}
}

// redirect lets the hub send a download on, but not the token with it, nor from
// an encrypted connection to an open one.
func redirect(base *url.URL, r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if base.Scheme == "https" && r.URL.Scheme != "https" {
		return fmt.Errorf("redirect from https to %s", r.URL.Scheme)
	}
	if r.URL.Host != base.Host || r.URL.Scheme != base.Scheme {
		r.Header.Del("Authorization")
		r.Header.Del("Referer")
	}
	return nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// A dialer keeps a hub on the open network from sending us to addresses of this
// one. A hub that is on this network itself may.
type dialer struct {
	hub, proxy string
	near       atomic.Bool // the hub was found at such an address
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nd := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if addr != d.hub && addr != d.proxy && !d.near.Load() {
		nd.Control = func(_, address string, _ syscall.RawConn) error {
			if private(address) {
				return fmt.Errorf("the hub redirects to %s, an address of a local network", address)
			}
			return nil
		}
	}
	conn, err := nd.DialContext(ctx, network, addr)
	if err == nil && addr == d.hub && private(conn.RemoteAddr().String()) {
		d.near.Store(true)
	}
	return conn, err
}

// private reports whether an address is not one of the open network.
func private(address string) bool {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return true
	}
	ip := ap.Addr().Unmap()
	return !ip.IsGlobalUnicast() || ip.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(ip)
}
