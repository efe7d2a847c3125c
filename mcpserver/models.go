package mcpserver

import (
	"context"
	"log/slog"
	"sync"

	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/resources"
)

// A modelList keeps the models in a server's list of resources.
type modelList struct {
	engine Engine
	log    *slog.Logger

	mu     sync.Mutex        // guards what follows, and the list
	listed map[string]string // description by URI
}

// renew adds the models that have come and takes out those that have gone;
// mcp-go tells whoever wants to know.
func (l *modelList) renew(ctx context.Context, s *server.MCPServer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	here, err := resources.Models(ctx, l.engine, l.log)
	if err != nil {
		if ctx.Err() == nil {
			l.log.WarnContext(ctx, "the models can't be listed", "error", err)
		}
		return
	}
	now := map[string]string{}
	var come []server.ServerResource
	for _, r := range here {
		now[r.Resource.URI] = r.Resource.Name + "\n" + r.Resource.Description
		if l.listed[r.Resource.URI] != now[r.Resource.URI] {
			come = append(come, r)
		}
	}
	var gone []string
	for uri := range l.listed {
		if _, still := now[uri]; !still {
			gone = append(gone, uri)
		}
	}
	l.listed = now
	if len(gone) > 0 {
		s.DeleteResources(gone...)
	}
	if len(come) > 0 {
		s.AddResources(come...)
	}
}
