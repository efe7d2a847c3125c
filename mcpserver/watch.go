package mcpserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// maxWatches bounds what one client, or the stream of one, subscribes to.
const maxWatches = 100

const (
	methodUpdated = "notifications/resources/updated"
	listChanges   = "" // stands for the list of resources
)

// A watcher tells clients that a resource they subscribed to has changed.
// mcp-go takes the subscriptions and leaves it at that. Another process may
// change what is stored, so the watcher looks, as long as anyone listens.
type watcher struct {
	mcp   *server.MCPServer
	renew func(context.Context, *server.MCPServer)
	every time.Duration
	nudge chan struct{} // something may have changed
	first sync.Once     // renews the list before anyone could be told that it changed

	mu      sync.Mutex // guards what follows
	watches map[any]map[string]*watch
	stop    context.CancelFunc // ends the looking, which goes on while there are watches
	looking sync.WaitGroup
}

// A watch is one client's interest in one resource.
type watch struct {
	notify func(method string, params map[string]any)
	sum    [sha256.Size]byte // of what the client can have read
}

func newWatcher(s *server.MCPServer, renew func(context.Context, *server.MCPServer), every time.Duration) *watcher {
	if every == 0 {
		every = 2 * time.Second
	}
	if renew == nil {
		renew = func(context.Context, *server.MCPServer) {}
	}
	return &watcher{
		mcp: s, renew: renew, every: every, nudge: make(chan struct{}, 1), watches: map[any]map[string]*watch{},
	}
}

// hook has the watcher see who comes, goes and subscribes.
func (w *watcher) hook(h *server.Hooks) {
	h.AddBeforeAny(func(ctx context.Context, _ any, _ mcp.MCPMethod, _ any) { w.begin(ctx) })
	h.AddBeforeListResources(func(ctx context.Context, _ any, _ *mcp.ListResourcesRequest) { w.renew(ctx, w.mcp) })
	h.AddOnRegisterSession(func(ctx context.Context, s server.ClientSession) { w.add(ctx, s.SessionID(), listChanges, nil) })
	h.AddOnUnregisterSession(func(_ context.Context, s server.ClientSession) { w.remove(s.SessionID()) })
	h.AddAfterSubscribe(func(ctx context.Context, _ any, r *mcp.SubscribeRequest, _ *mcp.EmptyResult) {
		if s := server.ClientSessionFromContext(ctx); s != nil {
			id := s.SessionID()
			w.add(ctx, id, r.Params.URI, func(method string, params map[string]any) {
				w.mcp.SendNotificationToSpecificClient(id, method, params) //nolint:errcheck // a client that does not listen misses it
			})
		}
	})
	h.AddAfterUnsubscribe(func(ctx context.Context, _ any, r *mcp.UnsubscribeRequest, _ *mcp.EmptyResult) {
		if s := server.ClientSessionFromContext(ctx); s != nil {
			w.remove(s.SessionID(), r.Params.URI)
		}
	})
	h.AddBeforeAny(func(ctx context.Context, id any, _ mcp.MCPMethod, message any) {
		if r, ok := message.(*mcp.SubscriptionsListenRequest); ok {
			w.listen(ctx, id, r.Params.Notifications)
		}
	})
}

// begin renews the list at the first message, whoever it is of.
func (w *watcher) begin(ctx context.Context) {
	w.first.Do(func() { w.renew(context.WithoutCancel(ctx), w.mcp) })
}

// listen watches for the stream of a subscriptions/listen request.
func (w *watcher) listen(ctx context.Context, id any, filter mcp.SubscriptionFilter) {
	key, notify := new(int), tools.NotifierOf(ctx)
	if filter.ResourcesListChanged {
		w.add(ctx, key, listChanges, nil)
	}
	for _, uri := range filter.ResourceSubscriptions {
		w.add(ctx, key, uri, func(method string, params map[string]any) {
			params["_meta"] = map[string]any{mcp.MetaKeySubscriptionID: id}
			notify(method, params)
		})
	}
	context.AfterFunc(ctx, func() { w.remove(key) })
}

