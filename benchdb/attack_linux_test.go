//go:build cgo

package benchdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// hogs want more time or memory than there is.
var hogs = map[string]string{
	"cross join":          "select count(*) from range(30000) a, range(30000) b, range(30000) c",
	"recursion":           "with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r",
	"empty recursion":     "with recursive r as (select 1 as n union all select 1 from r) select count(*) from r",
	"regexp":              "select count(*) from range(100000000) t(i), range(100) where regexp_matches(i::varchar || repeat('a', 1000), '(a|aa)+$')",
	"levenshtein":         "select levenshtein(repeat('a', 300000), repeat('b', 300000))",
	"damerau_levenshtein": "select damerau_levenshtein(repeat('a', 100000), repeat('b', 100000))",
	"repeat":              "select length(repeat(repeat('x', 30000), 30000))",
	"many repeats":        "select repeat('x', 10000000) as x from range(1000)",
	"printf width":        "select length(printf('%2000000000d', 1))",
	"format width":        "select length(format('{:2000000000d}', 1))",
	"lpad":                "select length(lpad('x', 2000000000, 'y'))",
	"bitstring":           "select bit_count(bitstring('1', 2000000000))",
	"lambda":              "select list_sum(list_transform(range(1000000000), lambda x: x + 1))",
	"list":                "select len(list(i)) from range(1000000000) t(i)",
	"sort":                "select i from range(1000000000) t(i) order by hash(i)",
	"group":               "select count(*) from (select i, count(*) from range(1000000000) t(i) group by i)",
	"string_agg":          "select length(string_agg(i::varchar, ',')) from range(1000000000) t(i)",
	"60-way join":         "select count(*) from inferences" + strings.Repeat(", inferences", 59),
	"spill":               "select count(distinct i || repeat('x', 1000)) from range(100000000) t(i)",
	"median":              "select median(distinct i) from range(1000000000) t(i)",
	"window":              "select max(s) from (select sum(i) over (order by hash(i)) as s from range(1000000000) t(i))",
	"factorials":          "select count(*) from range(1000000000) t(i) where 5000::hugeint % (i + 1) = 4999 and sin(i) > 2",
	"wide answer":         "select repeat('x', 3000000) as x from range(1000)",
	"nested lists":        "select list_transform(range(30000), lambda x: range(30000))",
	"pivot":               "pivot (select i, i % 500 as k from range(100000000) t(i)) on k in (1, 2, 3) using sum(i) group by i",
}

// confined gives up what the program's own sandbox does, but for system calls.
func confined(files bool) func(int64, time.Duration) (string, error) {
	return func(memory int64, cpu time.Duration) (string, error) {
		for limit, n := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_CPU: uint64(cpu.Seconds()), unix.RLIMIT_DATA: uint64(memory)} {
			if err := unix.Setrlimit(limit, &unix.Rlimit{Cur: n, Max: n}); err != nil {
				return "", err
			}
		}
		if !files {
			return "partial", nil
		}
		return sandboxFull, errors.Join(landlock.V5.BestEffort().RestrictPaths(), landlock.V5.BestEffort().RestrictNet())
	}
}

func init() { roles["be-confined"] = beConfined }

// beConfined is a worker with the layers that its first argument names: the
// look at the syntax tree, and the system's own restrictions.
func beConfined(args []string) error {
	return work(context.Background(), os.Stdin, ResultFile(), &worker{
		ed: current, skipTree: args[0] == "no-tree", o: WorkerOptions{Driver: "duckdb", Confine: confined(args[0] != "no-landlock")},
	})
}

// Nothing gets through: no file is read or written, the database is not changed,
// nothing is printed, no path told, nothing takes much longer than it may or
// takes memory of this process. That holds of all layers together, and with one
// of them gone. The hogs are a sample unless STRESS=1.
func TestSQL_layers(t *testing.T) {
	all := maps.Clone(attacks)
	r := seeded(t)
	for _, name := range sampleOf(r, slices.Sorted(maps.Keys(hogs))) {
		all["hog: "+name] = hogs[name]
	}
	if n := len(attacks) + len(hogs); n < 150 {
		t.Fatalf("%d attacks; want 150", n)
	}
	for _, layers := range []string{"all", "no-tree", "no-landlock"} {
		t.Run(layers, func(t *testing.T) { attackAll(t, layers, all) })
	}
}

