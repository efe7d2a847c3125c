package resources

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// An Engine is what the resources need of [*engine.Engine].
type Engine interface {
	Detect(ctx context.Context, r engine.DetectRequest, report func(engine.Progress)) (engine.Detection, error)
	Models(ctx context.Context) ([]engine.StoredModel, error)
	Results(ctx context.Context, r engine.ResultsRequest, report func(engine.Progress)) (engine.Results, error)
	File(run, name string) (data []byte, mediaType string, err error)
	TaskDoc(task string) (string, error)
}

// All returns the resources, in the order they are listed. A nil log is
// silence.
func All(e Engine, log *slog.Logger) []server.ServerResource {
	s := shelf{logger(log)}
	out := []server.ServerResource{
		s.fixed("hardware://", "Hardware", "What this machine can run models on", func(ctx context.Context, _ string) (content, error) {
			return asJSON(e.Detect(ctx, engine.DetectRequest{}, ignore))
		}),
		s.fixed("models://", "Models", "The models in the local store", func(ctx context.Context, _ string) (content, error) {
			return asJSON(models(ctx, e))
		}),
	}
	for _, name := range Pages() {
		r := s.fixed("docs://"+name, name, "The documentation on "+name, func(context.Context, string) (content, error) { return page(name) })
		r.Resource.MIMEType = "text/markdown"
		out = append(out, r)
	}
	return out
}

// Templates returns the resources that are named by a value in their URI. A
// nil log is silence.
func Templates(e Engine, log *slog.Logger) []server.ServerResourceTemplate {
	s := shelf{logger(log)}
	return []server.ServerResourceTemplate{
		s.template("models://{cid}", "Model", "One model, with its files", func(ctx context.Context, uri string) (content, error) {
			return asJSON(model(ctx, e, strings.TrimPrefix(uri, "models://")))
		}),
		s.template("results://{run_id}", "Run", "A run with its answer", func(ctx context.Context, uri string) (content, error) {
			return asJSON(e.Results(ctx, engine.ResultsRequest{RunID: strings.TrimPrefix(uri, "results://")}, ignore))
		}),
		s.template("results://{run_id}/{file}", "File of a run", "A picture or array that a run made", func(_ context.Context, uri string) (content, error) {
			run, file, _ := strings.Cut(strings.TrimPrefix(uri, "results://"), "/")
			if name, err := url.PathUnescape(file); err == nil {
				file = name
			}
			data, mediaType, err := e.File(run, file)
			return content{data, mediaType}, err
		}),
		s.template("docs://tasks/{task}", "Task", "The parameters and outputs of a task", func(_ context.Context, uri string) (content, error) {
			text, err := e.TaskDoc(strings.TrimPrefix(uri, "docs://tasks/"))
			return content{[]byte(text), "text/markdown"}, err
		}),
		s.template("docs://{page}", "Documentation", "A page of the documentation", func(_ context.Context, uri string) (content, error) {
			return page(strings.TrimPrefix(uri, "docs://"))
		}),
	}
}

// Models returns a resource for each model that is here, so that an agent
// finds them in the list of resources: those that were named first, at most
// [MaxListed] of them.
func Models(ctx context.Context, e Engine, log *slog.Logger) ([]server.ServerResource, error) {
	s := shelf{logger(log)}
	stored, err := e.Models(ctx)
	if err != nil {
		return nil, err
	}
	var out []server.ServerResource
	for _, m := range stored[:min(len(stored), MaxListed)] {
		name := m.Root
		if len(m.Names) > 0 {
			name = m.Names[0]
		}
		out = append(out, s.fixed("models://"+m.Root, name, fmt.Sprintf("A model of %d bytes in the local store", m.Bytes), func(ctx context.Context, uri string) (content, error) {
			return asJSON(model(ctx, e, strings.TrimPrefix(uri, "models://")))
		}))
	}
	return out, nil
}

// MaxListed bounds how many models the list of resources names. All are at
// models://.
const MaxListed = 100

// content is what reading a resource gives.
type content struct {
	data      []byte
	mediaType string
}

type reader func(ctx context.Context, uri string) (content, error)

// A shelf makes readers into resources.
type shelf struct{ log *slog.Logger }

