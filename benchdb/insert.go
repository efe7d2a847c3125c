package benchdb

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// shapes are the columns that a row of each table has in a spool, as from_json
// takes them. The tables' own names begin with "_".
var shapes = map[string]string{
	"results": `{"id":"UUID","run_id":"VARCHAR","timestamp":"TIMESTAMPTZ","model_name":"VARCHAR","model_cid":"VARCHAR","task":"VARCHAR",
		"workload":"VARCHAR","hardware_type":"VARCHAR","device":"VARCHAR","precision":"VARCHAR","batch_size":"INTEGER","warmup":"INTEGER",
		"latencies":["DOUBLE"],"throughput":"DOUBLE","memory_bytes":"BIGINT","accuracy_score":"DOUBLE","error":"VARCHAR",
		"environment":"VARCHAR","metadata":"JSON","software_id":"VARCHAR","config_key":"VARCHAR","threads":"INTEGER","duration_ms":"DOUBLE",
		"load_ms":"DOUBLE","first_ms":"DOUBLE","queue_ms":"DOUBLE","preprocess_ms":"DOUBLE","run_ms":"DOUBLE","postprocess_ms":"DOUBLE",
		"joules":"DOUBLE","bytes":"BIGINT","noisy":"BOOLEAN","load_before":"DOUBLE","load_after":"DOUBLE","offsets":["DOUBLE"],
		"n":"BIGINT","mean_ms":"DOUBLE","min_ms":"DOUBLE","max_ms":"DOUBLE","p50_ms":"DOUBLE","p50_low":"DOUBLE","p50_high":"DOUBLE",
		"p90_ms":"DOUBLE","p95_ms":"DOUBLE","p99_ms":"DOUBLE"}`,
	"inferences": `{"id":"UUID","timestamp":"TIMESTAMPTZ","model_name":"VARCHAR","model_cid":"VARCHAR","task":"VARCHAR","hardware_type":"VARCHAR",
		"device":"VARCHAR","precision":"VARCHAR","items":"INTEGER","cache":"VARCHAR","queue_ms":"DOUBLE","fetch_ms":"DOUBLE","load_ms":"DOUBLE",
		"preprocess_ms":"DOUBLE","run_ms":"DOUBLE","postprocess_ms":"DOUBLE","total_ms":"DOUBLE","error":"VARCHAR","environment":"VARCHAR",
		"software_id":"VARCHAR","joules":"DOUBLE"}`,
	"fetches": `{"id":"UUID","timestamp":"TIMESTAMPTZ","model_name":"VARCHAR","model_cid":"VARCHAR","bytes":"BIGINT","level":"VARCHAR",
		"total_ms":"DOUBLE","error":"VARCHAR","environment":"VARCHAR","software_id":"VARCHAR","source":"VARCHAR"}`,
	"environments": `{"id":"VARCHAR","timestamp":"TIMESTAMPTZ","info":"JSON","kind":"VARCHAR"}`,
	"platforms": `{"id":"UUID","timestamp":"TIMESTAMPTZ","environment":"VARCHAR","platform":"VARCHAR","present":"BOOLEAN","available":"BOOLEAN",
		"device":"VARCHAR","reason":"VARCHAR"}`,
	"models": `{"cid":"VARCHAR","timestamp":"TIMESTAMPTZ","name":"VARCHAR","task":"VARCHAR","bytes":"BIGINT","license":"VARCHAR"}`,
	"runs": `{"run_id":"VARCHAR","updated_at":"TIMESTAMPTZ","kind":"VARCHAR","status":"VARCHAR","started_at":"TIMESTAMPTZ","model_name":"VARCHAR",
		"model_cid":"VARCHAR","done":"BIGINT","total":"BIGINT","unit":"VARCHAR","message":"VARCHAR","answer":"JSON","error":"VARCHAR",
		"elapsed_ms":"DOUBLE"}`,
	"time_series": `{"id":"UUID","timestamp":"TIMESTAMPTZ","run_id":"VARCHAR","result_id":"VARCHAR","name":"VARCHAR","unit":"VARCHAR",
		"offsets":["DOUBLE"],"vals":["DOUBLE"]}`,
	"plans": `{"model_cid":"VARCHAR","device":"VARCHAR","machine_id":"VARCHAR","timestamp":"TIMESTAMPTZ","threads":"INTEGER",
		"batch_size":"INTEGER","precision":"VARCHAR","run_id":"VARCHAR","figures":"JSON"}`,
	"receipts": `{"id":"UUID","timestamp":"TIMESTAMPTZ","run_id":"VARCHAR","role":"VARCHAR","peer":"VARCHAR","model_cid":"VARCHAR",
		"input_sha256":"VARCHAR","output_sha256":"VARCHAR","signature":"VARCHAR","total_ms":"DOUBLE","error":"VARCHAR"}`,
	"dropped": `{"id":"UUID","timestamp":"TIMESTAMPTZ","model_name":"VARCHAR","model_cid":"VARCHAR","device":"VARCHAR","error":"VARCHAR","n":"BIGINT"}`,
}

