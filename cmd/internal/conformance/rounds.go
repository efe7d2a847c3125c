package conformance

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// errTampered is the error for a state that is not as it was given out.
var errTampered = errors.New("the requestState is not one that this server gave out")

// A seal signs the state that a client carries from one round to the next.
type seal []byte

func (s seal) sign(state string) string {
	mac := hmac.New(sha256.New, s)
	mac.Write([]byte(state))
	return state + "." + hex.EncodeToString(mac.Sum(nil))
}

func (s seal) check(signed string) error {
	state, _, _ := strings.Cut(signed, ".")
	if !hmac.Equal([]byte(s.sign(state)), []byte(signed)) {
		return errTampered
	}
	return nil
}

// rounds are tools that need more than one round of a request, as clients have
// it since 2026-07-28.
func rounds() []server.ServerTool {
	s := seal(rand.Text())
	const prefix = "test_input_required_result_"
	name := question("What is your name?", "name", "string")
	return []server.ServerTool{
		tool(prefix+"elicitation", "Asks the user", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return hello(r, name)
		}),
		tool("test_streaming_elicitation", "Asks the user", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return hello(r, name)
		}),
		tool(prefix+"sampling", "Asks the client's model", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			answer := server.SamplingResponse(r.Params.InputResponses, "capital_question")
			if answer == nil {
				return server.NewInputRequestBuilder("").Sample("capital_question", asked("What is the capital of France?")).ToolResult(), nil
			}
			return mcp.NewToolResultText(fmt.Sprint(answer.Content)), nil
		}),
		tool(prefix+"list_roots", "Asks for the roots", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			roots := server.RootsResponse(r.Params.InputResponses, "client_roots")
			if roots == nil {
				return server.NewInputRequestBuilder("").Roots("client_roots").ToolResult(), nil
			}
			return mcp.NewToolResultText(fmt.Sprint(roots.Roots)), nil
		}),
		tool(prefix+"request_state", "Carries a state", s.confirmed),
		tool(prefix+"tampered_state", "Carries a state", s.confirmed),
		tool(prefix+"multiple_inputs", "Asks several things", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if in := r.Params.InputResponses; server.ElicitationResponse(in, "user_name") == nil || server.SamplingResponse(in, "greeting") == nil || server.RootsResponse(in, "client_roots") == nil {
				return server.NewInputRequestBuilder(s.sign("several")).Elicit("user_name", name).Sample("greeting", asked("Generate a greeting")).Roots("client_roots").ToolResult(), nil
			}
			err := s.check(r.Params.RequestState)
			return mcp.NewToolResultText("all answered"), err
		}),
		tool(prefix+"multi_round", "Asks twice", s.twice),
		tool(prefix+"capabilities", "Asks for what the client can do", capable),
	}
}

func hello(r mcp.CallToolRequest, name mcp.ElicitationParams) (*mcp.CallToolResult, error) {
	answer := server.ElicitationResponse(r.Params.InputResponses, "user_name")
	if answer == nil || answer.Content == nil {
		return server.NewInputRequestBuilder("").Elicit("user_name", name).ToolResult(), nil
	}
	return mcp.NewToolResultText(fmt.Sprintf("Hello, %v!", answer.Content)), nil
}

func (s seal) confirmed(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if server.ElicitationResponse(r.Params.InputResponses, "confirm") == nil {
		return server.NewInputRequestBuilder(s.sign("asked")).Elicit("confirm", question("Please confirm", "ok", "boolean")).ToolResult(), nil
	}
	if err := s.check(r.Params.RequestState); err != nil {
		return nil, err
	}
	return mcp.NewToolResultText("state-ok"), nil
}

func (s seal) twice(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	in := r.Params.InputResponses
	switch {
	case server.ElicitationResponse(in, "step2") != nil:
		err := s.check(r.Params.RequestState)
		return mcp.NewToolResultText("both answered"), err
	case server.ElicitationResponse(in, "step1") != nil:
		err := s.check(r.Params.RequestState)
		return server.NewInputRequestBuilder(s.sign("second")).Elicit("step2", question("Step 2: What is your favorite color?", "color", "string")).ToolResult(), err
	}
	return server.NewInputRequestBuilder(s.sign("first")).Elicit("step1", question("Step 1: What is your name?", "name", "string")).ToolResult(), nil
}

func capable(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	b := server.NewInputRequestBuilder("")
	if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.ClientCapabilities != nil {
		if info.ClientCapabilities.Sampling != nil {
			b.Sample("sampled", asked("Say something"))
		}
		if info.ClientCapabilities.Elicitation != nil {
			b.Elicit("elicited", question("Say something", "text", "string"))
		}
	}
	return b.ToolResult(), nil
}