func logger(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

func (s shelf) fixed(uri, name, description string, read reader) server.ServerResource {
	return server.ServerResource{
		Resource: mcp.NewResource(uri, name, mcp.WithResourceDescription(description), mcp.WithMIMEType("application/json")),
		Handler:  s.handler(read),
	}
}

func (s shelf) template(uri, name, description string, read reader) server.ServerResourceTemplate {
	return server.ServerResourceTemplate{
		Template: mcp.NewResourceTemplate(uri, name, mcp.WithTemplateDescription(description)),
		Handler:  server.ResourceTemplateHandlerFunc(s.handler(read)),
	}
}

func (s shelf) handler(read reader) server.ResourceHandlerFunc {
	return func(ctx context.Context, req mcp.ReadResourceRequest) (out []mcp.ResourceContents, err error) {
		uri := req.Params.URI
		defer func() {
			if p := recover(); p != nil {
				err = s.explain(ctx, uri, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		c, err := read(ctx, uri)
		if err != nil {
			return nil, s.explain(ctx, uri, err)
		}
		return c.as(uri), nil
	}
}

// explain says what a client is told of a failure: its cause goes to the log,
// for it may hold paths.
func (s shelf) explain(ctx context.Context, uri string, err error) error {
	info := engine.Explain(err)
	if info.Code == engine.ErrInternal {
		s.log.ErrorContext(ctx, "a resource can't be read", "uri", uri, "error", err)
	}
	if info.Hint == "" {
		return errors.New(info.Message)
	}
	return fmt.Errorf("%s; %s", info.Message, info.Hint)
}

// as returns the content as text or, if it is none, as base64.
func (c content) as(uri string) []mcp.ResourceContents {
	if strings.HasPrefix(c.mediaType, "text/") || c.mediaType == "application/json" {
		return []mcp.ResourceContents{mcp.TextResourceContents{URI: uri, MIMEType: c.mediaType, Text: string(c.data)}}
	}
	return []mcp.ResourceContents{mcp.BlobResourceContents{URI: uri, MIMEType: c.mediaType, Blob: base64.StdEncoding.EncodeToString(c.data)}}
}

func asJSON[T any](v T, err error) (content, error) {
	if err != nil {
		return content{}, err
	}
	data, err := json.Marshal(v)
	return content{data, "application/json"}, err
}

func ignore(engine.Progress) {}

// modelList is the content of models://.
type modelList struct {
	Models []modelEntry `json:"models"`
}

// A modelEntry is one model; Files only where one model is asked for.
type modelEntry struct {
	CID        string               `json:"cid"`
	Names      []string             `json:"names"`
	Bytes      int64                `json:"bytes"`
	FilesTotal int                  `json:"files_total"`
	Files      []engine.FetchedFile `json:"files,omitempty"`
	Complete   bool                 `json:"complete"`
	Pinned     bool                 `json:"pinned"`
	Origin     string               `json:"origin,omitempty"`
	License    string               `json:"license,omitempty"`
	Task       string               `json:"task,omitempty"`
	AddedAt    time.Time            `json:"added_at"`
}

func models(ctx context.Context, e Engine) (modelList, error) {
	stored, err := e.Models(ctx)
	list := modelList{Models: []modelEntry{}}
	for _, m := range stored {
		list.Models = append(list.Models, entry(m))
	}
	return list, err
}

func model(ctx context.Context, e Engine, ref string) (modelEntry, error) {
	stored, err := e.Models(ctx)
	if err != nil {
		return modelEntry{}, err
	}
	for _, m := range stored {
		if m.Root != ref && !slices.Contains(m.Names, ref) {
			continue
		}
		out := entry(m)
		for _, f := range m.Files {
			out.Files = append(out.Files, engine.FetchedFile{Name: f.Name, Bytes: f.Bytes, CID: f.CID, Storage: string(f.Storage)})
		}
		return out, nil
	}
	return modelEntry{}, engine.Errorf(engine.ErrModelNotFound, "model %q is not here", ref).WithHint("models:// lists those that are")
}

func entry(m engine.StoredModel) modelEntry {
	names := m.Names
	if names == nil {
		names = []string{}
	}
	return modelEntry{
		CID: m.Root, Names: names, Bytes: m.Bytes, FilesTotal: len(m.Files), Complete: m.Complete, Pinned: m.Pinned,
		Origin: m.Origin, License: m.License, Task: m.Task, AddedAt: m.AddedAt,
	}
}
