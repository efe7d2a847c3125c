//go:build cgo && unix

package benchdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A query ingests for as long as it may, then answers and says what is left.
func TestIngest_limit(t *testing.T) {
	db := openDB(t, t.TempDir())
	db.queryIngest = 0 // one batch
	total := 0
	for range 40 {
		b := Batch{}
		for range 200 {
			b.Inferences = append(b.Inferences, inference("m"))
		}
		record(t, db, b)
		total += 200
	}
	var got struct{ N int64 }
	for rounds := 0; ; rounds++ {
		before := got.N
		table := ask(t, db, Query{Report: ReportSQL, SQL: "select count(*) as n from inferences"})
		if err := json.Unmarshal(table.Rows[0], &got); err != nil {
			t.Fatal(err)
		}
		if got.N+table.PendingRows != int64(total) {
			t.Fatalf("%d rows and %d pending; want %d in all", got.N, table.PendingRows, total)
		}
		if table.PendingRows == 0 {
			if rounds < 2 {
				t.Errorf("all was ingested in %d rounds", rounds)
			}
			return
		}
		if got.N == before {
			t.Fatal("it does not get on")
		}
	}
}

// A full spool is ingested and removed in the background.
func TestIngest_whenFull(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	db.spool.limit = 1000
	for range 10 {
		record(t, db, Batch{Inferences: []Inference{inference("m")}})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(spools(t, dir)) > 1 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the spools are still there")
		}
	}
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":10}`)
}

func spools(t testing.TB, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(leftovers(t, dir), func(f string) bool { return !strings.HasSuffix(f, spoolSuffix) })
}

// What a later version wrote is left to it, and what follows too.
func TestIngest_laterFormat(t *testing.T) {
	dir := t.TempDir()
	db, later := openDB(t, dir), openDB(t, dir)
	record(t, later, Batch{Inferences: []Inference{inference("before")}})
	appendTo(t, spools(t, dir)[0], fmt.Sprintf(`{"v":%d,"rows":5,"new":true}`+"\n", formatVersion+1))
	record(t, later, Batch{Inferences: []Inference{inference("after")}})
	if err := later.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		table := ask(t, db, Query{Report: ReportSQL, SQL: "select model_name as m from inferences"})
		if text(table) != `{"m":"before"}` || table.PendingRows != 6 {
			t.Errorf("%s and %d rows pending", text(table), table.PendingRows)
		}
	}
	if n := len(spools(t, dir)); n != 1 {
		t.Errorf("%d spools; want 1", n)
	}
	wantQuarantine(t, dir, 0)
}

func wantQuarantine(t testing.TB, dir string, want int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, quarantineDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(data, []byte{'\n'})
	}
	if lines != want {
		t.Errorf("%d lines are set aside; want %d", lines, want)
	}
}

// What is no record is set aside, and blocks nothing.
func TestIngest_badLines(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("a")}})
	bad := []string{
		"", "x", "{", "[]", "null", `{"v":1}x`, `{"v":0,"rows":1,"batch":{}}`, `{"v":1,"rows":1,"batch":{"secrets":[{}]}}`,
		`{"v":1,"rows":1,"batch":{"inferences":[{"id":"x"}]}}`, `{"v":1,"rows":1,"batch":{"inferences":[{}]}}`, `{"v":1,"rows":1,"batch":{"inferences":{}}}`,
		`{"v":1,"rows":1,"batch":{"results":[{"id":"e53dce88-8769-4e23-8fb1-98647359c73d","timestamp":"noon"}]}}`, "\x00\xff",
	}
	for _, l := range bad {
		appendTo(t, spools(t, dir)[0], l+"\n")
	}
	record(t, db, Batch{Inferences: []Inference{inference("b")}})
	for range 2 {
		wantSQL(t, db, "select model_name as m from inferences order by 1", "{\"m\":\"a\"}\n{\"m\":\"b\"}")
		wantQuarantine(t, dir, len(bad))
	}
	record(t, db, Batch{Inferences: []Inference{inference("c")}})
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":3}`)
}

