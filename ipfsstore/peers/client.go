package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/trustless"
)

// Options configure a [Client].
type Options struct {
	// Config is what a host is told that this client starts. One that runs
	// already keeps its own.
	Config Config
	// Command is the host's program and its arguments.
	Command []string
	// Idle is how long the host may send not one byte of a block before a
	// request is given up; 0 means 20 seconds.
	Idle time.Duration
	// Logger receives what is worth knowing but is no error; nil is silence.
	Logger *slog.Logger
}

// ErrNoHost says that no host runs and none could be started.
var ErrNoHost = errors.New("no p2p host")

const (
	parallel     = 64 // blocks under way of each source
	startTimeout = 15 * time.Second
	joinPause    = 25 * time.Millisecond
	firstBackOff = time.Second
	mostBackOff  = time.Minute
	maxAnswer    = 4 << 20
	maxTold      = 4 << 10
)

// A Client uses the host of a home. It may be used concurrently. It does
// nothing until it is first needed.
type Client struct {
	o      Options
	log    *slog.Logger
	client *http.Client // of the sources and of all short requests

	joining sync.Mutex // held while a host is joined or started

	mu      sync.Mutex // guards all below
	hold    *hold      // nil: no host was joined, or it is gone
	closed  bool
	fails   int
	retryAt time.Time
	last    error
}

// A hold is a connection that keeps a host alive.
type hold struct {
	cancel context.CancelFunc
	over   chan struct{} // closed when the host or the hold is gone
}

// New returns a client. Close lets go of the host.
func New(o Options) *Client {
	c := &Client{o: o, log: o.Logger}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.client = &http.Client{Transport: telling{&http.Transport{
		DialContext:  func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dialHost(ctx) },
		MaxIdleConns: 2 * parallel, MaxIdleConnsPerHost: 2 * parallel, IdleConnTimeout: time.Minute,
		DisableCompression: true, ReadBufferSize: 64 << 10,
	}}}
	return c
}

// telling makes an error of what a host says of a block that it could not get.
type telling struct{ *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (t telling) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusBadGateway {
		return resp, err
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxTold))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	err = errors.New(strings.TrimSpace(string(said)))
	if phase := resp.Header.Get(PhaseHeader); phase != "" {
		err = &ipfsstore.PhaseError{Phase: ipfsstore.Phase(phase), Err: err}
	}
	return nil, err
}

// Sources returns the sources that the host has: other hosts first, then
// whoever speaks bitswap.
func (c *Client) Sources() ([]ipfsstore.Source, error) {
	var out []ipfsstore.Source
	for _, name := range []string{Blob, Bitswap} {
		src, err := trustless.New(name, "http://p2p/"+name, trustless.Options{Parallel: parallel, Idle: c.o.Idle, Timeout: 2 * time.Minute, Client: c.client})
		if err != nil {
			return nil, err
		}
		out = append(out, src)
	}
	return out, nil
}

// Join makes sure that a host runs and stays: it joins the one of the home, or
// starts one. If that failed lately, its error is that of then.
func (c *Client) Join(ctx context.Context) error {
	if c.held() {
		return nil
	}
	c.joining.Lock()
	defer c.joining.Unlock()
	if c.held() {
		return nil
	}
	if err := c.mayTry(); err != nil {
		return err
	}
	h, err := c.joinOrStart(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil && c.closed:
		h.cancel()
		return net.ErrClosed
	case err == nil:
		c.hold, c.fails = h, 0
	case ctx.Err() == nil: // the caller's hurry is no fault of the host's
		c.fails++
		c.retryAt, c.last = time.Now().Add(min(mostBackOff, firstBackOff<<min(c.fails-1, 6))), err
	}
	return err
}

// held reports whether a host is held that is not gone.
func (c *Client) held() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hold == nil {
		return false
	}
	select {
	case <-c.hold.over:
		return false
	default:
		return true
	}
}

func (c *Client) mayTry() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	if c.fails > 0 && time.Now().Before(c.retryAt) {
		return c.last
	}
	return nil
}

