//go:build unix

package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

// maxAnswer is how long an answer may be that nobody asked to be full.
const maxAnswer = 8000

// An agent works through a session with real models: it embeds and compares,
// classifies, reads a picture's text, transcribes, and asks a question. Each
// answer has what it needs, in few bytes.
func TestAgent_session(t *testing.T) {
	sounds, pictures, heads := beckett(t), absolute(t, realModels), absolute(t, "testdata/heads")
	models := map[string]string{
		"minilm": minilm(t).Dir, "sentiment": filepath.Join(heads, "sentiment"), "ocr": ocr(t), "whisper": whisper(t), "smollm2": smolLM2(t),
	}
	allow := []string{sounds, pictures}
	for _, dir := range models {
		allow = append(allow, dir)
	}
	c := agent(t, allow)
	for _, step := range []struct {
		model string
		with  map[string]any
		wants []string
	}{
		{"minilm", map[string]any{"inputs": []string{"a cat on a mat", "a kitten on a rug", "stocks fell"}, "parameters": map[string]any{"similarity": true}}, []string{`"similarity":[[1,`, `"dim":384`}},
		{"sentiment", map[string]any{"inputs": []string{"what a good film"}}, []string{`"label":"`, `"score":`}},
		{"ocr", map[string]any{"inputs": []string{filepath.Join(pictures, "page.png")}}, []string{"Inference Server 2026", `"box":`}},
		{"whisper", map[string]any{"inputs": []string{filepath.Join(sounds, "beckett.wav")}}, []string{"Fail again. Fail better."}},
		{"smollm2", map[string]any{"inputs": []string{question}}, []string{"The capital of France is Paris.", `"finish_reason":"stop"`}},
	} {
		step.with["model"] = models[step.model]
		answer := ask(t, c, "run_inference", step.with)
		for _, want := range step.wants {
			if !strings.Contains(answer, want) {
				t.Errorf("%s: %s is not in %.600s", step.model, want, answer)
			}
		}
		if len(answer) > maxAnswer {
			t.Errorf("%s: an answer of %d bytes", step.model, len(answer))
		}
	}
	if spent := ask(t, c, "query_results", map[string]any{"report": "inferences"}); !strings.Contains(spent, "text-generation") {
		t.Errorf("what it cost: %.600s", spent)
	}
}

func absolute(t *testing.T, dir string) string {
	t.Helper()
	abs, err := filepath.Abs(dir)
	must(t, err)
	return abs
}

// agent is a client of the whole program, over pipes.
func agent(t *testing.T, allow []string) *client.Client {
	t.Helper()
	server := filepath.Join(t.TempDir(), "ipfs-accelerate")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", server, "../ipfs-accelerate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	args := []string{"serve"}
	for _, dir := range allow {
		args = append(args, "--allow-path", dir)
	}
	env := append(os.Environ(), "IPFS_ACCELERATE_HOME="+t.TempDir(), "IPFS_ACCELERATE_NATIVE="+program, "ORT_LIB="+enginetest.Runtime(t))
	c, err := client.NewStdioMCPClient(server, env, args...)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion, hello.Params.ClientInfo = mcp.LATEST_PROTOCOL_VERSION, mcp.Implementation{Name: "agent", Version: "1"}
	_, err = c.Initialize(t.Context(), hello)
	must(t, err)
	return c
}

// ask calls a tool and returns its answer as the agent reads it.
func ask(t *testing.T, c *client.Client, tool string, arguments map[string]any) string {
	t.Helper()
	var r mcp.CallToolRequest
	r.Params.Name, r.Params.Arguments = tool, arguments
	answer, err := c.CallTool(t.Context(), r)
	must(t, err)
	data, err := json.Marshal(answer.StructuredContent)
	must(t, err)
	if answer.IsError {
		t.Fatalf("%s: %s", tool, data)
	}
	return string(data)
}

// Raw tensors of strings go in and come out, and sequences of them.
func TestAgent_rawStrings(t *testing.T) {
	dir := absolute(t, "testdata/tabular/words")
	c := agent(t, []string{dir})
	word := map[string]any{"name": "word", "shape": []int{2}, "strings": []string{"fox", "Füchse " + strings.Repeat("x", 100)}}
	answer := ask(t, c, "run_inference", map[string]any{"model": dir, "tensors": []any{word}})
	for _, want := range []string{`"strings":["foxes","?"]`, `"shape":[2,2],"strings":["fox","Füchse xxx`, `x…","foxes"`, `"preview":[5,-1,5,-1,5,-1]`} {
		if !strings.Contains(answer, want) {
			t.Errorf("%s is not in %s", want, answer)
		}
	}
}
