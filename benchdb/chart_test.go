package benchdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"image/png"
	"testing"
)

func tableOf(rows ...string) Table {
	var t Table
	for _, r := range rows {
		t.Rows = append(t.Rows, json.RawMessage(r))
	}
	return t
}

func TestChart(t *testing.T) {
	for name, c := range map[string]struct {
		report Report
		table  Table
	}{
		"history": {ReportHistory, tableOf(
			`{"model":"m","workload":"latency","device":"cpu","batch_size":1,"timestamp":"2026-11-23T01:00:00Z","p50_ms":2.5}`,
			`{"model":"m","workload":"latency","device":"cpu","batch_size":1,"timestamp":"2026-11-22T01:00:00Z","p50_ms":2}`,
			`{"model":"m","workload":"latency","device":"cpu","batch_size":1,"timestamp":"2026-11-22T01:00:00Z","p50_ms":null,"error":"x"}`)},
		"percentiles": {ReportPercentiles, tableOf(
			`{"model":"m","workload":"offline","device":"cpu","batch_size":1,"p50_ms":2.5,"p90_ms":null,"p99_ms":null}`,
			`{"model":"m","workload":"latency","device":"cpu","batch_size":8,"p50_ms":4,"p90_ms":5,"p99_ms":9}`)},
		"heat map": {ReportPercentiles, tableOf(
			`{"model":"m","device":"cpu","p50_ms":2.5}`, `{"model":"n","device":"cuda:0","p50_ms":0.5}`, `{"model":"m","device":"cuda:0","p50_ms":1}`)},
		"compare": {ReportCompare, tableOf(`{"model":"m","device":"cpu","verdict":"slower","change":0.12}`)},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := Chart(c.report, c.table)
			if err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if b := img.Bounds(); b.Dx() != chartWidth || b.Dy() != chartHeight || len(data) > 1<<20 {
				t.Errorf("%v in %d bytes", b, len(data))
			}
			colors := map[any]bool{}
			for x := range chartWidth {
				for y := range chartHeight {
					colors[img.At(x, y)] = true
				}
			}
			if len(colors) < 10 {
				t.Errorf("it is blank: %d colours", len(colors))
			}
		})
	}
}

func TestChart_refuses(t *testing.T) {
	for name, c := range map[string]struct {
		report Report
		table  Table
	}{
		"no chart": {ReportSchema, tableOf(`{}`)}, "no rows": {ReportHistory, Table{}}, "nothing measured": {ReportPercentiles, tableOf(`{"model":"m","p50_ms":null}`)},
	} {
		var e *QueryError
		if _, err := Chart(c.report, c.table); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
