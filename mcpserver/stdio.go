package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// Stdio limits: every queued call must fit, for mcp-go handles what does not
// on its read loop.
const (
	stdioWorkers = 100
	stdioQueue   = 10_000
)

// ServeStdio serves one client on a pair of streams until in ends or ctx is
// done. At the end of in it answers what was asked, for at most drain, then
// cancels the rest and returns nil. A process serves one pair of streams at a
// time: mcp-go keeps its session in a variable. A read of in that blocks when
// ctx is done is left behind.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer, drain time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.watch.begin(ctx)
	g := newGate(ctx, in, out, drain, s.limits)
	stdio := server.NewStdioServer(s.mcp)
	stdio.SetErrorLogger(slog.NewLogLogger(s.log.Handler(), slog.LevelWarn))
	server.WithWorkerPoolSize(stdioWorkers)(stdio)
	server.WithQueueSize(stdioQueue)(stdio)
	calls := context.WithValue(tools.WithNotifier(ctx, g.notify), ledgerKey{}, g.ledger)
	err := stdio.Listen(calls, g, g)
	if errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

type ledgerKey struct{}

// refuseCancelled ends a request that was taken back before its turn came: by
// itself mcp-go would run it. What it answers is dropped.
func refuseCancelled(ctx context.Context, id, _ any) error {
	l, ok := ctx.Value(ledgerKey{}).(*ledger)
	if !ok {
		return nil
	}
	if text, err := json.Marshal(id); err == nil && l.isCancelled(string(text)) {
		return context.Canceled
	}
	return nil
}
