//go:build cgo && unix

package benchdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSpool_rotates(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	db.spool.limit = 2000
	for range 20 {
		record(t, db, Batch{Inferences: []Inference{inference("m")}})
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	files := spools(t, dir)
	if len(files) < 4 || !strings.HasSuffix(files[0], "-000001.ndjson") {
		t.Errorf("files: %v", files)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() > 2000+600 {
			t.Errorf("%s has %d bytes, error %v", f, st.Size(), err)
		}
	}
	wantSQL(t, openDB(t, dir), "select count(*) as n from inferences", `{"n":20}`)
}

func TestDB_closeAndReopen(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		db := openDB(t, dir)
		record(t, db, Batch{Inferences: []Inference{inference("m")}})
		wantSQL(t, db, "select count(*) as n from inferences", fmt.Sprintf(`{"n":%d}`, i+1))
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.Record(t.Context(), Batch{Inferences: []Inference{inference("m")}}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Record after Close: %v; want os.ErrClosed", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
	}
}

func TestOpen_oddFolder(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "what?"), Options{}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got error %v; want fs.ErrInvalid", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := writeFile(file, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil {
		t.Error("opened a file")
	}
}

func TestRecord_obeysContext(t *testing.T) {
	db := openDB(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Record(ctx, Batch{Inferences: []Inference{inference("m")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Record: %v; want context.Canceled", err)
	}
	if _, err := db.Query(ctx, Query{Report: ReportRuns}); !errors.Is(err, context.Canceled) {
		t.Errorf("Query: %v; want context.Canceled", err)
	}
}

func TestRecord_atOnce(t *testing.T) {
	const writers, each = 8, 50
	db := openDB(t, t.TempDir())
	db.spool.limit = 10_000
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				b := Batch{Inferences: []Inference{inference("m")}, Results: []Result{result("m", 1)}, Sync: i%10 == w}
				if err := db.Record(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	wantSQL(t, db, "select count(*) as n, (select count(*) from benchmark_results) as r from inferences", fmt.Sprintf(`{"n":%[1]d,"r":%[1]d}`, writers*each))
}

// What is recorded is put on disk within a second, and what lies in a spool is
// left for the database when it gets quiet.
func TestSpool_flushesAndRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		db, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		dirty := func() bool {
			db.spool.mu.Lock()
			defer db.spool.mu.Unlock()
			return db.spool.dirty
		}
		record(t, db, Batch{Inferences: []Inference{inference("m")}})
		if !dirty() {
			t.Error("the record is on disk already")
		}
		time.Sleep(flushAfter)
		synctest.Wait()
		if dirty() {
			t.Error("the record is not on disk")
		}
		time.Sleep(idleIngest - flushAfter)
		synctest.Wait()
		if n := len(spools(t, dir)); n != 2 {
			t.Errorf("%d files; want one finished and one empty", n)
		}
		time.Sleep(2 * idleIngest)
		synctest.Wait()
		if n := len(spools(t, dir)); n != 2 {
			t.Errorf("%d files though nothing was recorded", n)
		}
		record(t, db, Batch{Inferences: []Inference{inference("m")}})
		time.Sleep(spoolAge)
		record(t, db, Batch{Inferences: []Inference{inference("m")}})
		if n := len(spools(t, dir)); n < 3 {
			t.Errorf("%d files; want a new one after %v", n, spoolAge)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRecord_syncFails(t *testing.T) {
	db := openDB(t, t.TempDir())
	record(t, db, Batch{Inferences: []Inference{inference("m")}, Sync: true})
	r, w, err := os.Pipe() // which can be written to, but not synced
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	whole := swapFile(db, w)
	if err := db.Record(t.Context(), Batch{Inferences: []Inference{inference("m")}, Sync: true}); err == nil {
		t.Error("recorded, though it is not on disk")
	}
	if err := swapFile(db, whole).Close(); err != nil {
		t.Error(err)
	}
}

func swapFile(db *DB, f *os.File) *os.File {
	db.spool.mu.Lock()
	defer db.spool.mu.Unlock()
	old := db.spool.file
	db.spool.file = f
	return old
}

// A line that was written in part and can't be taken back spoils no other.
func TestRecord_cantTakeBack(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("there is no /dev/full: %v", err)
	}
	dir := t.TempDir()
	db := openDB(t, dir)
	record(t, db, Batch{Inferences: []Inference{inference("m")}})
	whole := swapFile(db, full)
	if err := db.Record(t.Context(), Batch{Inferences: []Inference{inference("m")}}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got error %v; want ENOSPC", err)
	}
	if err := whole.Close(); err != nil {
		t.Error(err)
	}
	record(t, db, Batch{Inferences: []Inference{inference("m")}})
	if n := len(spools(t, dir)); n != 2 {
		t.Errorf("%d files; want a new one", n)
	}
	wantSQL(t, db, "select count(*) as n from inferences", `{"n":2}`)
}

// beCramped records until no more can be written, then goes on with more room.
// It prints how much was recorded.
func beCramped(args []string) error {
	db, err := Open(args[0], Options{})
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	var most syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &most); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 10_000, Max: most.Max}); err != nil {
		return err
	}
	try := func() error {
		return db.Record(context.Background(), Batch{Inferences: []Inference{inference("m"), inference("m"), inference("m")}})
	}
	recorded := 0
	for ; ; recorded++ {
		if err := try(); errors.Is(err, syscall.EFBIG) {
			break
		} else if err != nil {
			return err
		}
	}
	if err := try(); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("no room, but %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &most); err != nil {
		return err
	}
	for range 5 {
		if err := try(); err != nil {
			return err
		}
		recorded++
	}
	fmt.Println(3 * recorded)
	return db.Close()
}

// A full disk costs what could not be written, and nothing else.
func TestRecord_diskFull(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, "be-cramped", dir)
	if !c.lines.Scan() {
		t.Fatal("it ended")
	}
	recorded := c.lines.Text()
	c.end(t)
	wantSQL(t, openDB(t, dir), "select count(*) as n from inferences", `{"n":`+recorded+`}`)
	wantQuarantine(t, dir, 0)
}