// ofVersion returns the lines before the first of a later version, and
// reports whether there is one.
func ofVersion(format int, data []byte) (lines []byte, more bool) {
	end := 0
	for l := range bytes.Lines(data) {
		if number(l, "v") > int64(format) {
			return data[:end], true
		}
		end += len(l)
	}
	return data, false
}

// parse sorts the rows of lines by table. Lines that are no records are
// returned as they are.
func parse(format int, data []byte) (rows map[string][]json.RawMessage, bad []byte) {
	rows = map[string][]json.RawMessage{}
	for raw := range bytes.Lines(data) {
		var l line
		if err := json.Unmarshal(raw, &l); err != nil || l.Version < 1 || l.Version > format || !known(l.Batch) {
			bad = append(bad, raw...)
			continue
		}
		for table, more := range l.Batch {
			rows[table] = append(rows[table], more...)
		}
	}
	return rows, bad
}

func known(batch map[string][]json.RawMessage) bool {
	for table := range batch {
		if shapes[table] == "" {
			return false
		}
	}
	return true
}

// insert inserts lines of a file and sets its position to their end, in one
// transaction. A row that is there already stays as it is.
func (in *ingester) insert(ctx context.Context, s spoolFile, position int64, data []byte) error {
	rows, bad := parse(in.w.ed.format, data)
	position += int64(len(data))
	err := in.transaction(ctx, func(tx *sql.Tx) error {
		for _, table := range slices.Sorted(maps.Keys(rows)) {
			if err := insertRows(ctx, tx, table, s.writer, rows[table]); err != nil {
				return fmt.Errorf("ingest %s: %w", table, err)
			}
		}
		if err := quarantine(s, bad); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "insert or replace into _spool_offsets values (?, ?)", s.name, position)
		return err
	})
	if err != nil {
		return err
	}
	return s.note(position)
}

func insertRows(ctx context.Context, tx *sql.Tx, table, writer string, rows []json.RawMessage) error {
	if table == "results" {
		for i := range rows {
			rows[i] = summarized(rows[i])
		}
	}
	data, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	const fresh = "select unnest(from_json(?::json, ?), recursive := true)"
	args := []any{string(data), "[" + shapes[table] + "]"}
	q := "insert into _" + table + " by name " + fresh
	switch table {
	case "inferences": // which have no index of keys
		q = insertInferences(fresh)
	case "runs":
		q, args = q+", ? as writer on conflict do nothing", append(args, writer)
	default:
		q += " on conflict do nothing"
	}
	_, err = tx.ExecContext(ctx, q, args...)
	return err
}

// insertInferences is the SQL for rows of which none is there already.
func insertInferences(fresh string) string {
	return "insert into _inferences by name with fresh as materialized (" + fresh + `),
		known as materialized (select id from _inferences where id in (select id from fresh))
		select distinct on (id) * from fresh anti join known using (id)`
}

// summarized adds to a row of results what is said of its samples. A row that
// can't be read is for the database to refuse.
func summarized(row json.RawMessage) json.RawMessage {
	var r struct {
		Latencies []float64 `json:"latencies"`
	}
	if err := json.Unmarshal(row, &r); err != nil {
		return row
	}
	data, err := json.Marshal(figuresOf(r.Latencies))
	body, ok := bytes.CutSuffix(bytes.TrimSpace(row), []byte("}"))
	if err != nil || !ok || len(body) <= 1 {
		return row
	}
	return slices.Concat(body, []byte(","), data[1:])
}

// refused reports whether the database refused what it was given, rather than
// failed.
func refused(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	for _, kind := range []string{"Conversion Error", "Constraint Error", "Invalid Input Error", "Out of Range Error"} {
		if strings.Contains(err.Error(), kind) {
			return true
		}
	}
	return false
}

// quarantine sets lines aside that are no records.
func quarantine(s spoolFile, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	if err := os.MkdirAll(quarantineDir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(quarantineDir, s.name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	return errors.Join(err, f.Sync(), f.Close())
}