// Several workers find the same spools of dead writers: each row comes in once.
func TestIngest_manyWorkers(t *testing.T) {
	dir := t.TempDir()
	for range 20 {
		w, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		w.spool.limit = 500
		for range 5 {
			record(t, w, Batch{Inferences: []Inference{inference("m")}})
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := openDB(t, dir)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			table, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: "select count(*) as n from inferences"})
			if err != nil || text(table) != `{"n":100}` {
				t.Errorf("got %s with %d pending, error %v", text(table), table.PendingRows, err)
			}
		})
	}
	all.Wait()
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Writers come and go, and begin new files, while workers tidy up.
func TestIngest_writersComeAndGo(t *testing.T) {
	const writers, each = 4, 3
	dir, rounds := t.TempDir(), times(200)
	db := openDB(t, dir)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range rounds {
				w, err := Open(dir, Options{})
				if err != nil {
					t.Error(err)
					return
				}
				w.spool.limit = 1 // a file for each
				for range each {
					if err := w.Record(t.Context(), Batch{Inferences: []Inference{inference("m")}}); err != nil {
						t.Error(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		askSQL(t, db, "select count(*) as n from inferences")
	}
	wantSQL(t, db, "select count(*) as n, count(distinct id) as ids from inferences", fmt.Sprintf(`{"n":%[1]d,"ids":%[1]d}`, writers*each*rounds))
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A run whose end is recorded but not yet ingested is not lost.
func TestIngest_lostOnlyAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	w, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.spool.limit = 1
	ended, never := newID(), newID()
	record(t, w, Batch{Runs: []Run{run1(ended, Running, noon), run1(never, Queued, noon)}})
	record(t, w, Batch{Runs: []Run{run1(ended, Completed, noon.Add(time.Second))}})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, dir)
	db.queryIngest = 0
	want := func(id string, status Status) {
		t.Helper()
		if got := text(ask(t, db, Query{Report: ReportRun, RunID: id})); !strings.Contains(got, `"status":"`+string(status)+`"`) {
			t.Errorf("%s; want %s", got, status)
		}
	}
	want(ended, Running)
	want(ended, Completed)
	want(never, Lost)
	want(ended, Completed)
	wantSQL(t, db, "select count(*) as n from events where status = 'lost'", `{"n":1}`)
}

// Answers are kept for a day.
func TestIngest_forgetsAnswers(t *testing.T) {
	const private = "what-the-model-said"
	dir := t.TempDir()
	db := openDB(t, dir)
	old, young := run1(newID(), Completed, time.Now().Add(-25*time.Hour)), run1(newID(), Completed, time.Now().Add(-23*time.Hour))
	old.Answer, young.Answer = json.RawMessage(`{"text":"old `+private+`"}`), json.RawMessage(`{"text":"young `+private+`"}`)
	record(t, db, Batch{Runs: []Run{old, young}})
	for id, want := range map[string]string{old.ID: `"answer":null`, young.ID: `"answer":{"text":"young ` + private + `"}`} {
		if got := text(ask(t, db, Query{Report: ReportRun, RunID: id})); !strings.Contains(got, want) {
			t.Errorf("%s; want %s", got, want)
		}
	}
	var n int
	if err := rawDB(t, filepath.Join(dir, databaseFile)).QueryRowContext(t.Context(), "select count(answer) from _runs").Scan(&n); err != nil || n != 1 {
		t.Errorf("the database holds %d answers, error %v; want 1", n, err)
	}
}

// Nothing but what is recorded is in any file, not what was asked nor where.
func TestDB_keepsNothingPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "private-folder")
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("m")}, Results: []Result{result("m", 1)}})
	askSQL(t, db, "select 'private-words' as x")
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":1}`)
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		for _, private := range []string{"private-folder", "private-words"} {
			if bytes.Contains(data, []byte(private)) {
				t.Errorf("%s holds %q", path, private)
			}
		}
		if info, err := d.Info(); err != nil || strings.HasPrefix(path, spoolDir) && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, error %v", path, info.Mode(), err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, error %v", info.Mode(), err)
	}
}

// The types have no room for inputs and outputs, but for the answer of a run
// and their hashes.
func TestBatch_carriesNoData(t *testing.T) {
	free := map[string]bool{"Run.Answer": true, "Result.Metadata": true, "Environment.Info": true, "Plan.Figures": true, "Receipt.InputSHA256": true}
	for f := range reflect.TypeFor[Batch]().Fields() {
		if f.Type.Kind() != reflect.Slice {
			continue
		}
		row := f.Type.Elem()
		for field := range row.Fields() {
			name := row.Name() + "." + field.Name
			raw := field.Type == reflect.TypeFor[json.RawMessage]()
			lower := strings.ToLower(field.Name)
			if !free[name] && (raw || strings.Contains(lower, "input") || strings.Contains(lower, "path") || strings.Contains(lower, "text")) {
				t.Errorf("%s can carry what nobody agreed to keep", name)
			}
		}
	}
}

// Close leaves the database up to date, and Open looks after what others left.
func TestIngest_atStopAndStart(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("m")}})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("after Close there are still %v", left)
	}
	other, err := Open(dir, Options{}) // which can't
	if err != nil {
		t.Fatal(err)
	}
	record(t, other, Batch{Inferences: []Inference{inference("m")}})
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	openDB(t, dir)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(spools(t, dir)) > 0 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the spool is still there")
		}
	}
}