// joinOrStart joins the host that is there, or starts one; when somebody else
// is faster, it joins theirs.
func (c *Client) joinOrStart(ctx context.Context) (*hold, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		h, err := c.take(ctx)
		if err == nil {
			return h, nil
		}
		if err := c.start(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoHost, err)
		}
		if !pause(ctx, joinPause) {
			return nil, fmt.Errorf("%w: %w", ErrNoHost, errors.Join(ctx.Err(), err))
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// take takes hold of the host that is there.
func (c *Client) take(ctx context.Context) (*hold, error) {
	own, cancel := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, cancel)
	resp, err := c.askHold(own) //nolint:bodyclose,contextcheck // the hold closes it, and outlives the call
	if err != nil {
		cancel()
		return nil, err
	}
	if !stop() {
		resp.Body.Close()
		return nil, ctx.Err()
	}
	h := &hold{cancel: cancel, over: make(chan struct{})}
	go func() { // ends with the host, or when the hold is let go
		defer close(h.over)
		_, _ = io.Copy(io.Discard, resp.Body) // it is over, however it ends
		resp.Body.Close()
	}()
	return h, nil
}

func (c *Client) askHold(ctx context.Context) (*http.Response, error) {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://p2p"+RouteHold, nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("the host answers %s", resp.Status)
	}
	return resp, nil
}

// dialHost connects to the host, which it has started if needed.
func (c *Client) dialHost(ctx context.Context) (net.Conn, error) {
	if err := c.Join(ctx); err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx)
	if err == nil || ctx.Err() != nil {
		return conn, err
	}
	c.letGo() // it died, and the hold does not know yet
	if err := c.Join(ctx); err != nil {
		return nil, err
	}
	return c.dial(ctx)
}

// letGo ends the hold, if there is one.
func (c *Client) letGo() {
	c.mu.Lock()
	h := c.hold
	c.hold = nil
	c.mu.Unlock()
	if h != nil {
		h.cancel()
		<-h.over
	}
}

// Keep keeps a host running until ctx is done: it starts another when one has
// died.
func (c *Client) Keep(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.Join(ctx); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "there is no host for peers", "error", err)
		}
		c.mu.Lock()
		h, wait := c.hold, time.Until(c.retryAt)
		c.mu.Unlock()
		if h == nil {
			pause(ctx, max(wait, firstBackOff))
			continue
		}
		select {
		case <-h.over:
		case <-ctx.Done():
		}
	}
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	path, err := Socket(c.o.Config.Home)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

// Status asks the host how it is. Start says that one is to be started if none
// runs; else that is [ErrNoHost].
func (c *Client) Status(ctx context.Context, start bool) (Status, error) {
	var st Status
	if !start && !c.held() {
		h, err := c.take(ctx)
		if err != nil {
			return st, fmt.Errorf("%w runs", ErrNoHost)
		}
		c.mu.Lock()
		c.hold = h
		c.mu.Unlock()
	}
	body, err := c.do(ctx, http.MethodGet, RouteStatus, "")
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(body, &st)
}

// Connect has the host connect to the peer at a multiaddr with /p2p/ID, and
// make sure that the peer lets it in.
func (c *Client) Connect(ctx context.Context, address string) error {
	_, err := c.do(ctx, http.MethodPost, RouteConnect, address)
	return err
}

// Announce has the host tell the table what is shared, now.
func (c *Client) Announce(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodPost, RouteAnnounce, "")
	return err
}

func (c *Client) do(ctx context.Context, method, route, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://p2p"+route, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	resp, err := c.client.Do(req)
	if u, ok := errors.AsType[*url.Error](err); ok {
		return nil, u.Err // the URL says nothing
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(answer)))
	}
	return answer, err
}

// Close lets go of the host, which ends soon after if nobody else holds it.
// Fetches in progress are the caller's to end first.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.client.CloseIdleConnections()
	c.letGo()
	return nil
}
