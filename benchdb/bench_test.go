//go:build cgo && unix

package benchdb

import (
	"slices"
	"testing"
	"time"
)

// reportP50 reports the median of durations, which the mean hides.
func reportP50(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
}

func BenchmarkRecord(b *testing.B) {
	for name, sync := range map[string]bool{"inference": false, "synced": true} {
		b.Run(name, func(b *testing.B) {
			db := openDB(b, b.TempDir())
			batch := Batch{Inferences: []Inference{inference("m")}, Sync: sync}
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				record(b, db, batch)
				took = append(took, time.Since(start))
			}
			reportP50(b, took)
		})
	}
}

func BenchmarkQuery(b *testing.B) {
	db := openDB(b, b.TempDir())
	for range 100 {
		batch := Batch{}
		for range 100 {
			batch.Inferences = append(batch.Inferences, inference("m"))
		}
		record(b, db, batch)
	}
	start := time.Now()
	ask(b, db, Query{Report: ReportRuns})
	b.Logf("the first query, which ingests 10 000 inferences: %v", time.Since(start))
	for name, q := range map[string]Query{
		"runs": {Report: ReportRuns}, "sql": {Report: ReportSQL, SQL: "select model_name, quantile_cont(total_ms, 0.99) from inferences group by all"},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				ask(b, db, q)
				took = append(took, time.Since(start))
			}
			reportP50(b, took)
		})
		b.Run(name+" with one new row", func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				record(b, db, Batch{Inferences: []Inference{inference("m")}})
				start := time.Now()
				ask(b, db, q)
				took = append(took, time.Since(start))
			}
			reportP50(b, took)
		})
	}
}
