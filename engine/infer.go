package engine

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// An InferRequest asks for a model to be run. Exactly one of Inputs, Records,
// Tensors and InputFile is set.
type InferRequest struct {
	Model      string        `json:"model,omitempty" jsonschema:"description=Name or CID or path,example=minilm"`
	Task       string        `json:"task,omitempty" jsonschema:"description=Hugging Face task id (default: the model's)"`
	Inputs     []string      `json:"inputs,omitempty" jsonschema:"description=Texts; for pictures an allowed path; ipfs://CID/file or data: URI"`
	Tensors    []TensorInput `json:"tensors,omitempty"`
	Records    []Object      `json:"records,omitempty" jsonschema:"description=Inputs as objects"`
	InputFile  string        `json:"input_file,omitempty" jsonschema:"description=.txt or .jsonl; an input per line"`
	Parameters Object        `json:"parameters,omitzero" jsonschema:"description=The task's own; see docs://tasks/{task}"`
	Device     string        `json:"device,omitempty" jsonschema:"description=auto or an id or platform from detect_hardware,default=auto"`
	Precision  string        `json:"precision,omitempty" jsonschema:"description=auto: model.onnx,enum=auto,enum=fp32,enum=fp16,enum=bf16,enum=int8,default=auto"`
	Mode       string        `json:"mode,omitempty" jsonschema:"enum=sync,enum=async,default=sync"`
	Detail     string        `json:"detail,omitempty" jsonschema:"description=full: whole vectors and tensors,enum=concise,enum=full,default=concise"`
	OutputFile string        `json:"output_file,omitempty" jsonschema:"description=Also write vectors as .npy at results://RUN/"`
	Explain    bool          `json:"explain,omitempty" jsonschema:"description=Show how the devices were ranked"`
	Cancel     string        `json:"cancel,omitempty" jsonschema:"description=A run_id to cancel"`
}

// An Inference is what a model answered.
type Inference struct {
	Common
	Task       string          `json:"task,omitempty"`
	Outputs    []Output        `json:"outputs,omitempty"`
	Tensors    []TensorOutput  `json:"tensors,omitempty"`
	Similarity [][]float64     `json:"similarity,omitempty"`
	Device     *DeviceUse      `json:"device,omitempty"`
	Tried      []Attempt       `json:"tried,omitempty"`
	Ranking    []Ranked        `json:"ranking,omitempty"`
	TimingsMS  *InferTimingsMS `json:"timings_ms,omitempty"`
	Cache      string          `json:"cache,omitempty"`
	Recorded   bool            `json:"recorded"`
	Files      []FileRef       `json:"files,omitempty"`
	Truncated  bool            `json:"truncated"`
	Pictures   []Picture       `json:"-"` // shown to the agent as image content
}

// DeviceUse says what a model ran on, and why.
type DeviceUse struct {
	ID        string         `json:"id"`
	Platform  string         `json:"platform"`
	Precision string         `json:"precision"`
	Simulated bool           `json:"simulated"`
	Sandbox   string         `json:"sandbox,omitempty"`
	Why       string         `json:"why"`
	Nodes     map[string]int `json:"nodes,omitempty" jsonschema:"-"` // the model's nodes by the platform that ran them
}

// InferTimingsMS are the phases of an inference in milliseconds.
type InferTimingsMS struct {
	Queue       float64 `json:"queue"`
	Fetch       float64 `json:"fetch"`
	Load        float64 `json:"load"`
	Preprocess  float64 `json:"preprocess"`
	Run         float64 `json:"run"`
	Postprocess float64 `json:"postprocess"`
	Total       float64 `json:"total"`
}

// Infer runs a model on the best device that can, and records what it cost.
func (e *Engine) Infer(ctx context.Context, r InferRequest, report func(Progress)) (Inference, error) {
	if r.Cancel != "" {
		c, err := e.cancelRun(r.Cancel)
		return Inference{Common: c}, err
	}
	if err := r.check(); err != nil {
		return Inference{}, err
	}
	return perform(ctx, e, job[Inference]{kind: "inference", mode: r.Mode, report: report, do: func(ctx context.Context, run *run) (Inference, error) {
		in := &inferring{e: e, r: r, run: run, start: time.Now()}
		ctx, in.compute = WithCompute(ctx)
		ctx, in.checking = withSum(ctx, checkingKey{})
		err := causeOf(ctx, in.do(ctx))
		in.t.Total = ms(time.Since(in.start))
		in.out.TimingsMS = &in.t
		in.observe(ctx, err)
		in.out.Recorded = e.record(ctx, benchdb.Batch{
			Inferences: []benchdb.Inference{in.row(err)}, Environments: e.untold(e.env().machine, in.software()),
		})
		if !in.out.Recorded {
			in.out.Warnings = append(in.out.Warnings, "the measurement could not be recorded")
		}
		in.out.fit(r.Detail)
		return in.out, err
	}})
}

func (r InferRequest) check() error {
	if r.Model == "" {
		return Errorf(ErrInvalidArgument, "no model is named").WithHint("pass \"model\": a name from models://, a CID or a path")
	}
	given := 0
	for _, is := range []bool{len(r.Inputs) > 0, len(r.Records) > 0, len(r.Tensors) > 0, r.InputFile != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		e := Errorf(ErrInvalidArgument, "exactly one of inputs, records, tensors and input_file is needed, not %d", given)
		e.ValidValues = []string{"inputs", "records", "tensors", "input_file"}
		return e.WithHint("for text pass \"inputs\": [\"some text\"]")
	}
	return nil
}

// inferring is one Infer as it goes.
type inferring struct {
	e     *Engine
	r     InferRequest
	run   *run
	start time.Time

	model  *loadedModel
	file   string
	graph  Graph
	items  int
	driver string // of the device it ran on
	out    Inference
	t      InferTimingsMS

	compute  *atomic.Int64 // nanoseconds that the runs took where they were computed
	checking *atomic.Int64 // nanoseconds that a device's first run was compared with the processor's
}

func (in *inferring) do(ctx context.Context) error {
	if err := in.findModel(ctx); err != nil {
		return err
	}
	work, err := in.prepare(ctx)
	if err != nil {
		return err
	}
	devices, err := in.e.chooseFor(ctx, in.r.Device, in.r.Precision, in.model, in.file)
	if err != nil {
		return err
	}
	if in.r.Explain {
		in.out.Ranking = in.e.ranking(devices, in.model, in.file)
	}
	done, err := in.e.admit()
	if err != nil {
		return err
	}
	defer done()
	return in.tryDevices(ctx, devices, work)
}

// findModel gets the model into the store and reads what it is.
func (in *inferring) findModel(ctx context.Context) error {
	began := time.Now()
	m, level, err := in.e.model(ctx, in.r.Model, in.run.progress)
	if err != nil {
		return err
	}
	in.t.Fetch = ms(time.Since(began))
	in.model, in.out.Cache = m, level
	if in.file, err = in.e.onnxFile(&m.Model, in.r.Precision); err != nil {
		return err
	}
	if in.graph, err = m.graph(in.file); err != nil {
		return err
	}
	in.out.Model = &ModelRef{Name: m.Name, CID: m.Root, File: in.file}
	in.run.about(in.out.Model)
	return nil
}

// model returns the model that ref names and which level of the cache had it.
// A local path is taken into the store first.
func (e *Engine) model(ctx context.Context, ref string, report func(Progress)) (*loadedModel, string, error) {
	a, err := ipfsstore.Artifact{}, ipfsstore.ErrNotFound
	if !e.isPath(ctx, ref) {
		a, err = e.o.Models.Open(ctx, ref)
	}
	level := "L2"
	if changed, ok := errors.AsType[*ipfsstore.ModelChangedError](err); ok {
		e.sessions.drop(changed.Root)
		if len(e.o.Models.SourceNames()) == 0 {
			return nil, "", e.storeError(ctx, ref, err)
		}
		got, ferr := e.obtain(ctx, FetchRequest{Model: ref}, report) // the bytes it should have
		if ferr != nil {
			return nil, "", e.storeError(ctx, ref, err)
		}
		a, level, err = got.Artifact, got.Level, nil
	}
	switch {
	case errors.Is(err, ipfsstore.ErrNotFound):
		got, ferr := e.obtain(ctx, FetchRequest{Model: ref}, report)
		if ferr != nil {
			return nil, "", ferr
		}
		a, level = got.Artifact, got.Level
	case err != nil:
		return nil, "", e.storeError(ctx, ref, err)
	}
	if err := a.Lacks(); err != nil {
		return nil, "", e.storeError(ctx, ref, err)
	}
	m, err := e.loaded.get(a)
	return m, level, err
}

// prepare returns the work to do on a device once it is chosen.
func (in *inferring) prepare(ctx context.Context) (func(context.Context, *opened) error, error) {
	if len(in.r.Tensors) > 0 {
		return in.prepareTensors()
	}
	items, err := in.e.items(ctx, in.r)
	if err != nil {
		return nil, err
	}
	in.items = len(items)
	p, task, err := in.e.pipeline(ctx, in.model, in.r.Task)
	if err != nil {
		return nil, err
	}
	in.out.Task = task
	return func(ctx context.Context, o *opened) error {
		a, err := p.Run(ctx, o, Request{
			Items: items, Parameters: in.r.Parameters.RawMessage, Planned: o.planned(), Full: in.r.Detail == "full", Progress: in.run.progress,
		})
		if err != nil {
			return err
		}
		in.out.Outputs, in.out.Similarity, in.out.Pictures = a.Outputs, a.Similarity, a.Pictures
		in.t.Preprocess, in.t.Run, in.t.Postprocess = round3(a.Timings.Preprocess), round3(a.Timings.Run), round3(a.Timings.Postprocess)
		return in.keepFiles(a)
	}, nil
}

// tryDevices does the work on the first device that can.
func (in *inferring) tryDevices(ctx context.Context, devices []candidate, work func(context.Context, *opened) error) error {
	var first error
	t := &turn{e: in.e, background: in.r.Mode == ModeAsync}
	for i, c := range devices {
		if err := in.e.unfit(c, in.model, in.file, in.graph); err != nil {
			in.out.Tried = append(in.out.Tried, Attempt{Device: c.ID, Outcome: "skipped", Reason: Explain(err).Message})
			first = cmp.Or(first, err)
			continue
		}
		why := in.e.whyBest(c, devices, in.model, in.file) // before this run adds to what is known
		o := in.e.open(in.model, c, in.t.add)
		o.file, o.turn = in.file, t
		profiled := in.e.profiling(ctx, o, in.run.id, in.keep)
		err := work(ctx, o)
		if errors.Is(err, ErrRunnerCrashed) { // a model has no memory between runs, so once more is safe
			in.out.Warnings = append(in.out.Warnings, "the process that ran the model died and was started again")
			in.e.log.WarnContext(ctx, "a runner died and is started again", "run_id", in.run.id, "device", c.ID, "error", err)
			in.e.suspect(c)
			err = work(ctx, o)
		}
		o.release()
		profiled()
		in.t.checked(time.Duration(in.checking.Swap(0)))
		in.t.waited(time.Duration(t.waited.Swap(0)))
		if err == nil {
			in.ranOn(c, o, why, len(devices), i)
			return nil
		}
		first = cmp.Or(first, err)
		in.out.Tried = append(in.out.Tried, Attempt{Device: c.ID, Outcome: "failed", Reason: Explain(err).Message})
		if !mayFallBack(err) || ctx.Err() != nil {
			return err
		}
	}
	return first
}

// keep adds a file to the answer.
func (in *inferring) keep(f FileRef) { in.out.Files = append(in.out.Files, f) }

// add adds the time that opening a session took.
func (t *InferTimingsMS) add(load time.Duration) { t.Load = round3(t.Load + ms(load)) }

// checked takes the comparison with the processor out of the run: it is part
// of opening the model on a device for the first time.
func (t *InferTimingsMS) checked(d time.Duration) {
	t.add(d)
	t.Run = max(0, round3(t.Run-ms(d)))
}

// waited takes the waiting for turns out of the run.
func (t *InferTimingsMS) waited(d time.Duration) {
	t.Queue = round3(t.Queue + ms(d))
	t.Run = max(0, round3(t.Run-ms(d)))
}

// software is what ran the model.
func (in *inferring) software() benchdb.Environment { return in.e.software(in.driver) }

func (in *inferring) ranOn(c candidate, o *opened, why string, of, tried int) {
	in.driver = c.Driver
	switch {
	case in.r.Device != "" && in.r.Device != "auto":
		why = "asked for"
	case of == 1:
		why = "the only device"
	case tried > 0:
		why = "the best that can run it"
	}
	in.out.Device = &DeviceUse{ID: c.ID, Platform: string(c.Kind), Precision: c.precision(in.graph), Simulated: c.Simulated, Sandbox: o.sandbox, Why: why, Nodes: o.nodes}
	if o.hit && in.out.Cache == "L2" {
		in.out.Cache = "L1"
	}
	in.out.Summary = in.describe()
}

// row is what is recorded of the inference.
func (in *inferring) row(err error) benchdb.Inference {
	row := benchdb.Inference{
		ID: in.run.id, Timestamp: in.start, ModelName: in.r.Model, Task: in.out.Task, Items: in.items, Cache: in.out.Cache,
		QueueMS: in.t.Queue, FetchMS: in.t.Fetch, LoadMS: in.t.Load, PreprocessMS: in.t.Preprocess, RunMS: in.t.Run,
		PostMS: in.t.Postprocess, TotalMS: in.t.Total, Environment: in.e.env().machine.ID, SoftwareID: in.software().ID,
	}
	if isPath(row.ModelName) {
		row.ModelName = "" // never record where a user keeps files
	}
	if in.model != nil {
		row.ModelName, row.ModelCID = in.model.Name, in.model.Root
	}
	if d := in.out.Device; d != nil {
		row.HardwareType, row.Device, row.Precision = d.Platform, d.ID, d.Precision
	}
	if err != nil {
		row.Error = string(Explain(err).Code)
	}
	return row
}
