package resources

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"path"
	"strings"

	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A View is a resource that the program makes, such as its configuration.
type View struct {
	URI, Name, Description string
	MIMEType               string // "" means application/json
	Read                   func(ctx context.Context) ([]byte, error)
}

// Views returns resources of views. A nil log is silence.
func Views(views []View, log *slog.Logger) []server.ServerResource {
	s := shelf{logger(log)}
	var out []server.ServerResource
	for _, v := range views {
		if v.MIMEType == "" {
			v.MIMEType = "application/json"
		}
		r := s.fixed(v.URI, v.Name, v.Description, func(ctx context.Context, _ string) (content, error) {
			data, err := v.Read(ctx)
			return content{data, v.MIMEType}, err
		})
		r.Resource.MIMEType = v.MIMEType
		out = append(out, r)
	}
	return out
}

//go:embed docs/*.md
var docs embed.FS

// Pages returns the names of the pages at docs://{page}, in order.
func Pages() []string {
	files, err := fs.Glob(docs, "docs/*.md")
	if err != nil { // the pattern is right
		panic(err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".md")
	}
	return files
}

// page is a page of the documentation.
func page(name string) (content, error) {
	data, err := docs.ReadFile("docs/" + name + ".md")
	if err != nil || strings.Contains(name, "/") {
		e := engine.Errorf(engine.ErrInvalidArgument, "there is no page %q", name)
		return content{}, e.WithHint("the pages are %s", strings.Join(Pages(), ", "))
	}
	return content{data, "text/markdown"}, nil
}