// sampleOf is a tenth of the names, or all under STRESS=1.
func sampleOf(r *rand.Rand, names []string) []string {
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:times(len(names))]
}

func attackAll(t *testing.T, layers string, all map[string]string) {
	db, dir := sqlDB(t)
	db.o.Command, db.o.QueryTimeout = self(t, "be-confined", layers), time.Second
	out := t.TempDir()
	secret := filepath.Join(out, "secret.csv")
	const marker = "secret-of-a-file"
	if err := writeFile(secret, marker); err != nil {
		t.Fatal(err)
	}
	ask(t, db, Query{Report: ReportRuns})
	before, outBefore, rss := fingerprint(t, dir), fingerprint(t, out), resident(t)
	names := make(chan string)
	var two sync.WaitGroup
	for range 2 {
		two.Go(func() {
			for name := range names {
				query := strings.NewReplacer("OUT", out, "DB", filepath.Join(dir, databaseFile), "/etc/passwd", secret).Replace(all[name])
				start := time.Now()
				table, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: query})
				if d := time.Since(start); d > db.o.QueryTimeout+2*time.Second {
					t.Errorf("%s took %v", name, d)
				}
				said := text(table) + fmt.Sprint(err)
				for _, leak := range []string{marker, "answer-of-another", dir, out} {
					if strings.Contains(said, leak) && !strings.Contains(query, leak) {
						t.Errorf("%s told %q: %.300s", name, leak, said)
					}
				}
			}
		})
	}
	for name := range all {
		names <- name
	}
	close(names)
	two.Wait()
	if after := fingerprint(t, dir); after != before {
		t.Errorf("the database was changed:\n%s\nbefore:\n%s", after, before)
	}
	if after := fingerprint(t, out); after != outBefore {
		t.Errorf("written:\n%s", after)
	}
	if grown := resident(t) - rss; grown > 20<<20 {
		t.Errorf("this process grew by %d bytes", grown)
	}
	db.o.QueryTimeout = time.Minute
	db.o.UnconfinedSQL = true
	wantSQL(t, db, "select count(*) as n from benchmark_results", `{"n":2}`)
}

// resident is the memory that this process takes.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(data, []byte("VmRSS:"))
	kib, err := strconv.ParseInt(string(bytes.Fields(after)[0]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// An agent's SQL is off where the sandbox is not full, unless that is wanted.
func TestSQL_needsFullSandbox(t *testing.T) {
	db, _ := sqlDB(t)
	db.o.UnconfinedSQL = false
	db.o.Command = self(t, "be-confined", "no-landlock")
	var qe *QueryError
	if _, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: "select 1"}); !errors.As(err, &qe) || !strings.Contains(qe.Message, "partial") {
		t.Errorf("got error %v; want a QueryError that says why", err)
	}
	ask(t, db, Query{Report: ReportRuns})
	db.o.Command = self(t, "be-confined", "all")
	if table := ask(t, db, Query{Report: ReportSQL, SQL: "select 1 as n"}); table.Sandbox != sandboxFull {
		t.Errorf("the sandbox is %q", table.Sandbox)
	}
}

// What is no attack passes all layers.
func TestSQL_goodQueriesConfined(t *testing.T) {
	db, _ := sqlDB(t)
	db.o.Command, db.o.UnconfinedSQL = self(t, "be-confined", "all"), false
	if len(goodQueries) < 25 {
		t.Fatalf("%d queries; want 25", len(goodQueries))
	}
	for _, c := range goodQueries {
		table, err := db.Query(t.Context(), Query{Report: ReportSQL, SQL: c.query})
		if got := text(table); err != nil || c.want != "" && got != c.want {
			t.Errorf("%s\n got: %s, error %v\nwant: %s", c.query, got, err, c.want)
		}
	}
}
