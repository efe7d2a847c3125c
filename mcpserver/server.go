package mcpserver

import (
	"log/slog"
	"sync"

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

// An Engine is what the server serves. [*engine.Engine] is one.
type Engine interface {
	tools.Engine
	resources.Engine
}

// Options configure a server. The zero value works.
type Options struct {
	Version string       // of the program, told to clients
	Logger  *slog.Logger // nil means silence
}

// A Server serves one engine to any number of clients.
type Server struct {
	mcp     *server.MCPServer
	log     *slog.Logger
	running sync.RWMutex // held for reading by each call of a tool
}

// New returns a server of e.
func New(e Engine, o Options) *Server {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{log: log}
	hooks := &server.Hooks{}
	hooks.AddOnRequestInitialization(refuseCancelled)
	s.mcp = server.NewMCPServer("ipfs-accelerate", o.Version,
		server.WithTitle("IPFS Accelerate"),
		server.WithInstructions(instructions),
		server.WithToolCapabilities(false),
		server.WithResourceCapabilities(false, false),
		server.WithHooks(hooks),
		server.WithToolHandlerMiddleware(s.watched),
	)
	s.mcp.AddTools(tools.All(e, log)...)
	s.mcp.AddResources(resources.All(e, log)...)
	s.mcp.AddResourceTemplates(resources.Templates(e, log)...)
	return s
}
