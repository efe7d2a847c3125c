package benchdb

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
)

// formatVersion is that of a spool's lines. A worker leaves alone what is of a
// later one.
const formatVersion = 1

// maxLine bounds one batch, in bytes as it is written.
const maxLine = 8 << 20

// A line is what a spool holds of one Record call. It has one newline, its
// last byte: a call that was cut short has left no line, and never half of one.
type line struct {
	Version int                          `json:"v"`
	Rows    int64                        `json:"rows"`
	Batch   map[string][]json.RawMessage `json:"batch"` // by table, less its "_"
}

// encode makes the line of a batch, empty for an empty batch.
func encode(b Batch) ([]byte, error) {
	n := len(b.Runs) + len(b.Results) + len(b.Inferences) + len(b.Fetches) + len(b.Environments) + len(b.Platforms) + len(b.Models)
	if n == 0 {
		return nil, nil
	}
	b.clean()
	if err := b.check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	data = fmt.Appendf(nil, `{"v":%d,"rows":%d,"batch":%s}`+"\n", formatVersion, n, data)
	if len(data) > maxLine {
		return nil, fmt.Errorf("a batch of %d bytes is over %d", len(data), maxLine)
	}
	return data, nil
}

// clean makes a batch fit to be encoded: times in UTC with the microseconds
// that the database has, and no NaN, which JSON does not have. The caller's
// own rows stay as they are.
func (b *Batch) clean() {
	each(&b.Results, (*Result).clean)
	each(&b.Inferences, (*Inference).clean)
	each(&b.Fetches, func(f *Fetch) { normalize(&f.Timestamp); finite(&f.TotalMS) })
	each(&b.Environments, func(e *Environment) { normalize(&e.Timestamp) })
	each(&b.Platforms, func(p *Platform) { normalize(&p.Timestamp) })
	each(&b.Models, func(m *Model) { normalize(&m.Timestamp) })
	each(&b.Runs, func(r *Run) { normalize(&r.StartedAt); normalize(&r.At) })
}

func (r *Result) clean() {
	normalize(&r.Timestamp)
	finite(&r.Throughput)
	r.Latencies = slices.DeleteFunc(slices.Clone(r.Latencies), infinite)
	if r.AccuracyScore != nil && infinite(*r.AccuracyScore) {
		r.AccuracyScore = nil
	}
}

func (i *Inference) clean() {
	normalize(&i.Timestamp)
	for _, ms := range []*float64{&i.QueueMS, &i.FetchMS, &i.LoadMS, &i.PreprocessMS, &i.RunMS, &i.PostMS, &i.TotalMS} {
		finite(ms)
	}
}

// each replaces rows by a copy that f has changed.
func each[T any](rows *[]T, f func(*T)) {
	*rows = slices.Clone(*rows)
	for i := range *rows {
		f(&(*rows)[i])
	}
}

func normalize(t *time.Time) { *t = t.UTC().Truncate(time.Microsecond) }

// finite makes what was not measured 0.
func finite(x *float64) {
	if infinite(*x) {
		*x = 0
	}
}

func infinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// check refuses rows whose keys the database would refuse: there nobody would
// be told.
func (b *Batch) check() error {
	for i, r := range b.Results {
		if err := uuid.Validate(r.ID); err != nil {
			return fmt.Errorf("result %d: id %q: %w", i, r.ID, err)
		}
	}
	for i, r := range b.Inferences {
		if err := uuid.Validate(r.ID); err != nil {
			return fmt.Errorf("inference %d: id %q: %w", i, r.ID, err)
		}
	}
	for i, r := range b.Fetches {
		if err := uuid.Validate(r.ID); err != nil {
			return fmt.Errorf("fetch %d: id %q: %w", i, r.ID, err)
		}
	}
	for i, r := range b.Platforms {
		if err := uuid.Validate(r.ID); err != nil {
			return fmt.Errorf("platform %d: id %q: %w", i, r.ID, err)
		}
	}
	return nil
}
