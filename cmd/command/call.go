package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// maxArguments bounds what call reads as arguments.
const maxArguments = 64 << 20

func (c *cli) call() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "call TOOL [JSON|-|@FILE]",
		Short: "Call one of the five tools as an agent would, and print its structured content",
		Example: `  ipfs-accelerate call detect_hardware
  ipfs-accelerate call run_inference '{"model":"minilm","inputs":["hello"]}'
  echo '{"sql":"select count(*) from inferences"}' | ipfs-accelerate call query_results -`,
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return tools.Names(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		i := slices.Index(tools.Names(), args[0])
		if i < 0 {
			return unknownTool(args[0])
		}
		raw, err := c.arguments(args[1:])
		if err != nil {
			return err
		}
		return c.with(func(a *app) error { return c.callTool(cmd, tools.All(a.engine, a.log)[i], raw) })
	}
	return cmd
}

func unknownTool(name string) error {
	if s := engine.Suggest(name, tools.Names()); s != "" {
		return usageError{fmt.Errorf("unknown tool %q; did you mean %q?", name, s)}
	}
	return usageError{fmt.Errorf("unknown tool %q; the tools are %s", name, strings.Join(tools.Names(), ", "))}
}

// arguments returns a call's arguments, which must be JSON.
func (c *cli) arguments(args []string) (json.RawMessage, error) {
	raw, err := c.rawArguments(args)
	if err != nil {
		return nil, err
	}
	var value json.RawMessage
	if err := json.Unmarshal(raw, &value); err != nil {
		return nil, usageError{fmt.Errorf("the arguments are not JSON: %w", err)}
	}
	return raw, nil
}

// rawArguments reads a call's arguments: given, from stdin or from a file.
func (c *cli) rawArguments(args []string) (json.RawMessage, error) {
	switch {
	case len(args) == 0:
		return json.RawMessage("{}"), nil
	case args[0] == "-":
		return readArguments(c.in)
	case strings.HasPrefix(args[0], "@"):
		f, err := os.Open(args[0][1:])
		if err != nil {
			return nil, missing(args[0][1:], err)
		}
		defer f.Close()
		return readArguments(f)
	}
	return json.RawMessage(args[0]), nil
}

func readArguments(r io.Reader) (json.RawMessage, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxArguments+1))
	if err != nil {
		return nil, usageError{err}
	}
	if len(data) > maxArguments {
		return nil, usageError{fmt.Errorf("the arguments are over %d bytes", maxArguments)}
	}
	return bytes.TrimSpace(data), nil
}

// callTool calls a tool and prints its structured content, on failure too.
func (c *cli) callTool(cmd *cobra.Command, t server.ServerTool, raw json.RawMessage) error {
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.RawArguments = t.Tool.Name, raw
	res, err := t.Handler(cmd.Context(), req)
	if err != nil {
		return err
	}
	if err := c.printJSON(res.StructuredContent); err != nil || !res.IsError {
		return err
	}
	var failed struct {
		Error engine.ErrorInfo `json:"error"`
	}
	data, err := json.Marshal(res.StructuredContent)
	if err == nil {
		err = json.Unmarshal(data, &failed)
	}
	if err != nil {
		return err
	}
	return shownError{exitCode(&engine.Error{Code: failed.Error.Code})}
}
