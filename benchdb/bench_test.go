//go:build cgo && unix

package benchdb

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
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

// BenchmarkRecord says what a record costs, and how many times as long as an
// append of the same bytes it takes, put on disk if the record is.
func BenchmarkRecord(b *testing.B) {
	run := run1(newID(), Completed, time.Now())
	for name, batch := range map[string]Batch{
		"inference": {Inferences: []Inference{inference("m")}},
		"run":       {Runs: []Run{run}, Results: []Result{result("m", make([]float64, 200)...)}, Sync: true},
	} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			db := openDB(b, dir)
			line, err := encode(everything{Batch: batch}, formatVersion)
			if err != nil {
				b.Fatal(err)
			}
			bare, err := os.OpenFile(filepath.Join(dir, "bare"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				b.Fatal(err)
			}
			defer bare.Close()
			var took, least []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				_, err := bare.Write(line)
				if batch.Sync && err == nil {
					err = datasync(bare)
				}
				least = append(least, time.Since(start))
				if err != nil {
					b.Fatal(err)
				}
				start = time.Now()
				record(b, db, batch)
				took = append(took, time.Since(start))
			}
			slices.Sort(least)
			reportP50(b, took)
			b.ReportMetric(float64(took[len(took)/2])/float64(least[len(least)/2]), "x-bare")
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

// large fills a database with five million inferences and ten thousand runs of a
// thousand samples, past the spool.
func large(b *testing.B, dir string) {
	b.Helper()
	db, err := sql.Open("duckdb", filepath.Join(dir, databaseFile))
	if err != nil {
		b.Fatal(err)
	}
	script, err := os.ReadFile("testdata/large.sql")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := db.ExecContext(b.Context(), string(script)); err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// beBare opens the database for reading and asks for nothing: the least that a
// query can cost.
func beBare(args []string) error {
	db, err := sql.Open("duckdb", filepath.Join(args[0], databaseFile)+"?access_mode=READ_ONLY")
	if err != nil {
		return err
	}
	var one int
	return db.QueryRowContext(context.Background(), "select 1").Scan(&one)
}

// BenchmarkQuery_large says how many times as long as a bare child a report
// takes, with nothing new and after a new record. Its setup takes a minute.
func BenchmarkQuery_large(b *testing.B) {
	dir := b.TempDir()
	db := openDB(b, dir)
	ask(b, db, Query{Report: ReportRuns}) // makes the database
	large(b, dir)
	bare := func() {
		argv := self(b, "be-bare", dir)
		if out, err := exec.CommandContext(b.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	for _, r := range reportNames() {
		q := Query{Report: Report(r)}
		for name, before := range map[string]func(){
			"nothing new": func() {},
			"new":         func() { record(b, db, Batch{Inferences: []Inference{inference("m")}}) },
		} {
			b.Run(r+"/"+name, func(b *testing.B) {
				var took, least []time.Duration
				for b.Loop() {
					start := time.Now()
					bare()
					least = append(least, time.Since(start))
					before()
					start = time.Now()
					ask(b, db, q)
					took = append(took, time.Since(start))
				}
				slices.Sort(took)
				slices.Sort(least)
				b.ReportMetric(float64(took[len(took)/2])/float64(least[len(least)/2]), "x-bare")
				reportP50(b, took)
			})
		}
	}
}
