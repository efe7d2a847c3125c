package resources_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/mcptest"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/resources"
)

// A fake is an engine with one model, one run and its two files.
type fake struct{ err error }

const run = "01a20571-29f2-7de3-8a5e-621a4649b54e"

var added = time.Unix(1_700_000_000, 0).UTC()

func (f fake) Detect(context.Context, engine.DetectRequest, func(engine.Progress)) (engine.Detection, error) {
	return engine.Detection{Best: "cpu", CheckedAt: added}, f.err
}

func (f fake) Models(context.Context) ([]engine.StoredModel, error) {
	m := engine.StoredModel{Root: "bafyroot", Names: []string{"one", "two"}, Bytes: 9, Complete: true, AddedAt: added}
	m.Files = slices.Grow(m.Files, 1)[:1] // its type is of the store
	m.Files[0].Name, m.Files[0].Bytes, m.Files[0].CID = "model.onnx", 9, "bafkfile"
	return []engine.StoredModel{m, {Root: "bafynameless"}}, f.err
}

func (f fake) Results(_ context.Context, r engine.ResultsRequest, _ func(engine.Progress)) (engine.Results, error) {
	if r.RunID != run {
		return engine.Results{}, engine.Errorf(engine.ErrRunNotFound, "no run %q is recorded", r.RunID)
	}
	return engine.Results{Rows: engine.Rows{}, Run: &engine.RunInfo{RunID: run, Kind: "inference"}}, f.err
}

func (f fake) File(id, name string) ([]byte, string, error) {
	files := map[string][]byte{"0.png": {0x89, 'P', 0xff}, "my file ä.txt": []byte("text")}
	data, ok := files[name]
	if !ok || id != run {
		return nil, "", engine.Errorf(engine.ErrRunNotFound, "no file %q of run %q is kept", name, id).WithHint("files are kept for 24 hours")
	}
	if strings.HasSuffix(name, ".txt") {
		return data, "text/plain; charset=utf-8", f.err
	}
	return data, "image/png", f.err
}

func (f fake) TaskDoc(task string) (string, error) {
	if task == "panic" {
		panic("in /secret/path")
	}
	if task != "feature-extraction" {
		return "", engine.Errorf(engine.ErrUnsupported, "unknown task %q", task)
	}
	return "# feature-extraction", f.err
}

func serve(t *testing.T, e resources.Engine, log *slog.Logger) *mcptest.Server {
	t.Helper()
	srv := mcptest.NewUnstartedServer(t)
	srv.AddResources(resources.All(e, log)...)
	srv.AddResourceTemplates(resources.Templates(e, log)...)
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

func read(t *testing.T, srv *mcptest.Server, uri string) (mcp.ResourceContents, error) {
	t.Helper()
	var req mcp.ReadResourceRequest
	req.Params.URI = uri
	res, err := srv.Client().ReadResource(t.Context(), req)
	if err != nil {
		return nil, err
	}
	if len(res.Contents) != 1 {
		t.Fatalf("%s: %d contents", uri, len(res.Contents))
	}
	return res.Contents[0], nil
}

func TestResources_read(t *testing.T) {
	srv := serve(t, fake{}, nil)
	for uri, want := range map[string]mcp.TextResourceContents{
		"hardware://": {MIMEType: "application/json", Text: `"best":"cpu"`},
		"models://": {MIMEType: "application/json", Text: `{"models":[{"cid":"bafyroot","names":["one","two"],"bytes":9,"files_total":1,"complete":true,"pinned":false,"added_at":"2023-11-14T22:13:20Z"},` +
			`{"cid":"bafynameless","names":[],`},
		"models://bafyroot": {MIMEType: "application/json", Text: `"files":[{"name":"model.onnx","bytes":9,"cid":"bafkfile"}]`},
		"models://two":      {MIMEType: "application/json", Text: `"cid":"bafyroot"`},
		"results://" + run:  {MIMEType: "application/json", Text: `"kind":"inference"`},
		"results://" + run + "/my%20file%20%C3%A4.txt": {MIMEType: "text/plain; charset=utf-8", Text: "text"},
		"docs://tasks/feature-extraction":              {MIMEType: "text/markdown", Text: "# feature-extraction"},
	} {
		got, err := read(t, srv, uri)
		if err != nil {
			t.Errorf("%s: %v", uri, err)
			continue
		}
		text, ok := got.(mcp.TextResourceContents)
		if !ok || text.URI != uri || text.MIMEType != want.MIMEType || !strings.Contains(text.Text, want.Text) {
			t.Errorf("%s: %+v", uri, got)
		}
		if text.MIMEType == "application/json" && !json.Valid([]byte(text.Text)) {
			t.Errorf("%s: not JSON: %s", uri, text.Text)
		}
	}
}

func TestResources_binary(t *testing.T) {
	got, err := read(t, serve(t, fake{}, nil), "results://"+run+"/0.png")
	if err != nil {
		t.Fatal(err)
	}
	blob, ok := got.(mcp.BlobResourceContents)
	if !ok || blob.MIMEType != "image/png" || blob.Blob != base64.StdEncoding.EncodeToString([]byte{0x89, 'P', 0xff}) {
		t.Errorf("%+v", got)
	}
}

func TestResources_unknown(t *testing.T) {
	srv := serve(t, fake{}, nil)
	for uri, want := range map[string]string{
		"nope://": "not found", "hardware://x": "not found", "hardware:/": "not found", "": "", "docs://tasks": "there is no page \"tasks\"; the pages are ", "docs://..": "there is no page", "docs://..%2Fviews": "",
		"models://bafynope":                            `model "bafynope" is not here; models:// lists those that are`,
		"results://nope":                               `no run "nope" is recorded`,
		"results://" + run + "/1.png":                  "is kept; files are kept for 24 hours",
		"results://" + run + "/..%2F..%2Fetc%2Fpasswd": "is kept",
		"results://" + run + "/a/b":                    "",
		"docs://tasks/nope":                            `unknown task "nope"`,
	} {
		if got, err := read(t, srv, uri); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", uri, got, err, want)
		}
	}
}