// add watches a resource for a client.
func (w *watcher) add(ctx context.Context, client any, uri string, notify func(string, map[string]any)) {
	at := &watch{notify: notify}
	if uri != listChanges {
		at.sum = w.read(ctx, uri)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watches[client] == nil {
		w.watches[client] = map[string]*watch{}
	}
	w.watches[client][uri] = at
	if w.stop == nil {
		looking, stop := context.WithCancel(context.WithoutCancel(ctx))
		w.stop = stop
		w.looking.Go(func() { w.look(looking) })
	}
}

// remove ends a client's watches of some resources, or of all.
func (w *watcher) remove(client any, uris ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, uri := range uris {
		delete(w.watches[client], uri)
	}
	if len(uris) == 0 || len(w.watches[client]) == 0 {
		delete(w.watches, client)
	}
	if len(w.watches) == 0 && w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// wait waits until nobody watches any more.
func (w *watcher) wait() { w.looking.Wait() }

// changed says that something may have changed.
func (w *watcher) changed() {
	select {
	case w.nudge <- struct{}{}:
	default:
	}
}

// look looks again and again.
func (w *watcher) look(ctx context.Context) {
	rest, tick := time.NewTicker(w.every/20), time.NewTicker(w.every)
	defer rest.Stop()
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-w.nudge:
		case <-ctx.Done():
			return
		}
		w.once(ctx)
		select { // whatever happens meanwhile, it looks no more often than this
		case <-rest.C:
		case <-ctx.Done():
			return
		}
	}
}

// once looks at everything that is watched, once.
func (w *watcher) once(ctx context.Context) {
	byURI := map[string][]*watch{}
	w.mu.Lock()
	for _, watches := range w.watches {
		for uri, at := range watches {
			byURI[uri] = append(byURI[uri], at)
		}
	}
	w.mu.Unlock()
	for uri, watches := range byURI {
		if uri == listChanges {
			w.renew(ctx, w.mcp) // mcp-go tells whoever wants to know
			continue
		}
		sum := w.read(ctx, uri)
		if ctx.Err() != nil {
			return
		}
		for _, at := range watches { // only this goroutine uses the sums
			if at.sum != sum {
				at.notify(methodUpdated, map[string]any{"uri": uri})
				at.sum = sum
			}
		}
	}
}

// read returns the sum of what reading a resource gives, an error too.
func (w *watcher) read(ctx context.Context, uri string) [sha256.Size]byte {
	request, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 0, "method": "resources/read", "params": map[string]any{"uri": uri}})
	if err != nil { // strings always encode
		return [sha256.Size]byte{}
	}
	content, err := json.Marshal(w.mcp.HandleMessage(ctx, request))
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(content)
}

// refuse refuses more subscriptions than a client may have.
func (w *watcher) refuse(ctx context.Context, _, message any) error {
	raw, ok := message.(json.RawMessage)
	if !ok || !bytes.Contains(raw, []byte(`subscri`)) {
		return nil
	}
	var m struct {
		Method string
		Params mcp.SubscriptionsListenParams
	}
	if json.Unmarshal(raw, &m) != nil {
		return nil //nolint:nilerr // mcp-go says so
	}
	n := len(m.Params.Notifications.ResourceSubscriptions)
	if m.Method == string(mcp.MethodResourcesSubscribe) {
		n = 1 + w.count(ctx)
	}
	if n > maxWatches {
		return fmt.Errorf("overloaded: at most %d resources can be subscribed to (limit subscriptions)", maxWatches)
	}
	return nil
}

// count returns how many watches the client of ctx has.
func (w *watcher) count(ctx context.Context) int {
	s := server.ClientSessionFromContext(ctx)
	if s == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.watches[s.SessionID()])
}
