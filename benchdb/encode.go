package benchdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
)

// formatVersion is that of a spool's lines. A worker leaves alone what is of a
// later one.
const formatVersion = 2

// maxLine bounds one batch, in bytes as it is written.
const maxLine = 8 << 20

// A line is what a spool holds of one Record call. It has one newline, its
// last byte: a call that was cut short has left no line, and never half of one.
type line struct {
	Version int                          `json:"v"`
	Rows    int64                        `json:"rows"`
	Batch   map[string][]json.RawMessage `json:"batch"` // by table, less its "_"
}

// everything is what a line can hold.
type everything struct {
	Batch
	Dropped []dropped `json:"dropped,omitempty"`
}

func (e *everything) rows() int {
	return len(e.Runs) + len(e.Results) + len(e.Inferences) + len(e.Fetches) + len(e.Environments) + len(e.Platforms) + len(e.Models) +
		len(e.TimeSeries) + len(e.Plans) + len(e.Receipts) + len(e.Dropped)
}

// encode makes the line of a batch in a version of the format, empty for an
// empty batch.
func encode(b everything, format int) ([]byte, error) {
	n := b.rows()
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
	data = fmt.Appendf(nil, `{"v":%d,"rows":%d,"batch":%s}`+"\n", format, n, data)
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
	each(&b.Runs, (*Run).clean)
	each(&b.TimeSeries, (*TimeSeries).clean)
	each(&b.Plans, func(p *Plan) { normalize(&p.Timestamp) })
	each(&b.Receipts, func(r *Receipt) { normalize(&r.Timestamp); measured(&r.TotalMS) })
}

// clean takes the time that has gone by from the clock that is never set.
func (r *Run) clean() {
	if r.ElapsedMS == nil && monotonic(r.StartedAt) && monotonic(r.At) {
		ms := float64(r.At.Sub(r.StartedAt).Microseconds()) / 1000
		r.ElapsedMS = &ms
	}
	measured(&r.ElapsedMS)
	normalize(&r.StartedAt)
	normalize(&r.At)
}

// monotonic reports whether a time has a reading of the monotonic clock.
func monotonic(t time.Time) bool { return t != t.Round(0) }

// clean leaves out values that are not finite, with their offsets.
func (t *TimeSeries) clean() {
	normalize(&t.Timestamp)
	t.Values, t.Offsets = finitePairs(t.Values, t.Offsets)
}

func (r *Result) clean() {
	normalize(&r.Timestamp)
	finite(&r.Throughput)
	r.Latencies, r.Offsets = finitePairs(r.Latencies, r.Offsets)
	m := &r.Measures
	for _, p := range []**float64{
		&r.AccuracyScore, &m.DurationMS, &m.LoadMS, &m.FirstMS, &m.QueueMS, &m.PreprocessMS, &m.RunMS, &m.PostMS, &m.Joules,
		&m.LoadBefore, &m.LoadAfter,
	} {
		measured(p)
	}
}

// finitePairs returns the finite values and their offsets, which are none if
// they are not one per value.
func finitePairs(values, offsets []float64) (v, o []float64) {
	if len(offsets) != len(values) {
		return slices.DeleteFunc(slices.Clone(values), infinite), nil
	}
	for i := range values {
		if !infinite(values[i]) && !infinite(offsets[i]) {
			v, o = append(v, values[i]), append(o, offsets[i])
		}
	}
	return v, o
}

func (i *Inference) clean() {
	normalize(&i.Timestamp)
	for _, ms := range []*float64{&i.QueueMS, &i.FetchMS, &i.LoadMS, &i.PreprocessMS, &i.RunMS, &i.PostMS, &i.TotalMS} {
		finite(ms)
	}
	measured(&i.Joules)
}

// each replaces rows by a copy that f has changed.
func each[T any](rows *[]T, f func(*T)) {
	*rows = slices.Clone(*rows)
	for i := range *rows {
		f(&(*rows)[i])
	}
}

// normalize gives a time the zone and the precision of the database. Times that
// were read in this process keep their order though the clock is set back.
func normalize(t *time.Time) {
	if monotonic(*t) {
		*t = steady.at(t.Round(0), t.Sub(processStart))
	}
	*t = t.UTC().Truncate(time.Microsecond)
}

// finite makes what was not measured 0.
func finite(x *float64) {
	if infinite(*x) {
		*x = 0
	}
}

// measured makes nil what was not measured.
func measured(p **float64) {
	if *p != nil && infinite(**p) {
		*p = nil
	}
}

func infinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// check refuses rows whose keys the database would refuse: there nobody would
// be told.
func (b *Batch) check() error {
	return errors.Join(
		checkIDs("result", b.Results, func(r Result) string { return r.ID }),
		checkIDs("inference", b.Inferences, func(i Inference) string { return i.ID }),
		checkIDs("fetch", b.Fetches, func(f Fetch) string { return f.ID }),
		checkIDs("platform", b.Platforms, func(p Platform) string { return p.ID }),
		checkIDs("time series", b.TimeSeries, func(t TimeSeries) string { return t.ID }),
		checkIDs("receipt", b.Receipts, func(r Receipt) string { return r.ID }),
	)
}

func checkIDs[T any](kind string, rows []T, id func(T) string) error {
	for i, r := range rows {
		if err := uuid.Validate(id(r)); err != nil {
			return fmt.Errorf("%s %d: id %q: %w", kind, i, id(r), err)
		}
	}
	return nil
}
