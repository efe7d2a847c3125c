package tools

import (
	"context"
	"log/slog"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// An Engine is what the tools need of [*engine.Engine]: one method each.
type Engine interface {
	Detect(ctx context.Context, r engine.DetectRequest, report func(engine.Progress)) (engine.Detection, error)
	Fetch(ctx context.Context, r engine.FetchRequest, report func(engine.Progress)) (engine.Fetching, error)
	Infer(ctx context.Context, r engine.InferRequest, report func(engine.Progress)) (engine.Inference, error)
	Benchmark(ctx context.Context, r engine.BenchmarkRequest, report func(engine.Progress)) (engine.Benchmark, error)
	Results(ctx context.Context, r engine.ResultsRequest, report func(engine.Progress)) (engine.Results, error)
}

// All returns every tool, in the order they are listed to a client. A nil log
// is silence.
func All(e Engine, log *slog.Logger) []server.ServerTool {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return []server.ServerTool{
		newTool(detectHardware, e.Detect, log),
		newTool(fetchModelCID, e.Fetch, log),
		newTool(runInference, e.Infer, log),
		newTool(runBenchmark, e.Benchmark, log),
		newTool(queryResults, e.Results, log),
	}
}

// Names returns the names of the tools, in the same order.
func Names() []string {
	return []string{detectHardware.name, fetchModelCID.name, runInference.name, runBenchmark.name, queryResults.name}
}

// hints returns all four annotations, for a client assumes the worst of one
// that is missing. No tool destroys anything.
func hints(readOnly, idempotent, openWorld bool) mcp.ToolAnnotation {
	destructive := false
	return mcp.ToolAnnotation{ReadOnlyHint: &readOnly, DestructiveHint: &destructive, IdempotentHint: &idempotent, OpenWorldHint: &openWorld}
}
