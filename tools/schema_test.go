package tools

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

var update = flag.Bool("update", false, "rewrite the snapshots")

// What a client sees of each tool is a committed file: a change of it is a
// change for every user, to be seen in review.
func TestTools_snapshots(t *testing.T) {
	for _, tool := range All(&fake{}, nil) {
		got, err := json.MarshalIndent(tool.Tool, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		file := filepath.Join("testdata", "schemas", tool.Tool.Name+".json")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs from its snapshot (go test ./tools -update accepts it):\n%s", file, diff)
		}
	}
	files, err := filepath.Glob("testdata/schemas/*.json")
	if err != nil || len(files) != len(Names()) {
		t.Errorf("%d snapshots of %d tools, %v", len(files), len(Names()), err)
	}
}

func TestTools_namesInOrder(t *testing.T) {
	var got []string
	for _, tool := range All(&fake{}, nil) {
		got = append(got, tool.Tool.Name)
	}
	if !slices.Equal(got, Names()) {
		t.Errorf("%v, %v", got, Names())
	}
}

// The list is read in every conversation of every user.
func TestTools_listIsShort(t *testing.T) {
	const limit = 12_000
	var list mcp.ListToolsResult
	for _, tool := range All(&fake{}, nil) {
		list.Tools = append(list.Tools, tool.Tool)
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("tools/list has %d bytes of %d", len(data), limit)
	if len(data) > limit {
		t.Errorf("tools/list has %d bytes, over %d", len(data), limit)
	}
}

func TestTools_annotations(t *testing.T) {
	want := map[string][4]bool{ // readOnly, destructive, idempotent, openWorld
		"detect_hardware": {true, false, true, false},
		"fetch_model_cid": {false, false, true, true},
		"run_inference":   {false, false, false, true},
		"run_benchmark":   {false, false, false, true},
		"query_results":   {true, false, true, false},
	}
	for _, tool := range All(&fake{}, nil) {
		a := tool.Tool.Annotations
		for i, hint := range []*bool{a.ReadOnlyHint, a.DestructiveHint, a.IdempotentHint, a.OpenWorldHint} {
			if hint == nil || *hint != want[tool.Tool.Name][i] {
				t.Errorf("%s: annotation %d is %v", tool.Tool.Name, i, hint)
			}
		}
		if tool.Tool.Title == "" || len(tool.Tool.Description) < 100 {
			t.Errorf("%s: title %q, description %q", tool.Tool.Name, tool.Tool.Title, tool.Tool.Description)
		}
	}
}

// contract are the field names that tests, clients and pages agreed on; those
// of parts to come are not in it.
var contract = map[string]struct{ in, out string }{
	"detect_hardware": {"platforms refresh detail", "host platforms best checked_at"},
	"fetch_model_cid": {
		"model name files sources max_bytes pin mode cancel",
		"cid name bytes files files_total path complete verified level storage sources task signature license origin pinned timings_ms",
	},
	"run_inference": {
		"model task inputs records tensors input_file parameters device precision mode detail output_file explain cancel",
		"task outputs tensors similarity device tried ranking timings_ms cache recorded files truncated",
	},
	"run_benchmark": {
		"model task inputs workload devices batch_sizes precision iterations duration_s warmup parameters baseline tune mode cancel",
		"results comparison task plan machine_id software_id files",
	},
	"query_results": {
		"report run_id sql model device workload baseline since limit cursor fields chart",
		"report columns rows total truncated next_cursor pending_rows sandbox run comparison files",
	},
}

// common are the fields that every output has.
const common = "run_id status progress model warnings summary next_steps error"

func TestTools_fieldNames(t *testing.T) {
	for _, tool := range All(&fake{}, nil) {
		want := contract[tool.Tool.Name]
		wantFields(t, tool.Tool.Name+" input", tool.Tool.RawInputSchema, want.in)
		wantFields(t, tool.Tool.Name+" output", tool.Tool.RawOutputSchema, common+" "+want.out)
	}
}

func wantFields(t *testing.T, what string, schema json.RawMessage, fields string) {
	t.Helper()
	var p property
	if err := json.Unmarshal(schema, &p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(strings.Fields(fields))), slices.Sorted(maps.Keys(p.Properties))); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// What some client or model refuses in a schema.
func TestTools_schemasArePortable(t *testing.T) {
	for _, tool := range All(&fake{}, nil) {
		in, out := schemaDoc(t, tool.Tool.RawInputSchema), schemaDoc(t, tool.Tool.RawOutputSchema)
		lint(t, tool.Tool.Name+" input", in)
		lint(t, tool.Tool.Name+" output", out)
		if in["type"] != "object" || in["additionalProperties"] != false {
			t.Errorf("%s: the input is no closed object", tool.Tool.Name)
		}
		properties, _ := out["properties"].(map[string]any)
		if out["type"] != "object" || out["additionalProperties"] != nil || out["required"] != nil || properties["error"] == nil {
			t.Errorf("%s: the output is no open object with an error", tool.Tool.Name)
		}
	}
}

func schemaDoc(t *testing.T, schema json.RawMessage) map[string]any {
	t.Helper()
	mustCompile(schema) // panics
	var doc map[string]any
	if err := json.Unmarshal(schema, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// lint walks a schema. Every object in it is a schema or a map of schemas.
func lint(t *testing.T, where string, schema map[string]any) {
	t.Helper()
	for key, value := range schema {
		switch key {
		case "oneOf", "anyOf", "allOf", "not", "if", "$ref", "$defs", "patternProperties", "const":
			t.Errorf("%s: has %s", where, key)
		case "type":
			if _, ok := value.(string); !ok {
				t.Errorf("%s: type is %v", where, value)
			}
		case "properties":
			for name, p := range value.(map[string]any) {
				sub, ok := p.(map[string]any)
				if !ok {
					t.Errorf("%s.%s: is %v, no object", where, name, p)
				}
				lint(t, where+"."+name, sub)
			}
		case "items", "additionalProperties":
			sub, ok := value.(map[string]any)
			if !ok && (key != "additionalProperties" || value != false) {
				t.Errorf("%s: %s is %v", where, key, value)
			}
			lint(t, where+"."+key, sub)
		}
	}
	if schema["type"] == "array" && schema["items"] == nil {
		t.Errorf("%s: an array of nothing said", where)
	}
}

// Whatever an engine answers fits the schema that was published, and the
// whole one that it is short for.
func TestTools_answersFitTheirSchema(t *testing.T) {
	whole := map[string]any{
		"detect_hardware": engine.Detection{}, "fetch_model_cid": engine.Fetching{}, "run_inference": engine.Inference{},
		"run_benchmark": engine.Benchmark{}, "query_results": engine.Results{},
	}
	for name, e := range map[string]Engine{
		"full": answering(full), "sparse": answering(sparse), "nulls": answering(nulls), "failed": failing(os.ErrClosed),
	} {
		for _, tool := range All(e, nil) {
			res := call(t, tool, `{}`)
			if res.IsError != (name == "failed") {
				t.Errorf("%s %s: %s", name, tool.Tool.Name, res.StructuredContent)
			}
			wantFits(t, name+" "+tool.Tool.Name, tool.Tool.RawOutputSchema, res)
			wantFits(t, name+" "+tool.Tool.Name+" in full", encode(schemaOf(whole[tool.Tool.Name], true)), res)
		}
	}
}

func wantFits(t *testing.T, what string, schema json.RawMessage, res *mcp.CallToolResult) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(res.StructuredContent.(json.RawMessage)))
	if err != nil {
		t.Fatal(err)
	}
	if err := mustCompile(schema).Validate(doc); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}
