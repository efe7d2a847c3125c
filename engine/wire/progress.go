package wire

import (
	"context"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A reporterKey is the key of a context's reporter.
type reporterKey struct{}

func withReporter(ctx context.Context, report func(engine.Progress)) context.Context {
	return context.WithValue(ctx, reporterKey{}, report)
}

// Report tells the client how far the request has come on whose behalf [Serve]
// called a provider with ctx. Elsewhere it does nothing.
func Report(ctx context.Context, p engine.Progress) {
	if report, ok := ctx.Value(reporterKey{}).(func(engine.Progress)); ok {
		report(p)
	}
}

func (s *server) reporter(ctx context.Context, id uint64) func(engine.Progress) {
	return func(p engine.Progress) {
		s.reply(ctx, &header{ID: id, Op: opProgress, Progress: &p}, nil, block{})
	}
}
