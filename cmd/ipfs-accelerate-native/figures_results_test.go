//go:build figures && linux

package main_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

const (
	records   = 300 // of a run, in turn with bare appends
	questions = 25  // to a large database, in turn with bare children
)

// p8 is what recording costs, over a bare append of the same bytes, and what a
// question costs, over a bare child that opens the database and asks nothing.
func p8(t *testing.T, server, native string) {
	recording(t)
	asking(t, server, native)
	likeness(t, server, native)
}

// likeness compares this build with itself, in turn: a comparison must not
// tell a difference.
func likeness(t *testing.T, server, native string) {
	cmd := exec.Command(server, "bench", blazeFaceFolder, "--rounds", "10", "--iterations", "30", "--baseline-bin", server, "--json", "--home", t.TempDir())
	cmd.Env = append(os.Environ(), "IPFS_ACCELERATE_NATIVE="+native, "ORT_LIB="+enginetest.Runtime(t))
	out, err := cmd.Output()
	must(t, err)
	var report struct{ Comparisons []benchdb.Comparison }
	must(t, json.Unmarshal(out, &report))
	alarms := 0.0
	for _, c := range report.Comparisons {
		fmt.Printf("# P8a %s, change %+.3f\n", c.Verdict, *c.Change)
		if c.Verdict != benchdb.Indistinguishable {
			alarms++
		}
	}
	figure("P8a", alarms, "alarms", 0)
}

func recording(t *testing.T) {
	dir := t.TempDir()
	db, err := benchdb.Open(dir, benchdb.Options{})
	must(t, err)
	run := batchOfRun()
	must(t, db.Record(t.Context(), run))
	spools, err := filepath.Glob(filepath.Join(dir, "spool", "*.ndjson"))
	if err != nil || len(spools) != 1 {
		t.Fatalf("spools are %v, %v", spools, err)
	}
	line, err := os.ReadFile(spools[0])
	must(t, err)
	bare, err := os.OpenFile(filepath.Join(dir, "bare"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	var ours, theirs, inferences []float64
	for range records {
		theirs = append(theirs, timed(t, func() error {
			if _, err := bare.Write(line); err != nil {
				return err
			}
			return syscall.Fdatasync(int(bare.Fd()))
		}))
		ours = append(ours, timed(t, func() error { return db.Record(t.Context(), run) }))
		one := benchdb.Batch{Inferences: []benchdb.Inference{{ID: newID(), Timestamp: time.Now(), ModelName: "m", ModelCID: "c", Device: "cpu", RunMS: 1, TotalMS: 2}}}
		inferences = append(inferences, 1000*timed(t, func() error { return db.Record(t.Context(), one) }))
	}
	must(t, bare.Close())
	must(t, db.Close())
	fmt.Printf("# P8 medians in ms: a run recorded %.3f, its bytes appended and synced %.3f\n", median(ours), median(theirs))
	figure("P8", median(ours)/median(theirs), "ratio", 1.3)
	figure("P8i", median(inferences), "us", 20)
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// batchOfRun is what a benchmark of 200 samples records.
func batchOfRun() benchdb.Batch {
	latencies := make([]float64, 200)
	for i := range latencies {
		latencies[i] = 5 + float64(i)/1000
	}
	id := newID()
	return benchdb.Batch{
		Runs:    []benchdb.Run{{ID: id, Kind: "benchmark", Status: benchdb.Completed, StartedAt: time.Now(), At: time.Now(), ModelName: "m"}},
		Results: []benchdb.Result{{ID: newID(), RunID: id, Timestamp: time.Now(), ModelName: "m", Workload: "latency", Device: "cpu", BatchSize: 1, Latencies: latencies}},
		Sync:    true,
	}
}

// asking measures query_results over stdio on five million inferences and ten
// thousand runs of a thousand samples.
func asking(t *testing.T, server, native string) {
	home := t.TempDir()
	dir := filepath.Join(home, "benchdb")
	db := openDatabase(t, dir, native)
	bare := buildBinary(t, "1", "./testdata/bareselect")
	l := openLine(t, []string{"IPFS_ACCELERATE_HOME=" + home, "IPFS_ACCELERATE_NATIVE=" + native}, server, "serve")
	ask := func() error { return l.ask(call("query_results", `{}`)) }
	must(t, ask()) // the first migrates, ingests and warms up
	var quiet, fresh, least []float64
	for range questions {
		least = append(least, timed(t, exec.Command(bare, filepath.Join(dir, "metrics.duckdb")).Run))
		quiet = append(quiet, timed(t, ask))
		must(t, db.Record(t.Context(), benchdb.Batch{Inferences: []benchdb.Inference{{ID: newID(), Timestamp: time.Now(), ModelName: "m"}}}))
		fresh = append(fresh, timed(t, ask))
	}
	l.close(t)
	must(t, db.Close())
	fmt.Printf("# P8q medians in ms: query_results %.1f, after a record %.1f, a bare child %.1f\n", median(quiet), median(fresh), median(least))
	figure("P8q", median(quiet)/median(least), "ratio", 3)
	figure("P8n", median(fresh)/median(least), "ratio", 5)
}

// openDatabase makes a large database.
func openDatabase(t *testing.T, dir, native string) *benchdb.DB {
	t.Helper()
	db, err := benchdb.Open(dir, benchdb.Options{Command: []string{native, "worker"}})
	must(t, err)
	must(t, db.Migrate(t.Context(), 0))
	script, err := os.ReadFile("../../benchdb/testdata/large.sql")
	must(t, err)
	raw, err := sql.Open("duckdb", filepath.Join(dir, "metrics.duckdb"))
	must(t, err)
	_, err = raw.ExecContext(t.Context(), string(script))
	must(t, err)
	must(t, raw.Close())
	return db
}
