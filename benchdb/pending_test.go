//go:build cgo && unix

package benchdb

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

func init() { roles["be-overtaken"] = beOvertaken }

// beOvertaken is a worker that can't ingest, for another is at it, which is
// done with all when the query has its turn.
func beOvertaken([]string) error {
	var r request
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		return err
	}
	ctx, o := context.Background(), WorkerOptions{
		Driver: "duckdb", Confine: func(int64, time.Duration) (string, error) { return "none", nil },
	}
	w, other := &worker{o: o, ed: current, r: r}, &worker{o: o, ed: current, r: request{IngestMS: 60_000}}
	unlock, err := lock(ctx, true)
	if err != nil {
		return err
	}
	left, err := w.ingest(ctx)
	unlock()
	if left == 0 {
		err = errors.Join(err, errors.New("nothing was left"))
	}
	_, otherErr := other.ingest(ctx)
	table, queryErr := w.query(ctx, left > 0)
	return json.NewEncoder(ResultFile()).Encode(response{
		Schema: current.schema, Table: table, Error: failureOf(errors.Join(err, otherErr, queryErr)),
	})
}

// What one worker could not ingest, another may have by the time that the
// first asks: then it is in the answer, and not pending.
func TestQuery_pendingIngestedSince(t *testing.T) {
	db := openDB(t, t.TempDir())
	db.o.Command, db.queryIngest = self(t, "be-overtaken"), time.Millisecond
	record(t, db, Batch{Inferences: []Inference{inference("a"), inference("b")}})
	table := ask(t, db, Query{Report: ReportSQL, SQL: "select count(*) as n from inferences"})
	if text(table) != `{"n":2}` || table.PendingRows != 0 {
		t.Errorf("%s and %d rows pending, want 2 and none", text(table), table.PendingRows)
	}
	db.o.Command = self(t, "be-worker")
}
