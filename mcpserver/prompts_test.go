package mcpserver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// completion is what an argument completes to.
func completion(t *testing.T, c *conn, ref, argument, value string) []string {
	t.Helper()
	c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":5,"method":"completion/complete","params":{"ref":%s,"argument":{"name":%q,"value":%q}}}`, ref, argument, value))
	var m struct {
		Result struct {
			Completion struct{ Values []string }
		}
	}
	if err := json.Unmarshal(c.receive(), &m); err != nil || m.Result.Completion.Values == nil {
		t.Fatalf("%+v, %v", m, err)
	}
	return m.Result.Completion.Values
}

// What a person types is completed by what there is, as it is spelled.
func TestCompletions(t *testing.T) {
	e, srv := newShifting()
	e.add("bafyOne")
	c := dial(t, srv, time.Minute)
	c.send(initialize)
	c.receive()
	const prompt, template = `{"type":"ref/prompt","name":"compare-devices"}`, `{"type":"ref/resource","uri":"models://{cid}"}`
	for _, want := range []struct{ ref, argument, value, first string }{
		{prompt, "model", "", "Name-of-bafyOne"},
		{prompt, "model", "name", "Name-of-bafyOne"},
		{prompt, "model", "bafy", "bafyOne"},
		{prompt, "model", "ONE", "Name-of-bafyOne"},
		{prompt, "model", "nope", ""},
		{prompt, "job", "", ""},
		{`{"type":"ref/prompt","name":"choose-model"}`, "device", "c", "cpu"},
		{template, "cid", "", "bafyOne"},
	} {
		got := append(completion(t, c, want.ref, want.argument, want.value), "")
		if got[0] != want.first {
			t.Errorf("%s %q completes to %q, want %q", want.argument, want.value, got, want.first)
		}
	}
	c.close()
}

// Every prompt says what it was given; what is missing is named.
func TestPrompts(t *testing.T) {
	c := dial(t, newServer(newFake()), time.Minute)
	c.send(initialize)
	c.receive()
	for call, wants := range map[string][]string{
		`"name":"choose-model","arguments":{"job":"find cats","device":"cuda:0"}`: {"find cats", `\"cuda:0\"`, "run_inference"},
		`"name":"choose-model","arguments":{"job":"find cats"}`:                   {"find cats", "any device"},
		`"name":"compare-devices","arguments":{"model":"minilm"}`:                 {`\"minilm\"`, "run_benchmark", "query_results"},
		`"name":"diagnose","arguments":{"run_id":"R1"}`:                           {"results://R1", "detect_hardware"},
		`"name":"diagnose"`:                       {"report errors"},
		`"name":"choose-model"`:                   {`"error"`, `\"job\"`},
		`"name":"compare-devices","arguments":{}`: {`"error"`, `\"model\"`},
		`"name":"nope"`:                           {`"error"`},
	} {
		c.send(`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{` + call + `}}`)
		got := string(c.receive())
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %s: %s", call, want, got)
			}
		}
	}
	c.close()
}

// The instructions fit into a kilobyte and name all five tools.
func TestInstructions(t *testing.T) {
	c := dial(t, newServer(newFake()), time.Minute)
	c.send(initialize)
	var m struct {
		Result struct {
			Instructions string
			ServerInfo   struct {
				Title string
				Icons []struct{ Src string }
			}
		}
	}
	if err := json.Unmarshal(c.receive(), &m); err != nil {
		t.Fatal(err)
	}
	text := m.Result.Instructions
	for _, tool := range []string{"detect_hardware", "fetch_model_cid", "run_inference", "run_benchmark", "query_results"} {
		if !strings.Contains(text, tool) {
			t.Errorf("%s is not named", tool)
		}
	}
	if len(text) >= 1024 || m.Result.ServerInfo.Title == "" || len(m.Result.ServerInfo.Icons) != 1 {
		t.Errorf("%d bytes, %+v", len(text), m.Result.ServerInfo)
	}
	c.close()
}
