package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"math"
	"sync"
)

// Accuracy says how often or how closely a model was right.
type Accuracy struct {
	Items  int      `json:"items"`
	Top1   *float64 `json:"top1,omitempty"`   // share of the items whose best label is theirs
	F1     *float64 `json:"f1,omitempty"`     // macro average over the labels of the data
	Cosine *float64 `json:"cosine,omitempty"` // mean cosine of the vectors with those of the data
}

// score is the one figure: the share of right labels, or the mean cosine.
func (a *Accuracy) score() *float64 {
	if a.Top1 != nil {
		return a.Top1
	}
	return a.Cosine
}

// A labelled is one line of a dataset.
type labelled struct {
	Input     string    `json:"input"`
	Label     *string   `json:"label"`
	Embedding []float32 `json:"embedding"`
}

// A datasetSubject is a pipeline on labelled inputs, each once.
type datasetSubject struct {
	o     *opened
	p     Pipeline
	items []Item
	want  []labelled

	mu      sync.Mutex // guards what follows
	next    int
	right   int
	cosines []float64
	counts  map[string]*confusion
}

// A confusion counts what became of one label.
type confusion struct{ hit, missed, wrong int }

// dataset reads the labelled inputs and readies the model for them.
func (b *benchmarking) dataset(ctx context.Context, o *opened) (subject, error) {
	if b.r.Parameters.Dataset == "" {
		return nil, Errorf(ErrInvalidArgument, "workload accuracy needs labelled inputs").
			WithHint("pass \"parameters\": {\"dataset\": \"PATH.jsonl\"}, each line {\"input\": \"…\", \"label\": \"…\"} or {\"input\": \"…\", \"embedding\": [ … ]}")
	}
	want, err := b.e.readDataset(b.r.Parameters.Dataset)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(want))
	for i, w := range want {
		texts[i] = w.Input
	}
	items, err := b.e.items(ctx, InferRequest{Inputs: texts})
	if err != nil {
		return nil, err
	}
	p, task, err := b.e.pipeline(ctx, b.model, b.r.Task)
	if err != nil {
		return nil, err
	}
	b.task = task
	d := &datasetSubject{o: o, p: p, items: items, want: want, counts: map[string]*confusion{}}
	_, err = p.Run(ctx, o, Request{Items: items[:1], BatchSize: 1}) // loads the model
	return d, err
}

func (e *Engine) readDataset(name string) ([]labelled, error) {
	f, err := e.o.Paths.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []labelled
	lines := bufio.NewScanner(io.LimitReader(f, maxInputFile))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var l labelled
		err := json.Unmarshal(lines.Bytes(), &l)
		switch {
		case err != nil:
			return nil, Errorf(ErrInvalidArgument, "line %d of the dataset is not JSON: %w", len(out)+1, err)
		case l.Input == "" || (l.Label == nil) == (l.Embedding == nil):
			return nil, Errorf(ErrInvalidArgument, "line %d of the dataset has not an input with either a label or an embedding", len(out)+1)
		case len(out) > 0 && (l.Label == nil) != (out[0].Label == nil):
			return nil, Errorf(ErrInvalidArgument, "the dataset has labels and embeddings mixed, in line %d", len(out)+1)
		case len(out) == maxItems:
			return nil, Errorf(ErrTooLarge, "the dataset is over %d lines", maxItems)
		}
		out = append(out, l)
	}
	if err := lines.Err(); err != nil {
		return nil, Errorf(ErrInvalidArgument, "the dataset can't be read: %w", err)
	}
	if len(out) == 0 {
		return nil, Errorf(ErrInvalidArgument, "the dataset is empty")
	}
	return out, nil
}

// Run has the model answer the next n items.
func (d *datasetSubject) Run(ctx context.Context, n int) error {
	d.mu.Lock()
	from := d.next
	to := min(from+n, len(d.items))
	d.next = to
	d.mu.Unlock()
	if from == to {
		return nil
	}
	a, err := d.p.Run(ctx, d.o, Request{Items: d.items[from:to], BatchSize: n, Full: true})
	if err != nil {
		return err
	}
	return d.count(a, d.want[from:to])
}

// count compares answers with what they should be.
func (d *datasetSubject) count(a Answer, want []labelled) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if want[0].Embedding != nil {
		return d.countVectors(a, want)
	}
	got := make([]string, len(want))
	best := make([]float64, len(want))
	for _, o := range a.Outputs {
		if o.Score != nil && o.Item < len(want) && *o.Score > best[o.Item] {
			got[o.Item], best[o.Item] = o.Label, *o.Score
		}
	}
	for i, w := range want {
		d.countLabel(got[i], *w.Label)
	}
	return nil
}

func (d *datasetSubject) countLabel(got, want string) {
	of := func(label string) *confusion {
		if d.counts[label] == nil {
			d.counts[label] = &confusion{}
		}
		return d.counts[label]
	}
	if got == want {
		d.right++
		of(want).hit++
		return
	}
	of(want).missed++
	if got != "" {
		of(got).wrong++
	}
}

func (d *datasetSubject) countVectors(a Answer, want []labelled) error {
	for i, w := range want {
		if i >= len(a.Vectors) || len(a.Vectors[i]) != len(w.Embedding) {
			return Errorf(ErrInvalidArgument, "the dataset's embeddings have not the size of the model's").
				WithHint("the model must be of task feature-extraction, and the embeddings its reference's")
		}
		d.cosines = append(d.cosines, cosine(a.Vectors[i], w.Embedding))
	}
	return nil
}

func cosine(a, b []float32) float64 {
	var dot, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return dot / math.Sqrt(aa*bb)
}

// accuracy sums up what was counted.
func (d *datasetSubject) accuracy() *Accuracy {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &Accuracy{Items: d.next}
	if len(d.cosines) > 0 {
		sum := 0.0
		for _, c := range d.cosines {
			sum += c
		}
		mean := sum / float64(len(d.cosines))
		a.Cosine = &mean
		return a
	}
	top1, f1 := float64(d.right)/float64(max(d.next, 1)), d.macroF1()
	a.Top1, a.F1 = &top1, &f1
	return a
}

// macroF1 is the mean over the labels of the data of 2·hit/(2·hit+wrong+missed).
func (d *datasetSubject) macroF1() float64 {
	sum, labels := 0.0, 0
	for _, c := range d.counts {
		if c.hit+c.missed == 0 { // only ever a wrong answer
			continue
		}
		labels++
		sum += 2 * float64(c.hit) / float64(2*c.hit+c.wrong+c.missed)
	}
	return sum / float64(max(labels, 1))
}

func (*datasetSubject) close() error { return nil }
