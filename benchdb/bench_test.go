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
	// A UUIDv7 of the row's time.
	const id = `(lpad(hex(epoch_ms(made)), 12, '0') || '7' || lpad(hex(i % 4096), 3, '0') || '8' || lpad(hex(i), 15, '0'))::uuid`
	for _, q := range []string{
		"set preserve_insertion_order = true",
		`insert into _inferences by name select ` + id + ` as id, made as timestamp, 'model' || (i % 20) as model_name, 'bafy' || (i % 20) as model_cid,
			'feature-extraction' as task, 'cpu' as hardware_type, 'cpu' as device, 'int8' as precision, 1 as items, 'L1' as cache, random() as queue_ms,
			0 as fetch_ms, 0 as load_ms, random() as preprocess_ms, 5 + random() as run_ms, random() as postprocess_ms, 7 + random() as total_ms,
			if(i % 1000 = 0, 'deadline', '') as error, 'e1' as environment, 's1' as software_id
			from (select i, now() - to_milliseconds((5000000 - i) * 500) as made from range(5000000) t(i))`,
		`insert into _results by name select ` + id + ` as id, (` + id + `)::varchar as run_id, made as timestamp, 'model' || (i % 20) as model_name, 'bafy' || (i % 20) as model_cid,
			'feature-extraction' as task, 'latency' as workload, 'cpu' as hardware_type, 'cpu' as device, 'fp32' as precision, 1 as batch_size, 5 as warmup,
			list_transform(range(1000), lambda x: 5 + random()) as latencies, 100 as throughput, '' as error, 'e1' as environment, 's' || (i // 5000) as software_id,
			1000 as n, 5.5 as mean_ms, 5.5 + random() / 10 as p50_ms, 5.8 as p90_ms, 5.9 as p95_ms, 6 as p99_ms
			from (select i, now() - to_seconds((10000 - i) * 250) as made from range(10000) t(i))`,
		`insert into _runs by name select run_id, timestamp + to_seconds(e) as updated_at, 'benchmark' as kind, if(e < 2, 'running', 'completed') as status,
			timestamp as started_at, model_name, model_cid, e as done, 2 as total, '' as unit, '' as message, '' as error, 'w' as writer, e * 1000 as elapsed_ms
			from _results, range(3) t(e)`,
		"checkpoint",
	} {
		if _, err := db.ExecContext(b.Context(), q); err != nil {
			b.Fatal(err)
		}
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
