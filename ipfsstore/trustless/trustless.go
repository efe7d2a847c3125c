// Package trustless is a source of blocks over HTTP: any trustless gateway, such
// as another store's, a Kubo node's or a public one. It asks for one raw block
// at a time, many at once, and believes nothing it gets.
//
// There is no default gateway: each is named in configuration.
package trustless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/internal/phased"
)

// Options configure a [Source]. The zero value will do.
type Options struct {
	// Parallel is how many requests are in flight at once; 0 means 16.
	Parallel int
	// Timeout is the longest that one request may take; 0 means a minute, or
	// thrice Idle if that is longer.
	Timeout time.Duration
	// Idle is how long the gateway may send not one byte before a request is
	// given up; 0 means 20 seconds. A connection gets at least 30 seconds.
	Idle time.Duration
	// Tier is "L3" for a node on this machine; "" means "L4".
	Tier string
	// Client sends the requests; nil means one of the source's own. Its
	// redirect policy is replaced.
	Client *http.Client
}

const (
	maxBlock        = 2 << 20
	defaultParallel = 16
	defaultTimeout  = time.Minute
	defaultIdle     = 20 * time.Second
	maxRedirects    = 3
	blockType       = "application/vnd.ipld.raw"
)

// A Source fetches blocks from one gateway.
type Source struct {
	name, base string
	o          Options
	client     *http.Client
	slots      chan struct{} // one for each request in flight
}

var (
	_ ipfsstore.Source   = (*Source)(nil)
	_ ipfsstore.Tiered   = (*Source)(nil)
	_ ipfsstore.Parallel = (*Source)(nil)
)

// New returns a source for the gateway at baseURL, which is http or https, with
// or without a path; /ipfs/CID is appended to it.
func New(name, baseURL string, o Options) (*Source, error) {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("gateway %q: %w", name, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("gateway %q: %q is not an http or https URL", name, u.Redacted())
	}
	if name == "" {
		return nil, fmt.Errorf("gateway %s has no name", u.Redacted())
	}
	if o.Parallel <= 0 {
		o.Parallel = defaultParallel
	}
	if o.Idle <= 0 {
		o.Idle = defaultIdle
	}
	if o.Timeout <= 0 {
		o.Timeout = max(defaultTimeout, 3*o.Idle)
	}
	if o.Tier == "" {
		o.Tier = "L4"
	}
	s := &Source{name: name, base: strings.TrimRight(baseURL, "/"), o: o, slots: make(chan struct{}, o.Parallel)}
	s.client = s.newClient(u)
	return s, nil
}

func (s *Source) newClient(base *url.URL) *http.Client {
	c := http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer(base),
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        s.o.Parallel,
		MaxIdleConnsPerHost: s.o.Parallel,
		IdleConnTimeout:     time.Minute,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // blocks hardly shrink, and a bomb must not grow
		ReadBufferSize:      64 << 10,
	}}
	if s.o.Client != nil {
		c = *s.o.Client
	}
	c.CheckRedirect = sameHost
	return &c
}

// sameHost follows redirects within a host only: a gateway may not send us to
// places its owner did not configure.
func sameHost(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
		return fmt.Errorf("redirect to another host, %s; if that is meant, configure the gateway with it", r.URL.Host)
	}
	return nil
}

// Name implements [ipfsstore.Source].
func (s *Source) Name() string { return s.name }

// Tier implements [ipfsstore.Tiered].
func (s *Source) Tier() string { return s.o.Tier }

// Parallel implements [ipfsstore.Parallel].
func (s *Source) Parallel() int { return s.o.Parallel }

// Fetch implements [ipfsstore.Source]. It calls sink from several goroutines.
func (s *Source) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	var mu sync.Mutex
	var missing error // guarded by mu
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(s.o.Parallel)
	for _, c := range want {
		g.Go(func() error {
			err := s.fetchOne(ctx, c, sink)
			if errors.Is(err, ipfsstore.ErrNotFound) {
				mu.Lock()
				defer mu.Unlock()
				missing = err
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return missing
}

// buffers holds buffers for one block and the byte that would be too much.
var buffers = sync.Pool{New: func() any { b := make([]byte, maxBlock+1); return &b }}

func (s *Source) fetchOne(ctx context.Context, c cid.Cid, sink func(cid.Cid, []byte) error) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	buf := buffers.Get().(*[]byte) // the pool holds nothing else
	defer buffers.Put(buf)
	n, err := s.get(ctx, c, *buf)
	if err != nil {
		return fmt.Errorf("get %s: %w", c, err)
	}
	return sink(c, (*buf)[:n])
}

// get reads the block of c into buf.
func (s *Source) get(ctx context.Context, c cid.Cid, buf []byte) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeout, &ipfsstore.PhaseError{Phase: ipfsstore.PhaseStalled, Err: errSlow})
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/ipfs/"+c.String()+"?format=raw", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", blockType)
	resp, err := phased.Do(s.client, req, s.o.Idle)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if err := statusError(resp); err != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
		return 0, err
	}
	n, err := io.ReadFull(resp.Body, buf)
	switch {
	case err == nil:
		return 0, fmt.Errorf("block of more than %d bytes: %w", maxBlock, ipfsstore.ErrTooLarge)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && (resp.ContentLength < 0 || int64(n) == resp.ContentLength):
		return n, nil
	}
	return 0, err
}

var errSlow = errors.New("the block is not whole in time")

func statusError(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound, http.StatusGone, http.StatusPreconditionFailed:
		return fmt.Errorf("gateway answers %s: %w", resp.Status, ipfsstore.ErrNotFound)
	}
	return fmt.Errorf("gateway answers %s", resp.Status)
}
