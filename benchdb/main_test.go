//go:build cgo && unix

package benchdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the driver "duckdb"
	"github.com/google/uuid"
	"go.uber.org/goleak"
)

// roles are what this test binary can be when it is started as a child, by its
// first argument. The rest of the arguments are the role's.
var roles = map[string]func(args []string) error{
	"be-worker": beWorker,
	"be-writer": beWriter,
	"be-holder": beHolder, "be-cramped": beCramped, "be-asker": beAsker, "be-bare": beBare, "be-dirty": beDirty, "be-fragile": beFragile, "be-later": beLater,
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if role := roles[os.Args[1]]; role != nil {
			if err := role(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	// The race detector would have each child sleep for a second as it ends.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// beWorker is the worker without a sandbox, which lives in another room: how
// that holds is tested where the program is.
func beWorker([]string) error {
	return Work(context.Background(), os.Stdin, ResultFile(), WorkerOptions{
		Driver: "duckdb", Confine: func(int64, time.Duration) (string, error) { return "none", nil },
	})
}

// self is the command that is this binary in a role.
func self(t testing.TB, role string, args ...string) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{program, role}, args...)
}

func openDB(t testing.TB, dir string) *DB {
	t.Helper()
	db, err := Open(dir, Options{
		Command: self(t, "be-worker"), QueryTimeout: time.Minute, UnconfinedSQL: true,
		Retention: Retention{Inferences: -1, Samples: -1}, // for the tests' rows are of a day in the past
	})
	if err != nil {
		t.Fatal(err)
	}
	db.queryIngest = time.Minute // all there is
	t.Cleanup(func() {
		if err := db.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func record(t testing.TB, db *DB, b Batch) {
	t.Helper()
	if err := db.Record(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func ask(t testing.TB, db *DB, q Query) Table {
	t.Helper()
	table, err := db.Query(t.Context(), q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return table
}

// askSQL returns the rows of a SELECT as one text.
func askSQL(t testing.TB, db *DB, query string) string {
	t.Helper()
	return text(ask(t, db, Query{Report: ReportSQL, SQL: query, Limit: maxLimit}))
}

func text(table Table) string {
	var b strings.Builder
	for i, r := range table.Rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.Write(r)
	}
	return b.String()
}

func wantSQL(t testing.TB, db *DB, query, want string) {
	t.Helper()
	if got := askSQL(t, db, query); got != want {
		t.Errorf("%s\n got: %s\nwant: %s", query, got, want)
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// noon is a time that says what happens to zones and fractions.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 123456789, time.FixedZone("", 2*3600))

func result(model string, latencies ...float64) Result {
	return Result{
		ID: newID(), RunID: newID(), Timestamp: noon, ModelName: model, ModelCID: "bafy" + model, Task: "feature-extraction", Workload: "latency",
		HardwareType: "cpu", Device: "cpu", Precision: "fp32", BatchSize: 1, Warmup: 2, Latencies: latencies, Throughput: 10, Environment: "e1",
		Metadata: json.RawMessage(`{"threads":2}`),
	}
}

func inference(model string) Inference {
	return Inference{
		ID: newID(), Timestamp: noon, ModelName: model, ModelCID: "bafy" + model, Task: "feature-extraction", HardwareType: "cpu", Device: "cpu",
		Precision: "int8", Items: 3, Cache: "L1", QueueMS: 1, FetchMS: 2, LoadMS: 3, PreprocessMS: 4, RunMS: 5, PostMS: 6, TotalMS: 21, Environment: "e1",
	}
}

func run1(id string, status Status, at time.Time) Run {
	return Run{ID: id, Kind: "benchmark", Status: status, StartedAt: noon, At: at, ModelName: "m", ModelCID: "bafym", Done: 1, Total: 2, Unit: "runs"}
}

// times is n, or a tenth of it unless STRESS=1 asks for the whole.
func times(n int) int {
	if os.Getenv("STRESS") == "1" {
		return n
	}
	return max(n/10, 1)
}

// seeded returns a source of random numbers whose seed is printed.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// leftovers lists the spools and locks of a folder.
func leftovers(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, spoolDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// rawDB opens a database file past the worker.
func rawDB(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func writeFile(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }
