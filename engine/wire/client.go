package wire

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// ClientOptions say what a client allows. The zero value works.
type ClientOptions struct {
	MaxPayload int64 // bytes of tensors in a frame that the server may send; 0 means DefaultMaxPayload

	// Shared is memory that the server has too, as [ServeOptions.Shared],
	// for large payloads. Once Close has returned it is not used any more.
	Shared []byte

	// CancelGrace is how long the server may take to answer a request that
	// was cancelled, before the client breaks the connection off; 0 means
	// that it may take forever.
	CancelGrace time.Duration

	// Progress is told how far sessions being opened, and runs, have come.
	// It must not block. It may be nil.
	Progress func(engine.Progress)
}

// errHung is why a client breaks off.
var errHung = errors.New("a cancelled request was not answered")

// A Client is one end of a connection to a provider elsewhere. Its methods may
// be called concurrently.
type Client struct {
	conn    io.ReadWriteCloser
	options ClientOptions
	w       *writer
	hello   helloHeader
	runs    chan struct{}  // holds a token per run in work
	wait    sync.WaitGroup // the reader and the senders of cancels
	done    chan struct{}  // closed when the connection is broken or closed
	sharing sync.RWMutex   // held for reading while a request is put in shared memory

	mu      sync.Mutex // guards what follows
	err     error      // why done is closed
	last    uint64     // newest id
	pending map[uint64]*call
	space   sharedSpace // what of the shared memory is in use
}

// A call is a request that waits for its answer.
type call struct {
	op      op
	answer  chan answer // has room for the one answer
	block   block       // of shared memory; of size 0 if it has none
	givenUp bool        // nobody waits any more
	timer   *time.Timer // ends the grace of a call that was given up; or nil
}

type answer struct {
	h       *header
	tensors engine.Tensors
	n       int64 // bytes of payload
}

// NewClient greets the server at the other end of conn, which the client owns
// from now on. It fails with ErrRestartNeeded if that speaks another version,
// and with what keeps the provider there from working.
func NewClient(ctx context.Context, conn io.ReadWriteCloser, o ClientOptions) (*Client, error) {
	if o.MaxPayload == 0 {
		o.MaxPayload = DefaultMaxPayload
	}
	c := &Client{
		conn: conn, options: o, w: newWriter(conn),
		done: make(chan struct{}), pending: map[uint64]*call{}, space: sharedSpace{size: int64(len(o.Shared))},
	}
	c.wait.Go(c.read)
	if err := c.greet(ctx); err != nil {
		c.Close() // err says more
		return nil, err
	}
	return c, nil
}

func (c *Client) greet(ctx context.Context) error {
	a, err := c.do(ctx, "hello", request{h: &header{Op: opHello, Version: Version}})
	if err != nil {
		return err
	}
	if a.h.Version != Version {
		return versionError(a.h.Version)
	}
	if a.h.Hello == nil || a.h.Hello.MaxPayload <= 0 || a.h.Hello.MaxRuns <= 0 {
		return protocolError("the answer to hello is incomplete")
	}
	c.hello = *a.h.Hello
	c.runs = make(chan struct{}, min(c.hello.MaxRuns, 1<<16))
	return nil
}

// Provider returns the name of the provider at the other end.
func (c *Client) Provider() string { return c.hello.Provider }

// Devices returns the devices that the provider had when it was greeted.
func (c *Client) Devices() []hardware.Device { return slices.Clone(c.hello.devices()) }

// Done returns a channel that is closed when the connection is.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the connection and all that is in work, and waits for the
// client's goroutines.
func (c *Client) Close() error {
	c.breakOff(errClosed)
	c.wait.Wait()
	c.sharing.Lock() // nothing is put there afterwards
	defer c.sharing.Unlock()
	return nil
}

// breakOff ends the connection because of err. Only the first counts.
func (c *Client) breakOff(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	c.conn.Close() // nothing more is sent
	for id, call := range c.pending {
		c.forget(id, call)
	}
}

// forget drops a call; c.mu is held.
func (c *Client) forget(id uint64, call *call) {
	if call.timer != nil {
		call.timer.Stop()
	}
	delete(c.pending, id)
	c.space.put(call.block)
	if call.op == opRun {
		<-c.runs
	}
}

// read hands what the server sends to those who wait for it.
func (c *Client) read() {
	r := newReader(c.conn, c.options.MaxPayload, c.options.Shared)
	for {
		h, n, err := r.header()
		if err == nil {
			err = c.receive(r, h, n)
		}
		if err != nil {
			c.breakOff(err)
			return
		}
	}
}

func (c *Client) receive(r *reader, h *header, n int64) error {
	payload := alignedBuffer(n)
	switch {
	case h.Shared == nil:
		if err := r.payload(payload); err != nil {
			return err
		}
	case c.blockOf(h.ID).holds(h.Shared.At, n):
		copy(payload, r.sharedPayload(h)) // the block is for another run next
	default:
		return protocolError("an answer to %d lies outside the memory that is for it", h.ID)
	}
	switch h.Op {
	case opProgress:
		if c.options.Progress != nil && h.Progress != nil {
			c.options.Progress(*h.Progress)
		}
		return nil
	case opResult, opError:
		return c.deliver(h, payload)
	}
	return protocolError("%q is no answer", h.Op)
}

// blockOf returns the shared memory that is for a call.
func (c *Client) blockOf(id uint64) block {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call := c.pending[id]; call != nil {
		return call.block
	}
	return block{}
}

func (c *Client) deliver(h *header, payload []byte) error {
	if h.Op == opError && h.Error == nil {
		return protocolError("an error does not say which")
	}
	if h.ID == 0 && h.Error != nil {
		return h.Error.err()
	}
	tensors, err := tensorsOf(h.Tensors, payload)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.pending[h.ID]
	if call == nil {
		return protocolError("an answer to %d, which was not asked", h.ID)
	}
	c.forget(h.ID, call)
	call.answer <- answer{h, tensors, int64(len(payload))}
	if call.givenUp && call.op == opOpen && h.Op == opResult {
		orphan := &session{client: c, number: h.Session}
		c.wait.Go(func() { orphan.Close() }) // if it fails, the connection ends and the session with it
	}
	return nil
}

// A request is what to ask.
type request struct {
	h    *header
	in   engine.Tensors
	room int64         // bytes that the payload of the answer is expected to take
	near time.Duration // how long the answer is expected after the request was sent; 0 is not at all
}

// do sends a request and waits for its answer. When ctx is done it gives the
// request up and returns; the server is told.
func (c *Client) do(ctx context.Context, what string, r request) (answer, error) {
	if ctx.Err() != nil {
		return answer{}, contextError(ctx, what)
	}
	f, err := newFrame(r.h, r.in, c.hello.MaxPayload)
	if err != nil {
		return answer{}, err
	}
	call, err := c.add(ctx, what, r.h)
	if err != nil {
		return answer{}, err
	}
	c.share(&f, call, r.room)
	if err := c.w.write(ctx, f); err != nil {
		return answer{}, c.writeFailed(ctx, what, r.h.ID, err)
	}
	c.expect(r.near)
	select {
	case a := <-call.answer:
		return a.check()
	case <-c.done:
		return c.lateAnswer(call)
	case <-ctx.Done():
		c.giveUp(r.h.ID) //nolint:contextcheck // the cancel is sent because ctx is done
		return answer{}, contextError(ctx, what)
	}
}

// add gives h an id and awaits its answer. A run first waits until the server
// has room for it.
func (c *Client) add(ctx context.Context, what string, h *header) (*call, error) {
	if h.Op == opRun {
		select {
		case c.runs <- struct{}{}:
		case <-ctx.Done():
			return nil, contextError(ctx, what)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		if h.Op == opRun {
			<-c.runs
		}
		return nil, c.broken()
	}
	c.last++
	h.ID = c.last
	call := &call{op: h.Op, answer: make(chan answer, 1)}
	c.pending[h.ID] = call
	return call, nil
}

// share puts the payload of f in shared memory, if it is large and there is
// room for it and the answer.
func (c *Client) share(f *frame, call *call, room int64) {
	if max(f.n, room) < sharedMin {
		return
	}
	c.sharing.RLock()
	defer c.sharing.RUnlock()
	c.mu.Lock()
	ok := c.err == nil
	if ok {
		call.block, ok = c.space.get(f.n + pad(f.n) + room)
	}
	c.mu.Unlock()
	if ok {
		f.share(c.options.Shared, call.block)
	}
}

// expect tells the connection that the answer to the only request in work is
// expected within d. Where others are, there is something else to do.
func (c *Client) expect(d time.Duration) {
	e, ok := c.conn.(Expecter)
	if !ok || d == 0 {
		return
	}
	c.mu.Lock()
	alone := len(c.pending) == 1
	c.mu.Unlock()
	if alone {
		e.Expect(d)
	}
}

// check turns an error that the server answered into one.
func (a answer) check() (answer, error) {
	if a.h.Op == opError {
		return answer{}, a.h.Error.err()
	}
	return a, nil
}

// lateAnswer is for an answer that came just before the connection ended.
func (c *Client) lateAnswer(call *call) (answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case a := <-call.answer:
		return a.check()
	default:
		return answer{}, c.broken()
	}
}

// writeFailed says why a request was not sent. If part of it was, the
// connection is of no more use.
func (c *Client) writeFailed(ctx context.Context, what string, id uint64, err error) error {
	c.mu.Lock()
	if call := c.pending[id]; call != nil {
		c.forget(id, call)
	}
	c.mu.Unlock()
	if _, ok := errors.AsType[*engine.Error](err); ok {
		return err
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		c.breakOff(err)
	}
	if ctx.Err() != nil {
		return contextError(ctx, what)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken()
}

// broken is what requests get once the connection has ended; c.mu is held.
func (c *Client) broken() error {
	if c.err == errClosed { //nolint:errorlint // is it this client's own Close?
		return errClosed
	}
	if errors.Is(c.err, engine.ErrRestartNeeded) {
		return c.err
	}
	e := engine.Errorf(engine.ErrRunnerCrashed, "the other side is gone: %w", c.err)
	e.Retryable = true
	return e
}

// giveUp tells the server that nobody waits for an answer any more, and gives
// it time to say so.
func (c *Client) giveUp(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.pending[id]
	if call == nil || c.err != nil {
		return
	}
	call.givenUp = true
	if c.options.CancelGrace > 0 {
		call.timer = time.AfterFunc(c.options.CancelGrace, func() { c.breakOff(errHung) })
	}
	c.wait.Go(func() {
		if err := c.w.write(context.Background(), frame{h: &header{ID: id, Op: opCancel}}); err != nil {
			c.breakOff(err)
		}
	})
}
