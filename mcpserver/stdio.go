package mcpserver

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

// Stdio limits: every queued call must fit, for mcp-go handles what does not
// on its read loop.
const (
	stdioWorkers = 100
	stdioQueue   = 10_000
)

// ServeStdio serves one client on a pair of streams until in ends or ctx is
// done. At the end of in it answers what was asked, for at most drain, and
// returns nil.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer, drain time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := newGate(ctx, in, out, drain)
	stdio := server.NewStdioServer(s.mcp)
	server.WithWorkerPoolSize(stdioWorkers)(stdio)
	server.WithQueueSize(stdioQueue)(stdio)
	err := stdio.Listen(ctx, g, g)
	if errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}
