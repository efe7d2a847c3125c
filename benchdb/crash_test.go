//go:build cgo && unix

package benchdb

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// beWriter records a run that never ends and then, until its input ends or a
// count is reached, inferences one after the other. It prints the id of each
// once that is recorded.
func beWriter(args []string) error {
	dir, runID := args[0], args[1]
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	db, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	db.spool.limit = 64 << 10 // so that there are several files
	ctx := context.Background()
	if err := db.Record(ctx, Batch{Runs: []Run{run1(runID, Running, time.Now())}}); err != nil {
		return err
	}
	for range count {
		i := inference("m")
		if err := db.Record(ctx, Batch{Inferences: []Inference{i}}); err != nil {
			return err
		}
		fmt.Println(i.ID)
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return db.Close()
}

// beHolder holds the database open until its input ends.
func beHolder(args []string) error {
	db, err := sql.Open("duckdb", filepath.Join(args[0], databaseFile)+args[1])
	if err != nil {
		return err
	}
	if err := db.PingContext(context.Background()); err != nil {
		return err
	}
	fmt.Println("held")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return db.Close()
}

// A child is this binary in a role.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

func startChild(t testing.TB, role string, args ...string) *child {
	t.Helper()
	argv := self(t, role, args...)
	c := &child{cmd: exec.Command(argv[0], argv[1:]...)}
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin, c.lines = stdin, bufio.NewScanner(stdout)
	t.Cleanup(func() { c.kill() })
	return c
}

func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		c.cmd.Process.Kill() //nolint:errcheck // it may be gone
		c.cmd.Wait()         //nolint:errcheck // it was killed
	}
}

// end has the child end by itself.
func (c *child) end(t testing.TB) {
	t.Helper()
	if err := c.stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// The worker is killed at random moments while it ingests: no row is lost, none
// doubled, no lock left, and the next query works.
func TestIngest_killed(t *testing.T) {
	r, dir := seeded(t), t.TempDir()
	db := openDB(t, dir)
	db.spool.limit = 16 << 10
	runID, rows, killed, tries := newID(), 0, 0, 0
	record(t, db, Batch{Runs: []Run{run1(runID, Running, noon)}})
	start := time.Now()
	killWorker(t, db, time.Minute)
	usual := time.Since(start)
	for ; killed < times(200); tries++ {
		for range 1 + r.IntN(60) {
			b := Batch{Results: []Result{result("m", 1, 2, 3)}, Inferences: []Inference{inference("m")}}
			record(t, db, b)
			rows++
		}
		if killWorker(t, db, time.Duration(r.Float64()*2*float64(usual))) {
			killed++
		}
		if tries%10 == 0 {
			want := fmt.Sprintf(`{"results":%d,"ids":%d,"inferences":%d}`, rows, rows, rows)
			wantSQL(t, db, "select count(*) as results, count(distinct id) as ids, (select count(*) from inferences) as inferences from benchmark_results", want)
		}
	}
	t.Logf("%d of %d workers were killed before they answered", killed, tries)
	record(t, db, Batch{Runs: []Run{run1(runID, Completed, noon.Add(time.Second))}})
	wantSQL(t, db, "select count(*) as n from events", `{"n":2}`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := openDB(t, dir)
	wantSQL(t, again, "select count(*) as n from inferences", fmt.Sprintf(`{"n":%d}`, rows))
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("after the last ingest of a dead writer there are still %v", left)
	}
	wantUnlocked(t, dir)
	if bad, err := filepath.Glob(filepath.Join(dir, quarantineDir, "*")); err != nil || len(bad) > 0 {
		t.Errorf("set aside: %v %v", bad, err)
	}
}

// The very first worker is killed while it makes the database: the next goes on
// from there.
func TestMigrate_killed(t *testing.T) {
	r := seeded(t)
	var usual time.Duration
	killed := 0
	for i := range times(100) + 1 {
		db := openDB(t, t.TempDir())
		record(t, db, Batch{Inferences: []Inference{inference("m")}})
		if start := time.Now(); i == 0 {
			killWorker(t, db, time.Minute)
			usual = time.Since(start)
		} else if killWorker(t, db, time.Duration(r.Float64()*float64(usual))) {
			killed++
		}
		wantSQL(t, db, "select count(*) as n from inferences", `{"n":1}`)
		wantUnlocked(t, db.dir)
	}
	t.Logf("%d workers were killed before they answered", killed)
}

// A file that DuckDB was killed while it made it has no data, and is made again.
func TestOpen_cutShort(t *testing.T) {
	for _, length := range []int{0, 100, 4096, 8192, 12288} {
		db := openDB(t, t.TempDir())
		record(t, db, Batch{Inferences: []Inference{inference("m")}})
		if err := os.WriteFile(filepath.Join(db.dir, databaseFile), make([]byte, length), 0o600); err != nil {
			t.Fatal(err)
		}
		wantSQL(t, db, "select count(*) as n from inferences", `{"n":1}`)
	}
}

// killWorker starts a worker, kills it after a while, and reports whether it
// was still at work.
func killWorker(t testing.TB, db *DB, after time.Duration) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	_, err := db.ask(ctx, request{Op: opIngest, IngestMS: 10_000})
	return err != nil
}

