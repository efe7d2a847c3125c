package engine

import (
	"cmp"
	"context"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A FetchRequest asks for a model.
type FetchRequest struct {
	Model    string   `json:"model,omitempty" jsonschema:"description=CID or /ipfs/CID[/path] or ipfs://CID or hf://org/name[@rev] or name[:tag] or path in an allowed folder,example=minilm"`
	Name     string   `json:"name,omitempty" jsonschema:"description=Name to keep it under"`
	Files    []string `json:"files,omitempty" jsonschema:"description=Only these files of it; * ? and ** match,example=*.json"`
	Sources  []string `json:"sources,omitempty" jsonschema:"description=Names of configured sources to use; all if empty"`
	MaxBytes int64    `json:"max_bytes,omitempty" jsonschema:"description=Refuse a larger model,default=4294967296,minimum=1"`
	Pin      bool     `json:"pin,omitempty" jsonschema:"description=Keep it when space is needed"`
	Exclude  []string `json:"-"` // patterns of files to leave out
	Replace  bool     `json:"-"` // Name may be another model's; it is moved then
	Mode     string   `json:"mode,omitempty" jsonschema:"enum=sync,enum=async,default=sync"`
	Cancel   string   `json:"cancel,omitempty" jsonschema:"description=A run_id to cancel"`
}

// defaultMaxBytes bounds a fetch that names no bound.
const defaultMaxBytes = 4 << 30

// maxListed bounds the files an answer lists.
const maxListed = 50

// A Fetching is what was fetched.
type Fetching struct {
	Common
	CID        string          `json:"cid,omitempty"`
	Name       string          `json:"name,omitempty"`
	Bytes      int64           `json:"bytes,omitempty"`
	Files      []FetchedFile   `json:"files,omitempty"`
	FilesTotal int             `json:"files_total,omitempty"`
	Path       string          `json:"path,omitempty"`
	Complete   bool            `json:"complete"`
	Verified   bool            `json:"verified"`
	Level      string          `json:"level,omitempty"`
	Storage    string          `json:"storage,omitempty" jsonschema:"enum=hardlink,enum=reflink,enum=copy,enum=reference"`
	Sources    []SourceUse     `json:"sources,omitempty"`
	Task       string          `json:"task,omitempty"`
	Signature  *Signature      `json:"signature,omitempty"`
	License    string          `json:"license,omitempty"`
	Origin     string          `json:"origin,omitempty"`
	Pinned     bool            `json:"pinned,omitempty"`
	TimingsMS  *FetchTimingsMS `json:"timings_ms,omitempty"`
}

// A FetchedFile is one file of a model.
type FetchedFile struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	CID   string `json:"cid"`
	// Storage is how the file is kept: hardlink, reflink, copy or reference.
	Storage string `json:"storage,omitempty"`
}

// SourceUse is what one source gave.
type SourceUse struct {
	Name   string  `json:"name"`
	Bytes  int64   `json:"bytes"`
	Blocks int64   `json:"blocks"`
	Errors int64   `json:"errors"`
	Score  float64 `json:"score"`
	Banned bool    `json:"banned"`
}

// FetchTimingsMS are the phases of a fetch in milliseconds.
type FetchTimingsMS struct {
	Find     float64 `json:"find"`
	Manifest float64 `json:"manifest"`
	Leaves   float64 `json:"leaves"`
	Sync     float64 `json:"sync"`
	Total    float64 `json:"total"`
}

// A Signature is what a model takes and gives.
type Signature struct {
	Inputs  []SignatureValue `json:"inputs"`
	Outputs []SignatureValue `json:"outputs"`
}

// A SignatureValue is one input or output. A dimension is a number or a name.
type SignatureValue struct {
	Name  string   `json:"name"`
	DType DataType `json:"dtype"`
	Shape []Dim    `json:"shape"`
}

// Fetch gets a model by its content, or takes a local one into the store.
func (e *Engine) Fetch(ctx context.Context, r FetchRequest, report func(Progress)) (Fetching, error) {
	if r.Cancel != "" {
		c, err := e.cancelRun(r.Cancel)
		return Fetching{Common: c}, err
	}
	if r.Model == "" {
		return Fetching{}, Errorf(ErrInvalidArgument, "no model is named").WithHint("pass \"model\": a CID, a name from models:// or a path")
	}
	return perform(ctx, e, job[Fetching]{kind: "fetch", mode: r.Mode, report: report, do: func(ctx context.Context, run *run) (Fetching, error) {
		start := time.Now()
		got, fetched, err := e.fetchModel(ctx, r, run.progress)
		err = causeOf(ctx, err)
		row := benchdb.Fetch{
			ID: run.id, Timestamp: start, ModelName: fetched.Name, ModelCID: fetched.Root, Bytes: fetchedBytes(fetched),
			Level: fetched.Level, TotalMS: ms(time.Since(start)), Environment: e.env().machine.ID, SoftwareID: e.software("").ID,
		}
		batch := benchdb.Batch{Environments: e.untold(e.env().machine, e.software(""))}
		if err != nil {
			row.Error = string(Explain(err).Code)
		} else {
			batch.Models = []benchdb.Model{{CID: got.CID, Timestamp: start, Name: got.Name, Task: got.Task, Bytes: got.Bytes, License: got.License}}
		}
		batch.Fetches = []benchdb.Fetch{row}
		e.record(ctx, batch)
		return got, err
	}})
}

func (e *Engine) fetchModel(ctx context.Context, r FetchRequest, report func(Progress)) (Fetching, ipfsstore.Fetched, error) {
	fetched, err := e.obtain(ctx, r, report)
	if err != nil {
		return Fetching{}, fetched, err
	}
	f := Fetching{
		CID: fetched.Root, Name: fetched.Name, Bytes: fetched.Bytes, FilesTotal: len(fetched.Files),
		Complete: fetched.Complete, Verified: true, Level: fetched.Level, Origin: fetched.Origin, Pinned: fetched.Pinned,
	}
	f.Model = &ModelRef{Name: fetched.Name, CID: fetched.Root}
	if e.o.Paths.All || len(e.o.Paths.Allowed) > 0 {
		f.Path = fetched.Dir
	}
	for _, file := range fetched.Files[:min(len(fetched.Files), maxListed)] {
		f.Files = append(f.Files, FetchedFile{Name: file.Name, Bytes: file.Bytes, CID: file.CID, Storage: string(file.Storage)})
		f.Storage = string(file.Storage)
	}
	for _, s := range fetched.Sources {
		f.Sources = append(f.Sources, SourceUse(s))
	}
	t := fetched.Timings
	f.TimingsMS = &FetchTimingsMS{Find: ms(t.Find), Manifest: ms(t.Manifest), Leaves: ms(t.Leaves), Sync: ms(t.Sync), Total: ms(t.Total)}
	e.describeModel(&f, fetched.Artifact)
	f.Summary = summaryOf(f)
	return f, fetched, nil
}

// obtain gets the model from wherever its reference leads.
func (e *Engine) obtain(ctx context.Context, r FetchRequest, report func(Progress)) (ipfsstore.Fetched, error) {
	limit := r.MaxBytes
	if limit == 0 {
		limit = defaultMaxBytes
	}
	progress := func(p ipfsstore.Progress) {
		report(Progress{Done: p.Done, Total: p.Total, Unit: "bytes", Message: p.Phase})
	}
	if e.isPath(ctx, r.Model) {
		return e.adopt(ctx, r, progress)
	}
	for _, s := range r.Sources {
		if names := e.o.Models.SourceNames(); !slices.Contains(names, s) {
			err := unknown(ErrInvalidArgument, "source", s, names)
			if len(names) == 0 {
				err.Hint = "no source is configured; name one with --source URL when the program is started"
			}
			return ipfsstore.Fetched{}, err
		}
	}
	start := time.Now()
	got, err := e.o.Models.Fetch(ctx, r.Model, ipfsstore.FetchOptions{
		Name: r.Name, Replace: r.Replace, Files: r.Files, Exclude: r.Exclude, Sources: r.Sources, MaxBytes: limit, Pin: r.Pin, Progress: progress,
	})
	e.asked(ctx, start, got.Sources, err)
	if err != nil {
		return got, e.storeError(ctx, r.Model, err)
	}
	return got, nil
}

// adopt takes a file or folder of this machine into the store.
func (e *Engine) adopt(ctx context.Context, r FetchRequest, progress func(ipfsstore.Progress)) (ipfsstore.Fetched, error) {
	if strings.HasPrefix(r.Model, "http://") || strings.HasPrefix(r.Model, "https://") {
		return ipfsstore.Fetched{}, Errorf(ErrInvalidArgument, "a model can't be fetched from a web address").
			WithHint("pass its CID: content is then verified whatever serves it; gateways are configured with --source URL")
	}
	path, err := e.o.Paths.Resolve(r.Model)
	if err != nil {
		return ipfsstore.Fetched{}, err
	}
	start := time.Now()
	a, err := e.o.Models.Add(ctx, path, ipfsstore.AddOptions{
		Name: r.Name, Suggest: catalogueName(path), Replace: r.Replace, Pin: r.Pin, Include: r.Files, Exclude: r.Exclude, Progress: progress,
	})
	if err != nil {
		return ipfsstore.Fetched{}, e.storeError(ctx, r.Model, err)
	}
	return ipfsstore.Fetched{Artifact: a, Level: "L2", Timings: ipfsstore.Timings{Total: time.Since(start)}}, nil
}

// catalogueName makes a name of a path's last element.
func catalogueName(p string) string {
	base := strings.TrimSuffix(filepath.Base(p), ".onnx")
	return strings.ToLower(strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", r) {
			return r
		}
		return '-'
	}, base))
}

// isPath reports whether a model reference is a path: it looks like one, and is
// no name in the catalogue, such as org/model.
func (e *Engine) isPath(ctx context.Context, ref string) bool {
	return isPath(ref) && !slices.Contains(e.modelNames(ctx), ref)
}

// isPath reports whether a model reference is a path of this machine (or a web
// address, which is refused with the paths).
func isPath(ref string) bool {
	switch {
	case strings.HasPrefix(ref, "/ipfs/"), strings.HasPrefix(ref, "ipfs://"), strings.HasPrefix(ref, "hf://"):
		return false
	case ref == ".", ref == "..", filepath.IsAbs(ref):
		return true
	}
	return strings.ContainsAny(ref, `/\`)
}

// describeModel adds what the model's own files say; a folder that says
// nothing is still a model, so there is no error, only a warning.
func (e *Engine) describeModel(f *Fetching, a ipfsstore.Artifact) {
	m, err := e.loaded.get(a)
	if err != nil {
		f.Warnings = append(f.Warnings, Explain(err).Message)
		return
	}
	f.License = cmp.Or(m.Manifest.License, a.License)
	if f.Task = m.task(); f.Task == "" {
		f.Task = a.Task
	}
	file, err := m.OnnxFile()
	if err != nil {
		f.Warnings = append(f.Warnings, Explain(err).Message)
		return
	}
	f.Model.File = file
	g, err := m.graph(file)
	if err != nil {
		f.Warnings = append(f.Warnings, file+": "+Explain(err).Message)
		return
	}
	f.Signature = &Signature{Inputs: signature(g.Inputs), Outputs: signature(g.Outputs)}
	f.NextSteps = []string{"run_inference {\"model\":\"" + cmpName(f.Name, f.CID) + "\"}"}
}

func cmpName(name, cid string) string {
	if name != "" {
		return name
	}
	return cid
}

func signature(vs []ValueInfo) []SignatureValue {
	out := make([]SignatureValue, len(vs))
	for i, v := range vs {
		out[i] = SignatureValue{Name: v.Name, DType: v.DType, Shape: make([]Dim, len(v.Shape))}
		for j, n := range v.Shape {
			out[i].Shape[j] = Dim{Size: n}
			if j < len(v.Names) {
				out[i].Shape[j].Name = v.Names[j]
			}
		}
	}
	return out
}

func summaryOf(f Fetching) string {
	what := cmpName(f.Name, path.Base(f.CID))
	if f.Level == "L2" {
		return what + " is here, verified"
	}
	return what + " was fetched and every block verified"
}

func fetchedBytes(f ipfsstore.Fetched) int64 {
	var n int64
	for _, s := range f.Sources {
		n += s.Bytes
	}
	return n
}

// Inspect returns what of a stored model will keep it from running, as
// warnings: a store keeps any files, models or not.
func (e *Engine) Inspect(a StoredModel) []string {
	var f Fetching
	f.Model = &ModelRef{}
	e.describeModel(&f, a)
	return f.Warnings
}

// StoreError explains a failure of the model store on a reference.
func (e *Engine) StoreError(ctx context.Context, ref string, err error) error {
	if err == nil {
		return nil
	}
	return e.storeError(ctx, ref, err)
}

// storeError explains a failure of the store to the agent.
func (e *Engine) storeError(ctx context.Context, ref string, err error) error {
	sources := e.o.Models.SourceNames()
	if errors.Is(err, ipfsstore.ErrNotFound) && !strings.HasPrefix(ref, "ipfs://") && !strings.HasPrefix(ref, "/ipfs/") {
		if names := e.modelNames(ctx); Suggest(ref, names) != "" {
			return unknown(ErrModelNotFound, "model", ref, names)
		}
	}
	return storeError(ref, sources, err)
}

// modelNames lists the names of the catalogue.
func (e *Engine) modelNames(ctx context.Context) []string {
	as, err := e.o.Models.List(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, a := range as {
		names = append(names, a.Names...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A StoredModel is a model in the store.
type StoredModel = ipfsstore.Artifact

// Models lists the models that are here.
func (e *Engine) Models(ctx context.Context) ([]StoredModel, error) {
	return e.o.Models.List(ctx)
}

func ms(d time.Duration) float64 { return round3(float64(d) / float64(time.Millisecond)) }

// round3 rounds to three decimals, a microsecond where the unit is one
// millisecond: more would only cost the reader tokens.
func round3(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }
