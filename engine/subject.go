package engine

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// subjectOf is what a workload measures.
func subjectOf(w Workload) Subject {
	if s, ok := w.(Specialist); ok {
		return s.Subject()
	}
	return SubjectModel
}

// prepare finds the model and decides what a run of it is.
func (b *benchmarking) prepare(ctx context.Context) error {
	m, _, err := b.e.model(ctx, b.r.Model, b.run.progress)
	if err != nil {
		return err
	}
	b.model = m
	file, err := b.e.onnxFile(&m.Model, b.r.Precision)
	if err != nil {
		return err
	}
	if b.graph, err = m.graph(file); err != nil {
		return err
	}
	b.out.Model = &ModelRef{Name: m.Name, CID: m.Root, File: file}
	b.run.about(b.out.Model)
	if subjectOf(b.workload) != SubjectModel {
		return nil
	}
	if len(b.r.Inputs) == 0 && b.r.Task == "" {
		b.out.Warnings = append(b.out.Warnings, "no inputs were given: measured on noise of the model's declared shape, dimensions left open are 1 or the batch size")
		b.work = func(n int) (targetRun, error) { return noise(b.graph, file, n) }
		return nil
	}
	return b.preparePipeline(ctx)
}

func (b *benchmarking) preparePipeline(ctx context.Context) error {
	if len(b.r.Inputs) == 0 {
		return Errorf(ErrInvalidArgument, "no inputs for task %s", b.r.Task).WithHint("pass \"inputs\" as for run_inference, or leave \"task\" out to measure the raw model on noise")
	}
	items, err := b.e.items(ctx, InferRequest{Inputs: b.r.Inputs})
	if err != nil {
		return err
	}
	p, task, err := b.e.pipeline(ctx, b.model, b.r.Task)
	if err != nil {
		return err
	}
	b.task = task
	b.work = func(n int) (targetRun, error) {
		batch := make([]Item, n)
		for i := range batch {
			batch[i] = items[i%len(items)]
		}
		return func(ctx context.Context, s Sessions) error {
			a, err := p.Run(ctx, s, Request{Items: batch, BatchSize: n})
			b.phases.add(a.Timings)
			return err
		}, nil
	}
	return nil
}

// devices lists what to measure on.
func (b *benchmarking) devices(ctx context.Context) ([]candidate, error) {
	if len(b.r.Devices) == 1 && b.r.Devices[0] == "all" {
		return b.e.chooseFor(ctx, "auto", b.r.Precision, b.model, b.out.Model.File)
	}
	var out []candidate
	for _, d := range b.r.Devices {
		cs, err := b.e.chooseFor(ctx, d, b.r.Precision, b.model, b.out.Model.File)
		if err != nil {
			return nil, err
		}
		if d == "auto" {
			cs = cs[:1]
		}
		out = append(out, cs...)
	}
	return out, nil
}

// A subject is what one measurement measures.
type subject interface {
	Target
	close() error
}

// subject makes what is to be measured of m.
func (b *benchmarking) subject(ctx context.Context, m measurement, o *opened) (subject, error) {
	switch subjectOf(b.workload) {
	case SubjectFetch:
		return b.inScratch(ctx, func(ctx context.Context, s ModelStore) (int64, error) {
			f, err := s.Fetch(ctx, b.model.Root, ipfsstore.FetchOptions{})
			return f.Bytes, storeError(b.model.Root, s.SourceNames(), err)
		})
	case SubjectImport:
		return b.inScratch(ctx, func(ctx context.Context, s ModelStore) (int64, error) {
			a, err := s.Add(ctx, b.model.Dir, ipfsstore.AddOptions{Follow: true, Reference: true})
			return a.Bytes, storeError(b.model.Dir, nil, err)
		})
	case SubjectDataset:
		return b.dataset(ctx, o)
	}
	run, err := b.work(m.batch)
	return &modelSubject{b.e, b.model.Root, o, run}, err
}

// A modelSubject is runs of the model on one device.
type modelSubject struct {
	e    *Engine
	root string
	o    *opened
	run  targetRun
}

var (
	_ Unloader    = (*modelSubject)(nil)
	_ MemoryMeter = (*modelSubject)(nil)
)

// Run runs one batch.
func (t *modelSubject) Run(ctx context.Context, _ int) error { return t.run(ctx, t.o) }

// Unload closes the model's sessions, those that nobody else is using.
func (t *modelSubject) Unload(ctx context.Context) error {
	t.o.release()
	t.e.sessions.drop(t.root)
	return ctx.Err()
}

// Memory asks the process of the model.
func (t *modelSubject) Memory(ctx context.Context) (int64, error) {
	if n := t.o.memory(ctx); n != nil {
		return *n, nil
	}
	return 0, Errorf(ErrUnsupported, "device %s does not say how much memory it uses", t.o.c.ID)
}

func (*modelSubject) close() error { return nil }

// A scratchSubject is work on an empty store, which is made before each run.
type scratchSubject struct {
	open   func(context.Context) (ModelStore, func() error, error)
	work   func(context.Context, ModelStore) (int64, error)
	store  ModelStore
	remove func() error
	bytes  atomic.Int64 // of the last run
}

var _ Unloader = (*scratchSubject)(nil)

func (b *benchmarking) inScratch(ctx context.Context, work func(context.Context, ModelStore) (int64, error)) (subject, error) {
	if b.e.o.Scratch == nil {
		return nil, Errorf(ErrUnsupported, "this program can't make a store to measure in")
	}
	t := &scratchSubject{open: b.e.o.Scratch, work: work, remove: func() error { return nil }}
	return t, t.Unload(ctx)
}

// Unload has the next run find an empty store.
func (t *scratchSubject) Unload(ctx context.Context) error {
	if err := t.close(); err != nil {
		return err
	}
	store, remove, err := t.open(ctx)
	if err != nil {
		return err
	}
	t.store, t.remove = store, remove
	return nil
}

// Run does the work.
func (t *scratchSubject) Run(ctx context.Context, _ int) error {
	n, err := t.work(ctx, t.store)
	t.bytes.Store(n)
	return err
}

func (t *scratchSubject) close() error {
	err := t.remove()
	t.remove = func() error { return nil }
	return err
}

// execute is one workload from set-up to tear-down.
func execute(ctx context.Context, w Workload, t Target, o WorkloadOptions, report func(Progress)) (m Measurement, err error) {
	x, err := w.Setup(ctx, t, o)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, x.TearDown()) }()
	return x.Execute(ctx, report)
}
