// Package phased tells in which phase an HTTP request ended.
package phased

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// connecting is the least time that a connection gets, and whatever has to be
// started for it.
const connecting = 30 * time.Second

// Do sends a request that is given up when nothing comes of it for idle. Its
// errors, and those of the body, are a [ipfsstore.PhaseError] where a phase did
// not end well; the end of the request's own context has the first word.
func Do(client *http.Client, r *http.Request, idle time.Duration) (*http.Response, error) {
	ctx, giveUp := context.WithCancelCause(r.Context())
	w := &watch{caller: r.Context(), ctx: ctx, giveUp: giveUp, idle: idle}
	w.at.Store(new(ipfsstore.PhaseConnect))
	w.timer = time.AfterFunc(max(idle, connecting), func() { giveUp(&ipfsstore.PhaseError{Phase: *w.at.Load(), Err: errSilent}) })
	resp, err := client.Do(r.WithContext(httptrace.WithClientTrace(ctx, w.trace())))
	if err != nil {
		err = w.failure(err)
		w.end()
		return nil, err
	}
	resp.Body = &body{resp.Body, w}
	return resp, nil
}

var errSilent = errors.New("nothing came in time")

// A watch looks at one request.
type watch struct {
	caller, ctx context.Context //nolint:containedctx // of the request, whose end they tell the cause of
	giveUp      context.CancelCauseFunc
	timer       *time.Timer
	idle        time.Duration
	at          atomic.Pointer[ipfsstore.Phase]
}

// trace follows the request, and each that it is redirected to. A connection
// that is still being made may be another's by the time that it is: then its
// address is no concern of this request.
func (w *watch) trace() *httptrace.ClientTrace {
	find, connect, first, stalled := new(ipfsstore.PhaseFind), new(ipfsstore.PhaseConnect), new(ipfsstore.PhaseFirstByte), new(ipfsstore.PhaseStalled)
	return &httptrace.ClientTrace{
		GetConn: func(string) { w.at.Store(connect) },
		DNSStart: func(httptrace.DNSStartInfo) {
			w.at.CompareAndSwap(connect, find)
		},
		DNSDone: func(d httptrace.DNSDoneInfo) {
			if d.Err == nil {
				w.at.CompareAndSwap(find, connect)
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			w.at.Store(first)
			w.timer.Reset(w.idle)
		},
		GotFirstResponseByte: func() {
			w.at.Store(stalled)
			w.timer.Reset(w.idle)
		},
	}
}

// failure is what an error of the request means.
func (w *watch) failure(err error) error {
	at := *w.at.Load()
	var known *ipfsstore.PhaseError
	switch {
	case w.caller.Err() != nil:
		return context.Cause(w.caller)
	case w.ctx.Err() != nil:
		return context.Cause(w.ctx)
	case errors.As(err, &known):
		return known
	case at == ipfsstore.PhaseStalled:
		return err // there was an answer, and it was not to the client's liking
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // whom it asked, the caller knows
	}
	return &ipfsstore.PhaseError{Phase: at, Err: err}
}

func (w *watch) end() {
	w.timer.Stop()
	w.giveUp(nil)
}

// body is a response's, given up when it stops.
type body struct {
	io.ReadCloser

	w *watch
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.w.timer.Reset(b.w.idle)
	}
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, b.w.failure(err)
}

// Close implements [io.Closer].
func (b *body) Close() error {
	b.w.end()
	return b.ReadCloser.Close()
}
