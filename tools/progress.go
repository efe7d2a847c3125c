package tools

import (
	"context"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A Notifier sends a notification about a call to the client that made it. It
// is called by one goroutine at a time, and not after the call's answer.
type Notifier func(method string, params map[string]any)

type notifierKey struct{}

// WithNotifier has the calls of ctx report their progress through n. A
// transport sets it to have each notification on the call's own stream and
// ahead of its answer; otherwise mcp-go's queue is used, which keeps neither
// promise.
func WithNotifier(ctx context.Context, n Notifier) context.Context {
	return context.WithValue(ctx, notifierKey{}, n)
}

// NotifierOf returns what sends notifications of a call.
func NotifierOf(ctx context.Context) Notifier {
	if n, ok := ctx.Value(notifierKey{}).(Notifier); ok {
		return n
	}
	srv := server.ServerFromContext(ctx)
	return func(method string, params map[string]any) {
		if srv != nil {
			// A client that does not keep up misses some progress, nothing else.
			_ = srv.SendNotificationToClient(ctx, method, params)
		}
	}
}

// progressEvery is the least time between two notifications of one call.
const progressEvery = 200 * time.Millisecond

// reporter returns what tells the client how far a call is, if it asked.
func reporter(ctx context.Context, req mcp.CallToolRequest) func(engine.Progress) {
	if req.Params.Meta == nil || req.Params.Meta.ProgressToken == nil {
		return func(engine.Progress) {}
	}
	p := &progress{token: req.Params.Meta.ProgressToken, notify: NotifierOf(ctx), done: -1}
	return p.report
}

// progress is what a client was told of a call.
type progress struct {
	token  mcp.ProgressToken
	notify Notifier

	mu   sync.Mutex // guards what follows
	last time.Time
	done int64
}

// report passes p on unless it comes too soon. What a client is told must
// grow, so a second phase that counts from the start again is not told.
func (r *progress) report(p engine.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.last) < progressEvery || p.Done <= r.done {
		return
	}
	r.last, r.done = time.Now(), p.Done
	params := map[string]any{"progressToken": r.token, "progress": p.Done}
	if p.Total > 0 {
		params["total"] = p.Total
	}
	if p.Message != "" {
		params["message"] = p.Message
	}
	r.notify("notifications/progress", params)
}