func wantUnlocked(t testing.TB, dir string) {
	t.Helper()
	lock := flock.New(filepath.Join(dir, lockFile))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Errorf("the database's lock is held: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
}

// A process that records is killed in the middle of it: what it was told is
// recorded is there, and its run is lost.
func TestRecord_killed(t *testing.T) {
	r, dir := seeded(t), t.TempDir()
	db := openDB(t, dir)
	acknowledged, runs := 0, 0
	for range times(50) {
		runID := newID()
		c := startChild(t, "be-writer", dir, runID, "1000000")
		stop := 1 + r.IntN(400)
		for range stop {
			if !c.lines.Scan() {
				t.Fatal("the writer ended")
			}
			acknowledged++
		}
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for c.lines.Scan() {
			acknowledged++
		}
		c.kill()
		runs++
		var got struct{ N, IDs int }
		if err := json.Unmarshal([]byte(askSQL(t, db, "select count(*) as n, count(distinct id) as ids from inferences")), &got); err != nil {
			t.Fatal(err)
		}
		// Of each, one more may have been written and not yet told.
		if got.N < acknowledged || got.N > acknowledged+runs || got.N != got.IDs {
			t.Fatalf("%+v inferences, %d acknowledged", got, acknowledged)
		}
		if got := text(ask(t, db, Query{Report: ReportRun, RunID: runID})); !strings.Contains(got, `"status":"lost"`) {
			t.Fatalf("the run of a dead process: %s", got)
		}
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("dead writers left %v", left)
	}
}

// The last line of a dead writer may be torn; others don't wait for its end.
func TestIngest_tornLine(t *testing.T) {
	dir := t.TempDir()
	db, torn := openDB(t, dir), openDB(t, dir)
	record(t, torn, Batch{Inferences: []Inference{inference("whole")}})
	appendTo(t, leftovers(t, dir)[1], `{"v":1,"rows":1,"batch":{"inferences":[{"id":"`)
	record(t, db, Batch{Inferences: []Inference{inference("other")}})
	wantSQL(t, db, "select model_name from inferences order by 1", `{"model_name":"other"}
{"model_name":"whole"}`)
	if err := torn.Close(); err != nil {
		t.Fatal(err)
	}
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":2}`)
	if left := leftovers(t, dir); len(left) != 3 { // lock, spool and position of db
		t.Errorf("left: %v", left)
	}
}

func appendTo(t testing.TB, path, s string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(s)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// Several processes record and one queries, all at once.
func TestDB_manyProcesses(t *testing.T) {
	const writers, each = 4, 300
	dir := t.TempDir()
	db := openDB(t, dir)
	var all sync.WaitGroup
	for range writers {
		c := startChild(t, "be-writer", dir, newID(), strconv.Itoa(each))
		all.Go(func() {
			for range each {
				c.lines.Scan()
			}
			c.end(t)
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	last := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		var got struct{ N, IDs int }
		if err := json.Unmarshal([]byte(askSQL(t, db, "select count(*) as n, count(distinct id) as ids from inferences")), &got); err != nil {
			t.Fatal(err)
		}
		if got.N < last || got.N != got.IDs {
			t.Fatalf("%+v after %d", got, last)
		}
		last = got.N
	}
	if last != writers*each {
		t.Errorf("%d inferences; want %d", last, writers*each)
	}
	wantSQL(t, db, "select status, count(*) as n from events group by all order by 1", `{"status":"lost","n":4}
{"status":"running","n":4}`)
}

// Another program holds the database: recording goes on, the query names the
// holder, and nothing is lost.
func TestQuery_heldByAnother(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("before")}})
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":1}`)
	holder := startChild(t, "be-holder", dir, "")
	if !holder.lines.Scan() {
		t.Fatal("the holder ended")
	}
	record(t, db, Batch{Inferences: []Inference{inference("while")}})
	_, err := db.Query(t.Context(), Query{Report: ReportRuns})
	if want := fmt.Sprintf("(PID %d)", holder.cmd.Process.Pid); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), dir) {
		t.Errorf("got error %v; want ErrLocked with %s", err, want)
	}
	holder.end(t)
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":2}`)

	// One who only reads keeps the worker from ingesting, not from reading.
	reader := startChild(t, "be-holder", dir, "?access_mode=READ_ONLY")
	if !reader.lines.Scan() {
		t.Fatal("the reader ended")
	}
	record(t, db, Batch{Inferences: []Inference{inference("a"), inference("b")}, Results: []Result{result("c", 1)}})
	table := ask(t, db, Query{Report: ReportSQL, SQL: "select count(*) as n from inferences"})
	if text(table) != `{"n":2}` || table.PendingRows != 3 {
		t.Errorf("%s with %d rows pending; want 2 and 3", text(table), table.PendingRows)
	}
	reader.end(t)
	table = ask(t, db, Query{Report: ReportSQL, SQL: "select count(*) as n from inferences"})
	if text(table) != `{"n":4}` || table.PendingRows != 0 {
		t.Errorf("%s with %d rows pending; want 4 and 0", text(table), table.PendingRows)
	}
}

// beAsker asks what takes DuckDB longer than anyone waits.
func beAsker(args []string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	db, err := Open(args[0], Options{Command: []string{program, "be-worker"}, QueryTimeout: time.Hour})
	if err != nil {
		return err
	}
	_, err = db.Query(context.Background(), Query{Report: ReportSQL, SQL: "select levenshtein(repeat('a', 3000000), repeat('b', 3000000))"})
	return err
}

// A worker ends with the process that started it, whatever DuckDB is doing.
func TestWorker_endsWithItsParent(t *testing.T) {
	dir := t.TempDir()
	wantSQL(t, openDB(t, dir), "select 1 as n", `{"n":1}`) // the asker need not ingest
	c := startChild(t, "be-asker", dir)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	lock := flock.New(filepath.Join(dir, lockFile))
	look := time.NewTicker(5 * time.Millisecond) // looking all the time would keep the query from its lock
	defer look.Stop()
	for held := false; !held; { // by the query
		<-look.C
		ok, err := lock.TryLock()
		if err := errors.Join(err, lock.Unlock(), ctx.Err()); err != nil {
			t.Fatal(err)
		}
		held = !ok
	}
	c.kill()
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		t.Errorf("the worker is still there: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
}
