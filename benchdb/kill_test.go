//go:build cgo && unix

package benchdb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// Writers and workers are killed all the time: what a writer was told to be
// recorded is in the database once, and nothing is twice.
func TestKill_writersAndWorkers(t *testing.T) {
	const writers = 8
	each, kills := times(1000), times(500)
	r, dir := seeded(t), t.TempDir()
	db := openDB(t, dir)
	var all sync.WaitGroup
	acked := make([][]string, writers)
	for w := range writers {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		all.Go(func() { acked[w] = killedWriter(t, own, dir, each, kills/2/writers) })
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	killWorker(t, db, time.Minute) // which makes the database, and takes longer than any other
	usual := float64(20 * time.Millisecond)
	workers := 0
	for running := true; running || workers < kills/2; {
		select {
		case <-done:
			running = false
		default:
		}
		record(t, db, Batch{Models: []Model{{CID: "x", Timestamp: time.Now()}}}) // so that there is something to do
		// About half of them are to be killed, however long they take now.
		if killWorker(t, db, time.Duration(r.Float64()*2*usual)) {
			workers++
			usual *= 1.05
		} else {
			usual /= 1.05
		}
	}
	t.Logf("%d workers were killed", workers)
	wantSQL(t, db, "select 1 as n", `{"n":1}`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, dir, acked)
	wantQuarantine(t, dir, 0)
	wantUnlocked(t, dir)
}

// killedWriter has processes record a number of inferences, one process after
// the other, of which so many are killed on the way, and returns the ids that
// were said to be recorded.
func killedWriter(t *testing.T, r *rand.Rand, dir string, records, kills int) (acked []string) {
	for len(acked) < records {
		c := startChild(t, "be-writer", dir, newID(), strconv.Itoa(records-len(acked)))
		last := records // as many as there may be
		if kills > 0 {
			last = r.IntN(max(2*(records-len(acked))/(kills+1), 1))
			kills--
		}
		for n := 0; n < last && len(acked) < records && c.lines.Scan(); n++ {
			acked = append(acked, c.lines.Text())
		}
		if last < records {
			c.cmd.Process.Kill() //nolint:errcheck // it may be gone
		} else if err := c.stdin.Close(); err != nil {
			t.Error(err)
		}
		for c.lines.Scan() { // what it said before
			acked = append(acked, c.lines.Text())
		}
		c.cmd.Wait() //nolint:errcheck // it was killed
	}
	return acked
}

// wantOnce checks that the ids are in the database, and none twice.
func wantOnce(t *testing.T, dir string, acked [][]string) {
	t.Helper()
	rows, err := rawDB(t, filepath.Join(dir, databaseFile)).QueryContext(t.Context(), "select id::varchar from _inferences")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]int{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		stored[id]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	lost, doubled, total := 0, 0, 0
	for _, ids := range acked {
		for _, id := range ids {
			total++
			if stored[id] == 0 {
				lost++
			}
		}
	}
	for _, n := range stored {
		if n > 1 {
			doubled++
		}
	}
	t.Logf("%d were acknowledged, %d are stored", total, len(stored))
	if lost > 0 || doubled > 0 {
		t.Errorf("%d were lost, %d doubled", lost, doubled)
	}
}

// later is a version of this package that is yet to come.
func later() edition {
	all := fstest.MapFS{"migrations/00004_later.sql": {Data: []byte(`-- +goose Up
alter table _fetches add column later integer;
update _meta set value = '4' where key = 'schema';
-- +goose Down
alter table _fetches drop column later;
update _meta set value = '3' where key = 'schema';
`)}}
	names, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			panic(err)
		}
		all[name] = &fstest.MapFile{Data: data}
	}
	return edition{schema: SchemaVersion + 1, format: formatVersion + 1, migrations: all}
}

// beLater is that version's worker. It is started where the migrations are.
func beLater([]string) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := os.Chdir(os.Getenv("TMP")); err != nil {
		return err
	}
	ed := later()
	if err := os.Chdir(dir); err != nil {
		return err
	}
	return work(context.Background(), os.Stdin, ResultFile(), &worker{ed: ed, o: WorkerOptions{
		Driver: "duckdb", Confine: func(int64, time.Duration) (string, error) { return "none", nil },
	}})
}

// Two versions of the program share a folder, call by call: nothing is lost,
// nothing set aside, and the older one goes on asking.
func TestEditions_alternate(t *testing.T) {
	source, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMP", source) // which a worker is handed
	r, dir := seeded(t), t.TempDir()
	older, newer := openDB(t, dir), openDB(t, dir)
	newer.ed, newer.o.Command = later(), self(t, "be-later")
	older.spool.limit, newer.spool.limit = 2000, 2000
	n := 0
	for i := range times(1000) {
		db, name := older, "older"
		if i > 0 && r.IntN(2) == 0 {
			db, name = newer, "newer"
		}
		if r.IntN(3) > 0 {
			record(t, db, Batch{Inferences: []Inference{inference(name)}})
			n++
			continue
		}
		table := ask(t, db, Query{Report: ReportSQL, SQL: "select count(*) as n from inferences"})
		if got := fmt.Sprintf(`{"n":%d}`, int64(n)-table.PendingRows); text(table) != got || name == "newer" && table.PendingRows > 0 {
			t.Fatalf("call %d, %s: %s and %d rows pending of %d", i, name, text(table), table.PendingRows, n)
		}
	}
	wantSQL(t, newer, "select count(*) as n from inferences", fmt.Sprintf(`{"n":%d}`, n))
	wantQuarantine(t, dir, 0)
	if err := older.Migrate(t.Context(), 0); err == nil {
		t.Error("the older version migrated the newer one's database")
	}
}
