package conformance

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// New returns a server with what the suite asks for: its names and texts are
// the suite's. A nil log is silence.
func New(log *slog.Logger) *mcpserver.Server {
	return mcpserver.NewContent(mcpserver.Content{
		Options: []server.ServerOption{
			server.WithToolCapabilities(true), server.WithPromptCapabilities(true), server.WithLogging(), server.WithElicitation(), server.WithRoots(),
			server.WithCompletions(), server.WithPromptCompletionProvider(letters{}),
		},
		Add: func(s *server.MCPServer) {
			s.EnableSampling()
			s.AddTools(contents()...)
			s.AddTools(schemas()...)
			s.AddTools(tellers()...)
			s.AddTools(askers()...)
			s.AddTools(rounds()...)
			addResources(s)
			addPrompts(s)
		},
	}, mcpserver.Options{Version: "1", Logger: log})
}

// The smallest picture and sound.
const (
	image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	audio = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
)

// tool is a tool without arguments.
func tool(name, description string, handler server.ToolHandlerFunc, options ...mcp.ToolOption) server.ServerTool {
	return server.ServerTool{Tool: mcp.NewTool(name, append(options, mcp.WithDescription(description))...), Handler: handler}
}

// always is a handler with one answer.
func always(r *mcp.CallToolResult) server.ToolHandlerFunc {
	return func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) { return r, nil }
}

// contents are tools that answer each kind of content.
func contents() []server.ServerTool {
	holding := func(c ...mcp.Content) server.ToolHandlerFunc { return always(&mcp.CallToolResult{Content: c}) }
	embedded := mcp.TextResourceContents{URI: "test://embedded-resource", MIMEType: "text/plain", Text: "This is an embedded resource content."}
	mixed := mcp.TextResourceContents{URI: "test://mixed-content-resource", MIMEType: "application/json", Text: `{"test":"data","value":123}`}
	return []server.ServerTool{
		tool("test_simple_text", "Answers text", holding(mcp.NewTextContent("This is a simple text response for testing."))),
		tool("test_image_content", "Answers a picture", holding(mcp.NewImageContent(image, "image/png"))),
		tool("test_audio_content", "Answers a sound", holding(mcp.NewAudioContent(audio, "audio/wav"))),
		tool("test_embedded_resource", "Answers a resource", holding(mcp.NewEmbeddedResource(embedded))),
		tool("test_multiple_content_types", "Answers several contents", holding(
			mcp.NewTextContent("Multiple content types test:"), mcp.NewImageContent(image, "image/png"), mcp.NewEmbeddedResource(mixed))),
		tool("test_error_handling", "Fails", always(mcp.NewToolResultError("This tool intentionally returns an error for testing"))),
	}
}

// schemas are tools whose schemas say more than mcp-go's own can.
func schemas() []server.ServerTool {
	return []server.ServerTool{
		{
			Tool: mcp.NewToolWithRawSchema("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", []byte(`{
			"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
			"$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
			"properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}, "contactMethod": {"type": "string", "enum": ["phone", "email"]}, "phone": {"type": "string"}, "email": {"type": "string"}},
			"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
			"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]}, "then": {"required": ["phone"]}, "else": {"required": ["email"]}}`)),
			Handler: always(mcp.NewToolResultText("valid")),
		},
		{
			Tool: mcp.NewToolWithRawSchema("test_header_tool", "Tool with an argument that travels as a header too", []byte(`{
			"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}`)),
			Handler: always(mcp.NewToolResultText("received")),
		},
	}
}

func addResources(s *server.MCPServer) {
	text := func(uri, mimeType, text string) []mcp.ResourceContents {
		return []mcp.ResourceContents{mcp.TextResourceContents{URI: uri, MIMEType: mimeType, Text: text}}
	}
	for uri, content := range map[string][]mcp.ResourceContents{
		"test://static-text":      text("test://static-text", "text/plain", "This is the content of the static text resource."),
		"test://static-binary":    {mcp.BlobResourceContents{URI: "test://static-binary", MIMEType: "image/png", Blob: image}},
		"test://watched-resource": text("test://watched-resource", "text/plain", "Watched resource content"),
	} {
		name := strings.TrimPrefix(uri, "test://")
		s.AddResource(mcp.NewResource(uri, name, mcp.WithResourceDescription("A resource for testing")),
			func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) { return content, nil })
	}
	s.AddResourceTemplate(mcp.NewResourceTemplate("test://template/{id}/data", "template", mcp.WithTemplateDescription("A template for testing"), mcp.WithTemplateMIMEType("application/json")),
		func(_ context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			id := strings.TrimSuffix(strings.TrimPrefix(r.Params.URI, "test://template/"), "/data")
			return text(r.Params.URI, "application/json", fmt.Sprintf(`{"id":%q,"templateTest":true,"data":%q}`, id, "Data for ID: "+id)), nil
		})
}

func addPrompts(s *server.MCPServer) {
	said := func(c ...mcp.Content) *mcp.GetPromptResult {
		r := &mcp.GetPromptResult{}
		for _, c := range c {
			r.Messages = append(r.Messages, mcp.PromptMessage{Role: mcp.RoleUser, Content: c})
		}
		return r
	}
	add := func(name string, answer func(mcp.GetPromptRequest) *mcp.GetPromptResult, arguments ...string) {
		options := []mcp.PromptOption{mcp.WithPromptDescription("A prompt for testing")}
		for _, a := range arguments {
			options = append(options, mcp.WithArgument(a, mcp.ArgumentDescription("An argument for testing"), mcp.RequiredArgument()))
		}
		s.AddPrompt(mcp.NewPrompt(name, options...), func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) { return answer(r), nil })
	}
	add("test_simple_prompt", func(mcp.GetPromptRequest) *mcp.GetPromptResult {
		return said(mcp.NewTextContent("This is a simple prompt for testing."))
	})
	add("test_prompt_with_arguments", func(r mcp.GetPromptRequest) *mcp.GetPromptResult {
		a := r.Params.Arguments
		return said(mcp.NewTextContent(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", a["arg1"], a["arg2"])))
	}, "arg1", "arg2")
	add("test_prompt_with_embedded_resource", func(r mcp.GetPromptRequest) *mcp.GetPromptResult {
		at := mcp.TextResourceContents{URI: r.Params.Arguments["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing."}
		return said(mcp.NewEmbeddedResource(at), mcp.NewTextContent("Please process the embedded resource above."))
	}, "resourceUri")
	add("test_prompt_with_image", func(mcp.GetPromptRequest) *mcp.GetPromptResult {
		return said(mcp.NewImageContent(image, "image/png"), mcp.NewTextContent("Please analyze the image above."))
	})
	add("test_input_required_result_prompt", func(r mcp.GetPromptRequest) *mcp.GetPromptResult {
		if server.ElicitationResponse(r.Params.InputResponses, "user_context") == nil {
			return server.NewInputRequestBuilder("").Elicit("user_context", question("What context should the prompt use?", "context", "string")).PromptResult()
		}
		return said(mcp.NewTextContent("Here is the prompt with your context."))
	})
}

// letters completes every argument of a prompt.
type letters struct{}

// CompletePromptArgument completes an argument.
func (letters) CompletePromptArgument(_ context.Context, _ string, a mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	return &mcp.Completion{Values: []string{a.Value + "a", a.Value + "b"}, Total: 2}, nil
}
