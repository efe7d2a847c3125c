package mcpserver

import (
	"context"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// prompts are what a person can pick from a client's menu.
func prompts() []server.ServerPrompt {
	return []server.ServerPrompt{
		prompt("choose-model", "Choose a model", "Find the model that fits a job on this machine, and try it", chooseModel,
			argument("job", "What the model is to do, such as: find faces in pictures", true),
			argument("device", "Where it is to run; any device if left out", false)),
		prompt("compare-devices", "Compare devices", "Measure a model on the devices of this machine and say which to use", compareDevices,
			argument("model", "Name or CID of the model", true)),
		prompt("diagnose", "Diagnose", "Find out why something fails or is slow", diagnose,
			argument("run_id", "The run that is in question; the latest errors if left out", false)),
	}
}

func argument(name, description string, required bool) mcp.PromptOption {
	options := []mcp.ArgumentOption{mcp.ArgumentDescription(description)}
	if required {
		options = append(options, mcp.RequiredArgument())
	}
	return mcp.WithArgument(name, options...)
}

func prompt(name, title, description string, write func(args map[string]string) string, options ...mcp.PromptOption) server.ServerPrompt {
	options = append(options, mcp.WithPromptTitle(title), mcp.WithPromptDescription(description))
	p := mcp.NewPrompt(name, options...)
	return server.ServerPrompt{Prompt: p, Handler: func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		for _, a := range p.Arguments {
			if a.Required && r.Params.Arguments[a.Name] == "" {
				return nil, fmt.Errorf("prompt %s needs the argument %q: %s", name, a.Name, a.Description)
			}
		}
		text := mcp.NewTextContent(write(r.Params.Arguments))
		return &mcp.GetPromptResult{Description: description, Messages: []mcp.PromptMessage{{Role: mcp.RoleUser, Content: text}}}, nil
	}}
}

func chooseModel(args map[string]string) string {
	where := "any device that detect_hardware calls available"
	if d := args["device"]; d != "" {
		where = fmt.Sprintf("the device %q; check with detect_hardware that it is available", d)
	}
	return fmt.Sprintf(`I need a model for this job: %s

1. Call detect_hardware; the model is to run on %s.
2. Read models:// for the models that are here. Prefer one whose task fits the job; if none does, say which kind of model is missing and ask me for its CID or path, then call fetch_model_cid.
3. Try the candidate with run_inference on one small example that you make up or ask me for. Look at the answer, not only at its status.
4. Call run_benchmark with workload latency on it.
Tell me which model to use, on which device, how long one input takes and what speaks against it. Report only what the tools answered.`, args["job"], where)
}

func compareDevices(args map[string]string) string {
	return fmt.Sprintf(`Compare the devices of this machine for the model %q.

1. Call detect_hardware and leave out devices that are not available; say why they are not.
2. Call run_benchmark with this model, devices ["all"] and workload latency, then with workload offline. If it answers status running, ask query_results with its run_id until it is done.
3. Call query_results with report compare for the two best devices.
Answer with a table of device, precision, p50 and p99 in milliseconds and throughput. Say which device to use for single requests and which for many. A verdict of indistinguishable or insufficient is an answer: don't turn it into a winner.`, args["model"])
}

func diagnose(args map[string]string) string {
	first := "Call query_results with report errors and since 24h, and take the latest error."
	if id := args["run_id"]; id != "" {
		first = fmt.Sprintf("Read results://%s, or call query_results with run_id %q.", id, id)
	}
	return first + `
Then find the cause:
1. Call detect_hardware: is the device that was used available, and what do its evidence, reason and fix say?
2. Read the model's entry at models://{cid}: is it complete?
3. If it was slow rather than wrong, compare its timings_ms (queue, fetch, load, run) with earlier runs of the same model: query_results with report history.
Say what happened, what the cause is and how sure you are, and the one thing to do next. Errors carry a hint: follow it before anything else.`
}
