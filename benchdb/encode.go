package benchdb

import (
	"bytes"
	"encoding/json"
	"math"
	"time"
)

// formatVersion is that of a spool's lines. A worker leaves alone what is of a
// later one.
const formatVersion = 1

// A line is one record in a spool.
type line struct {
	Version int             `json:"v"`
	Kind    string          `json:"kind"` // the table it belongs in
	Row     json.RawMessage `json:"row"`
}

// encode makes the lines of a batch.
func encode(b Batch) ([]byte, error) {
	b.clean()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for _, err := range []error{
		encodeRows(enc, "_environments", b.Environments), encodeRows(enc, "_models", b.Models), encodeRows(enc, "_platforms", b.Platforms),
		encodeRows(enc, "_results", b.Results), encodeRows(enc, "_inferences", b.Inferences), encodeRows(enc, "_fetches", b.Fetches),
		encodeRows(enc, "_runs", b.Runs),
	} {
		if err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

func encodeRows[T any](enc *json.Encoder, kind string, rows []T) error {
	for _, r := range rows {
		row, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := enc.Encode(line{formatVersion, kind, row}); err != nil {
			return err
		}
	}
	return nil
}

// clean makes a batch fit to be encoded: times in UTC with the microseconds
// that the database has, and no NaN, which JSON does not have.
func (b *Batch) clean() {
	times := []*time.Time{}
	for i := range b.Results {
		times = append(times, &b.Results[i].Timestamp)
		b.Results[i].Throughput = finite(b.Results[i].Throughput)
		for j, l := range b.Results[i].Latencies {
			b.Results[i].Latencies[j] = finite(l)
		}
	}
	for i := range b.Inferences {
		times = append(times, &b.Inferences[i].Timestamp)
	}
	for i := range b.Fetches {
		times = append(times, &b.Fetches[i].Timestamp)
	}
	for i := range b.Environments {
		times = append(times, &b.Environments[i].Timestamp)
	}
	for i := range b.Platforms {
		times = append(times, &b.Platforms[i].Timestamp)
	}
	for i := range b.Models {
		times = append(times, &b.Models[i].Timestamp)
	}
	for i := range b.Runs {
		times = append(times, &b.Runs[i].StartedAt, &b.Runs[i].At)
	}
	for _, t := range times {
		*t = t.UTC().Truncate(time.Microsecond)
	}
}

func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}