func TestResources_listed(t *testing.T) {
	c := serve(t, fake{}, nil).Client()
	list, err := c.ListResources(t.Context(), mcp.ListResourcesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	templates, err := c.ListResourceTemplates(t.Context(), mcp.ListResourceTemplatesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list.Resources {
		got = append(got, r.URI)
		if r.Name == "" || r.Description == "" || r.MIMEType == "" {
			t.Errorf("%+v", r)
		}
	}
	for _, r := range templates.ResourceTemplates {
		got = append(got, r.URITemplate.Raw())
		if r.Name == "" || r.Description == "" {
			t.Errorf("%+v", r)
		}
	}
	slices.Sort(got)
	for _, page := range resources.Pages() {
		i := slices.Index(got, "docs://"+page)
		if i < 0 {
			t.Fatalf("page %s is not listed", page)
		}
		got = slices.Delete(got, i, i+1)
	}
	want := []string{"docs://tasks/{task}", "docs://{page}", "hardware://", "models://", "models://{cid}", "results://{run_id}", "results://{run_id}/{file}"}
	if !slices.Equal(got, want) {
		t.Errorf("listed are %v", got)
	}
}

// What is our mistake is logged and not told.
func TestResources_internalErrorsStayInside(t *testing.T) {
	var log bytes.Buffer
	srv := serve(t, fake{fmt.Errorf("open: %w", errors.New("/secret/path"))}, slog.New(slog.NewTextHandler(&log, nil)))
	for _, uri := range []string{
		"hardware://", "models://", "models://bafyroot", "results://" + run, "results://" + run + "/0.png", "docs://tasks/feature-extraction", "docs://tasks/panic",
	} {
		log.Reset()
		_, err := read(t, srv, uri)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: told %v", uri, err)
		}
		if !strings.Contains(log.String(), "/secret/path") || !strings.Contains(log.String(), uri) {
			t.Errorf("%s: logged %q", uri, log.String())
		}
	}
}

func TestViews(t *testing.T) {
	srv := mcptest.NewUnstartedServer(t)
	srv.AddResources(resources.Views([]resources.View{
		{URI: "config://", Name: "Configuration", Description: "d", Read: func(context.Context) ([]byte, error) { return []byte(`{"a":1}`), nil }},
		{URI: "metrics://", Name: "Metrics", Description: "d", MIMEType: "text/plain", Read: func(context.Context) ([]byte, error) { return []byte("n 1"), nil }},
		{URI: "health://", Name: "Health", Description: "d", Read: func(context.Context) ([]byte, error) { return nil, errors.New("/secret/path") }},
	}, nil)...)
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	for uri, want := range map[string]mcp.TextResourceContents{
		"config://": {MIMEType: "application/json", Text: `{"a":1}`}, "metrics://": {MIMEType: "text/plain", Text: "n 1"},
	} {
		got, err := read(t, srv, uri)
		if text, ok := got.(mcp.TextResourceContents); err != nil || !ok || text.Text != want.Text || text.MIMEType != want.MIMEType {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
	}
	if _, err := read(t, srv, "health://"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("told %v", err)
	}
}

// Every page is served as it is.
func TestPages(t *testing.T) {
	srv := serve(t, fake{}, nil)
	for _, page := range resources.Pages() {
		got, err := read(t, srv, "docs://"+page)
		if text, ok := got.(mcp.TextResourceContents); err != nil || !ok || text.MIMEType != "text/markdown" || !strings.HasPrefix(text.Text, "# ") {
			t.Errorf("%s: %+v, %v", page, got, err)
		}
	}
	if len(resources.Pages()) < 3 {
		t.Error(resources.Pages())
	}
}
