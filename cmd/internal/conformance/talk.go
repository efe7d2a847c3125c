package conformance

import (
	"context"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// tellers are tools that tell the client something while they run, or after.
func tellers() []server.ServerTool {
	return []server.ServerTool{
		tool("test_tool_with_logging", "Logs while it runs", logging),
		tool("test_logging_tool", "Logs while it runs", logging),
		tool("test_tool_with_progress", "Reports progress", func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if r.Params.Meta != nil && r.Params.Meta.ProgressToken != nil {
				for _, done := range []int{0, 50, 100} {
					tools.NotifierOf(ctx)("notifications/progress", map[string]any{"progressToken": r.Params.Meta.ProgressToken, "progress": done, "total": 100})
				}
			}
			return mcp.NewToolResultText("progress reported"), nil
		}),
		tool("test_trigger_tool_change", "Changes the list of tools", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			s := server.ServerFromContext(ctx)
			s.AddTools(tool("test_passing_tool", "Comes and goes", always(mcp.NewToolResultText("here"))))
			s.DeleteTools("test_passing_tool")
			return mcp.NewToolResultText("changed"), nil
		}),
		tool("test_trigger_prompt_change", "Changes the list of prompts", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			s := server.ServerFromContext(ctx)
			s.AddPrompt(mcp.NewPrompt("test_passing_prompt", mcp.WithPromptDescription("Comes and goes")), func(context.Context, mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
				return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{}}, nil
			})
			s.DeletePrompts("test_passing_prompt")
			return mcp.NewToolResultText("changed"), nil
		}),
	}
}

// logging logs, if the client wants to hear it.
func logging(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if info := server.RequestProtocolInfoFromContext(ctx); info == nil || !info.Modern || info.LogLevel != "" {
		for _, text := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			tools.NotifierOf(ctx)("notifications/message", map[string]any{"level": "info", "logger": "conformance", "data": text})
		}
	}
	return mcp.NewToolResultText("Tool with logging executed successfully"), nil
}

// question is an elicitation of one value.
func question(message, name, kind string) mcp.ElicitationParams {
	return mcp.ElicitationParams{Message: message, RequestedSchema: map[string]any{
		"type": "object", "properties": map[string]any{name: map[string]any{"type": kind}}, "required": []string{name},
	}}
}

// askers are tools that ask the client, as it was before 2026-07-28.
func askers() []server.ServerTool {
	return []server.ServerTool{
		tool("test_sampling", "Asks the client's model", sample, mcp.WithString("prompt", mcp.Required())),
		tool("test_elicitation", "Asks the user", func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return elicit(ctx, r.GetString("message", ""), "User response", map[string]any{
				"username": map[string]any{"type": "string", "description": "User's response"},
				"email":    map[string]any{"type": "string", "description": "User's email address"},
			})
		}, mcp.WithString("message", mcp.Required())),
		tool("test_elicitation_sep1034_defaults", "Asks with defaults", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return elicit(ctx, "Provide your information", "Elicitation completed", map[string]any{
				"name":     map[string]any{"type": "string", "default": "John Doe"},
				"age":      map[string]any{"type": "integer", "default": 30},
				"score":    map[string]any{"type": "number", "default": 95.5},
				"status":   map[string]any{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
				"verified": map[string]any{"type": "boolean", "default": true},
			})
		}),
		tool("test_elicitation_sep1330_enums", "Asks for choices", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return elicit(ctx, "Select options", "Elicitation completed", choices())
		}),
		tool("test_missing_capability", "Needs a client that samples", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.Modern && info.ClientCapabilities.Sampling == nil {
				return nil, mcp.MissingRequiredClientCapabilityError{Capability: "sampling"}
			}
			return mcp.NewToolResultText("the client samples"), nil
		}),
	}
}

func choices() map[string]any {
	titled := []any{map[string]any{"const": "value1", "title": "Value One"}, map[string]any{"const": "value2", "title": "Value Two"}}
	plain := []string{"option1", "option2"}
	return map[string]any{
		"untitledSingle": map[string]any{"type": "string", "enum": plain},
		"titledSingle":   map[string]any{"type": "string", "oneOf": titled},
		"legacyEnum":     map[string]any{"type": "string", "enum": []string{"opt1", "opt2"}, "enumNames": []string{"Option One", "Option Two"}},
		"untitledMulti":  map[string]any{"type": "array", "items": map[string]any{"type": "string", "enum": plain}},
		"titledMulti":    map[string]any{"type": "array", "items": map[string]any{"anyOf": titled}},
	}
}

func sample(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var ask mcp.CreateMessageRequest
	ask.Method = string(mcp.MethodSamplingCreateMessage)
	ask.CreateMessageParams = asked(r.GetString("prompt", ""))
	res, err := server.ServerFromContext(ctx).RequestSampling(ctx, ask) //nolint:staticcheck // the suite asks for it
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	text, _ := res.Content.(mcp.TextContent)
	return mcp.NewToolResultText("LLM response: " + text.Text), nil
}

// asked is a request to the client's model.
func asked(text string) mcp.CreateMessageParams {
	return mcp.CreateMessageParams{Messages: []mcp.SamplingMessage{{Role: mcp.RoleUser, Content: mcp.NewTextContent(text)}}, MaxTokens: 100}
}

func elicit(ctx context.Context, message, prefix string, properties map[string]any) (*mcp.CallToolResult, error) {
	var ask mcp.ElicitationRequest
	ask.Method = string(mcp.MethodElicitationCreate)
	ask.Params = mcp.ElicitationParams{Message: message, RequestedSchema: map[string]any{"type": "object", "properties": properties, "required": []string{}}}
	res, err := server.ServerFromContext(ctx).RequestElicitation(ctx, ask)
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	return mcp.NewToolResultText(fmt.Sprintf("%s: action=%s, content=%v", prefix, res.Action, res.Content)), nil
}
