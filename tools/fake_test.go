package tools

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A fake is an engine that keeps what it was asked and answers what it was
// given to answer.
type fake struct {
	detect    func(context.Context, engine.DetectRequest, func(engine.Progress)) (engine.Detection, error)
	fetch     func(context.Context, engine.FetchRequest, func(engine.Progress)) (engine.Fetching, error)
	infer     func(context.Context, engine.InferRequest, func(engine.Progress)) (engine.Inference, error)
	benchmark func(context.Context, engine.BenchmarkRequest, func(engine.Progress)) (engine.Benchmark, error)
	results   func(context.Context, engine.ResultsRequest, func(engine.Progress)) (engine.Results, error)
}

func (f *fake) Detect(ctx context.Context, r engine.DetectRequest, p func(engine.Progress)) (engine.Detection, error) {
	return f.detect(ctx, r, p)
}

func (f *fake) Fetch(ctx context.Context, r engine.FetchRequest, p func(engine.Progress)) (engine.Fetching, error) {
	return f.fetch(ctx, r, p)
}

func (f *fake) Infer(ctx context.Context, r engine.InferRequest, p func(engine.Progress)) (engine.Inference, error) {
	return f.infer(ctx, r, p)
}

func (f *fake) Benchmark(ctx context.Context, r engine.BenchmarkRequest, p func(engine.Progress)) (engine.Benchmark, error) {
	return f.benchmark(ctx, r, p)
}

func (f *fake) Results(ctx context.Context, r engine.ResultsRequest, p func(engine.Progress)) (engine.Results, error) {
	return f.results(ctx, r, p)
}

// answer is a method of an engine that answers a.
func answer[R, A any](a A, err error) func(context.Context, R, func(engine.Progress)) (A, error) {
	return func(context.Context, R, func(engine.Progress)) (A, error) { return a, err }
}

// answering returns an engine that answers what fill makes of each answer.
func answering(fill func(reflect.Value)) *fake {
	var d engine.Detection
	var f engine.Fetching
	var i engine.Inference
	var b engine.Benchmark
	var r engine.Results
	for _, v := range []any{&d, &f, &i, &b, &r} {
		fill(reflect.ValueOf(v).Elem())
	}
	return &fake{
		answer[engine.DetectRequest](d, nil), answer[engine.FetchRequest](f, nil), answer[engine.InferRequest](i, nil),
		answer[engine.BenchmarkRequest](b, nil), answer[engine.ResultsRequest](r, nil),
	}
}

// failing returns an engine whose every answer is err.
func failing(err error) *fake {
	return &fake{
		answer[engine.DetectRequest](engine.Detection{}, err), answer[engine.FetchRequest](engine.Fetching{}, err),
		answer[engine.InferRequest](engine.Inference{}, err), answer[engine.BenchmarkRequest](engine.Benchmark{}, err),
		answer[engine.ResultsRequest](engine.Results{}, err),
	}
}

// full sets every field, through all pointers, slices and structs.
func full(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1, 0).UTC()))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(`{"k":[1,null]}`)))
		return
	case json.Number:
		v.Set(reflect.ValueOf(json.Number("1.5")))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); v.Field(i).CanSet() {
				full(v.Field(i))
				if _, word, ok := strings.Cut(f.Tag.Get("jsonschema"), "enum="); ok {
					word, _, _ = strings.Cut(word, ",")
					v.Field(i).SetString(word)
				}
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		full(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		full(v.Index(0))
		full(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		full(key)
		full(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Array:
		for i := range v.Len() {
			full(v.Index(i))
		}
	case reflect.String:
		v.SetString("text <&>")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1<<53 + 1)
	case reflect.Float64, reflect.Float32:
		v.SetFloat(0.5)
	case reflect.Uint8:
		v.SetUint(7)
	default:
		panic("fake: a field of kind " + v.Kind().String())
	}
}

// sparse sets nothing but empty slices: all that may be null is.
func sparse(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			if f.CanSet() {
				sparse(f)
			}
		}
	case reflect.Slice:
		if v.Type() != reflect.TypeFor[json.RawMessage]() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
	default:
	}
}

// nulls sets all but pointers, so that the elements of slices show null too.
func nulls(v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		return
	}
	full(v)
	forget(v)
}

func forget(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.SetZero()
	case reflect.Struct:
		for _, f := range v.Fields() {
			if f.CanSet() {
				forget(f)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			forget(v.Index(i))
		}
	default:
	}
}

func tool(t *testing.T, e Engine, name string) server.ServerTool {
	t.Helper()
	for _, tool := range All(e, nil) {
		if tool.Tool.Name == name {
			return tool
		}
	}
	t.Fatalf("no tool %q", name)
	return server.ServerTool{}
}

// call calls a tool and checks that its structured content is its text.
func call(t *testing.T, tool server.ServerTool, args string) *mcp.CallToolResult {
	t.Helper()
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.RawArguments = tool.Tool.Name, json.RawMessage(args)
	res, err := tool.Handler(t.Context(), req)
	if err != nil {
		t.Fatalf("%s: a protocol error: %v", tool.Tool.Name, err)
	}
	structured, err := compact(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	if text := res.Content[0].(mcp.TextContent).Text; text != string(structured) {
		t.Errorf("text is\n%s\nstructured content is\n%s", text, structured)
	}
	return res
}

// failed returns what a failed call says.
func failed(t *testing.T, res *mcp.CallToolResult) engine.ErrorInfo {
	t.Helper()
	var f struct{ Error *engine.ErrorInfo }
	if err := json.Unmarshal(res.StructuredContent.(json.RawMessage), &f); err != nil || f.Error == nil || !res.IsError {
		t.Fatalf("no tool error: %s", res.StructuredContent)
	}
	return *f.Error
}
