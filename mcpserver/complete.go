package mcpserver

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// maxCompletions is how many values the protocol lets an answer hold.
const maxCompletions = 100

// completions complete what a person types for an argument of a prompt or of
// a resource's URI.
type completions struct{ engine Engine }

// CompletePromptArgument completes an argument of a prompt.
func (c completions) CompletePromptArgument(ctx context.Context, _ string, a mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	return c.complete(ctx, a), nil
}

// CompleteResourceArgument completes a part of a resource's URI.
func (c completions) CompleteResourceArgument(ctx context.Context, _ string, a mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	return c.complete(ctx, a), nil
}

// complete returns the values that begin with what was typed, or, if there
// are none, that hold it. What can't be listed now completes to nothing.
func (c completions) complete(ctx context.Context, a mcp.CompleteArgument) *mcp.Completion {
	typed := strings.ToLower(a.Value)
	var begin, hold []string
	for _, v := range c.values(ctx, a.Name) {
		switch lower := strings.ToLower(v); {
		case strings.HasPrefix(lower, typed):
			begin = append(begin, v)
		case strings.Contains(lower, typed):
			hold = append(hold, v)
		}
	}
	if begin == nil {
		begin = hold
	}
	return &mcp.Completion{
		Values: append([]string{}, begin[:min(len(begin), maxCompletions)]...),
		Total:  len(begin), HasMore: len(begin) > maxCompletions,
	}
}

// values returns what an argument of this name can be, the likeliest first.
func (c completions) values(ctx context.Context, argument string) []string {
	switch argument {
	case "model", "cid":
		return c.models(ctx, argument == "model")
	case "device":
		return c.devices(ctx)
	case "run_id":
		return c.runs(ctx)
	case "task":
		_, err := c.engine.TaskDoc("")
		return engine.Explain(err).ValidValues
	}
	return nil
}

func (c completions) models(ctx context.Context, named bool) []string {
	stored, err := c.engine.Models(ctx)
	if err != nil {
		return nil
	}
	var names, roots []string
	for _, m := range stored {
		roots = append(roots, m.Root)
		names = append(names, m.Names...)
	}
	if named {
		return append(names, roots...)
	}
	return roots
}

func (c completions) devices(ctx context.Context) []string {
	found, err := c.engine.Detect(ctx, engine.DetectRequest{}, func(engine.Progress) {})
	if err != nil {
		return nil
	}
	ids := []string{found.Best}
	for _, p := range found.Platforms {
		for _, d := range p.Devices {
			if !slices.Contains(ids, d.ID) {
				ids = append(ids, d.ID)
			}
		}
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

func (c completions) runs(ctx context.Context) []string {
	latest, err := c.engine.Results(ctx, engine.ResultsRequest{Report: "runs", Limit: maxCompletions}, func(engine.Progress) {})
	if err != nil {
		return nil
	}
	var ids []string
	for _, row := range latest.Rows {
		var run struct {
			ID string `json:"run_id"`
		}
		if json.Unmarshal(row, &run) == nil && run.ID != "" {
			ids = append(ids, run.ID)
		}
	}
	return ids
}
