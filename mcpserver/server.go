package mcpserver

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/resources"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// instructions tell an agent how the tools go together.
const instructions = `Runs machine-learning models on this machine and measures them. Nothing is simulated: what is reported was detected, run or measured.
1. detect_hardware: what can run models here.
2. fetch_model_cid: get a model by its CID, its name (models:// lists those here) or a local path.
3. run_inference: run it on texts, pictures or raw tensors.
4. run_benchmark: measure it; 5. query_results: compare what was measured.
An error says in "hint" what to do next. A long call answers status "running" with a run_id: ask query_results {"run_id":…} for its answer.`

// icon is a bolt, small enough to travel with every answer, as it does since
// 2026-07-28.
const icon = `data:image/svg+xml;base64,` +
	`PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyNCAyNCI+PHBhdGggZmlsbD0i` +
	`IzBiNzI4NSIgZD0iTTEzIDJMNSAxNGg2bC0xIDggOS0xM2gtNnoiLz48L3N2Zz4=`

// An Engine is what the server serves. [*engine.Engine] is one.
type Engine interface {
	tools.Engine
	resources.Engine
}

// Options configure a server. The zero value works.
type Options struct {
	Version string       // of the program, told to clients
	Logger  *slog.Logger // nil means silence
	Limits  Limits

	// Observe is told of each call of a tool when it begins. It returns the
	// context that the call goes on with, and what is told how it ended. It
	// may be nil.
	Observe func(context.Context, Call) (context.Context, func(Outcome))

	// Views are resources beside those of the engine.
	Views []resources.View

	// WatchEvery is how often the server looks whether what clients subscribed
	// to has changed; 0 means 2 s.
	WatchEvery time.Duration
}

// Content is what a server offers, in mcp-go's terms.
type Content struct {
	Options []server.ServerOption
	Add     func(*server.MCPServer) // adds tools, resources and prompts

	// Renew, if it is not nil, brings the list of resources up to date. It is
	// called before each list, and while clients listen for changes.
	Renew func(context.Context, *server.MCPServer)
}

// A Server serves one engine to any number of clients.
type Server struct {
	mcp     *server.MCPServer
	log     *slog.Logger
	limits  Limits
	watch   *watcher
	calls   slots
	observe func(context.Context, Call) (context.Context, func(Outcome))
	counted atomic.Int64 // calls since the start
	running sync.RWMutex // held for reading by each call of a tool
}

// New returns a server of e.
func New(e Engine, o Options) *Server {
	log := orSilent(o.Logger)
	lists := &modelList{engine: e, log: log}
	hints := completions{e}
	return NewContent(Content{
		Options: []server.ServerOption{
			server.WithTitle("IPFS Accelerate"),
			server.WithDescription("Runs and measures machine-learning models on this machine, got by content (IPFS)"),
			server.WithIcons(mcp.Icon{Src: icon, MIMEType: "image/svg+xml", Sizes: []string{"any"}}),
			server.WithInstructions(instructions),
			server.WithPromptCapabilities(false),
			server.WithCompletions(),
			server.WithPromptCompletionProvider(hints),
			server.WithResourceCompletionProvider(hints),
		},
		Add: func(s *server.MCPServer) {
			s.AddTools(tools.All(e, log)...)
			s.AddResources(resources.All(e, log)...)
			s.AddResources(resources.Views(o.Views, log)...)
			s.AddResourceTemplates(resources.Templates(e, log)...)
			s.AddPrompts(prompts()...)
		},
		Renew: lists.renew,
	}, o)
}

// NewContent returns a server of something else, with the same transports,
// limits and guards. What a tool tells while it runs goes through
// [tools.NotifierOf].
func NewContent(c Content, o Options) *Server {
	s := &Server{log: orSilent(o.Logger), limits: o.Limits.orDefaults()}
	s.calls = newSlots(s.limits.Calls)
	if s.observe = o.Observe; s.observe == nil {
		s.observe = func(ctx context.Context, _ Call) (context.Context, func(Outcome)) { return ctx, func(Outcome) {} }
	}
	hooks := &server.Hooks{}
	options := append([]server.ServerOption{
		server.WithToolCapabilities(false),
		server.WithResourceCapabilities(true, true),
		server.WithHooks(hooks),
		server.WithToolHandlerMiddleware(s.watched),
		server.WithRecovery(),
	}, c.Options...)
	s.mcp = server.NewMCPServer("ipfs-accelerate", o.Version, options...)
	s.watch = newWatcher(s.mcp, c.Renew, o.WatchEvery)
	hooks.AddOnRequestInitialization(refuseCancelled)
	hooks.AddOnRequestInitialization(s.watch.refuse)
	hooks.AddBeforeCallTool(s.number)
	hooks.AddOnError(explainFault)
	s.watch.hook(hooks)
	c.Add(s.mcp)
	return s
}

// crowd lets as many connections into l as the limits allow.
func (s *Server) crowd(l net.Listener) net.Listener {
	free := newSlots(s.limits.Connections)
	if at, ok := l.(secured); ok { // net/http wants to see the connections of TLS
		return tls.NewListener(&crowd{at.plain, free, true}, at.config)
	}
	return &crowd{l, free, false}
}

// Handler returns everything that ServeHTTP serves.
func (s *Server) Handler(o HTTPOptions) http.Handler {
	return s.handler(context.Background(), o).guard
}
