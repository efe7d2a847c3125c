package benchdb

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// query answers the request's question on the read-only database, in a
// process that can reach nothing else by then.
func (w *worker) query(ctx context.Context) (Table, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(w.r.TimeoutMS)*time.Millisecond)
	defer cancel()
	if w.r.Query.Report == ReportSQL {
		if err := checkSQL(ctx, w.o.Driver, w.r.Query.SQL); err != nil {
			return Table{}, err
		}
	}
	unlock, err := w.lock(ctx, false)
	if err != nil {
		return Table{}, err
	}
	defer unlock()
	db, err := w.open("?access_mode=READ_ONLY")
	if err != nil {
		return Table{}, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return Table{}, err
	}
	level, err := w.confine(ctx, conn)
	if err != nil {
		return Table{}, err
	}
	t, err := w.answer(ctx, conn)
	t.Sandbox = level
	return t, err
}

// settings lock DuckDB down. Their order matters: each of the last three would
// keep those before it from being set.
var settings = []string{
	"set autoinstall_known_extensions = false", "set autoload_known_extensions = false", "set allow_community_extensions = false",
	"set allow_persistent_secrets = false", fmt.Sprintf("set memory_limit = '%dMB'", queryMemory>>20), "set threads = 2",
	"set max_temp_directory_size = '0KB'", "set temp_directory = ''", "set max_expression_depth = 250",
	"set enable_external_access = false", "set disabled_filesystems = 'LocalFileSystem'", "set lock_configuration = true",
}

// confine takes everything from DuckDB and the process that a query does not
// need. The database is open by now: DuckDB aborts if it can't open it.
func (w *worker) confine(ctx context.Context, conn *sql.Conn) (string, error) {
	for _, s := range settings {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return "", fmt.Errorf("%s: %w", s, err)
		}
	}
	cpu := 2*time.Duration(w.r.TimeoutMS)*time.Millisecond + 2*time.Second // two threads
	return w.o.Confine(confineMemory, cpu)
}

func (w *worker) answer(ctx context.Context, conn *sql.Conn) (Table, error) {
	q := w.r.Query
	switch q.Report {
	case ReportSQL:
		return agentSQL(ctx, conn, q)
	case ReportRun:
		return table(ctx, conn, q.Limit, runSQL, sql.Named("run_id", q.RunID))
	case ReportRuns:
		return runs(ctx, conn, q)
	case ReportPercentiles:
		return percentiles(ctx, conn, q)
	}
	return Table{}, &QueryError{
		Message: fmt.Sprintf("unknown report %q", q.Report), ValidValues: []string{string(ReportRuns), string(ReportRun), string(ReportPercentiles)},
	}
}

// allRuns joins what was announced as a run with what was over too soon for
// that.
const allRuns = `with announced as (
		select run_id, arg_max(kind, updated_at) as kind, arg_max(status, updated_at) as status, min(started_at) as started_at, max(updated_at) as updated_at,
		       arg_max(model_name, updated_at) as model_name, arg_max(model_cid, updated_at) as model_cid, arg_max(done, updated_at) as done,
		       arg_max(total, updated_at) as total, arg_max(unit, updated_at) as unit, arg_max(message, updated_at) as message,
		       arg_max(answer, updated_at) as answer, arg_max(error, updated_at) as error
		from _runs group by run_id),
	all_runs as (
		select run_id, kind, status, started_at, model_name as model, model_cid,
		       case when status in ('queued', 'running') then null else round(epoch_ms(updated_at) - epoch_ms(started_at), 3) end as total_ms,
		       nullif(error, '') as error
		from announced
		union all
		select id::varchar, 'inference', if(error = '', 'completed', 'failed'), timestamp, model_name, model_cid, total_ms, nullif(error, '')
		from _inferences where id::varchar not in (select run_id from announced)
		union all
		select id::varchar, 'fetch', if(error = '', 'completed', 'failed'), timestamp, model_name, model_cid, total_ms, nullif(error, '')
		from _fetches where id::varchar not in (select run_id from announced))
	`

// runSQL finds one run. What was too short to be announced has its row of
// costs for an answer.
var runSQL = `with found as (
		select run_id, kind, status, started_at, updated_at, model_name, model_cid, done, total, unit, message, answer, error
		from _runs where run_id = $run_id
		union all
		select id::varchar, 'inference', if(error = '', 'completed', 'failed'), timestamp, timestamp, model_name, model_cid, 0, 0, '', '',
		       to_json(i), error
		from _inferences i where id = try_cast($run_id as uuid)
		union all
		select id::varchar, 'fetch', if(error = '', 'completed', 'failed'), timestamp, timestamp, model_name, model_cid, 0, 0, '', '',
		       to_json(f), error
		from _fetches f where id = try_cast($run_id as uuid))
	select run_id, kind, status, ` + startedAt + ` as started_at, ` + updatedAt + ` as updated_at, model_name, model_cid, done, total, unit, message, answer, error
	from found order by answer is null, updated_at desc limit 1`

var startedAt, updatedAt = rfc3339("min(started_at) over ()"), rfc3339("updated_at")

// rfc3339 is the SQL that writes a time as JSON readers expect it, in UTC.
func rfc3339(expr string) string {
	return "strftime(" + expr + " at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
}

// runs lists the runs, newest first.
func runs(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	where, args := filter(q, "model", "started_at")
	var total int64
	if err := conn.QueryRowContext(ctx, allRuns+"select count(*) from all_runs"+where, args...).Scan(&total); err != nil {
		return Table{}, err
	}
	if q.Cursor != "" {
		since, id, err := readCursor(q.Cursor)
		if err != nil {
			return Table{}, err
		}
		where += " and (started_at, run_id) < ($at::timestamptz, $id)"
		args = append(args, sql.Named("at", since), sql.Named("id", id))
	}
	const order = " order by started_at desc, run_id desc"
	t, err := table(ctx, conn, q.Limit, allRuns+"select * exclude (model_cid) replace ("+rfc3339("started_at")+" as started_at) from all_runs"+where+order, args...)
	t.Total = total
	if err == nil && t.Truncated {
		t.NextCursor, err = cursorOf(t.Rows[len(t.Rows)-1])
	}
	t.units(map[string]string{"total_ms": "ms"})
	return t, err
}

// filter makes the where clause for a query's fields.
func filter(q Query, name, at string) (string, []any) {
	where, args := " where true", []any{}
	if q.Model != "" {
		where += " and ($model in (" + name + ", model_cid))"
		args = append(args, sql.Named("model", q.Model))
	}
	if !q.Since.IsZero() {
		where += " and " + at + " >= $since::timestamptz"
		args = append(args, sql.Named("since", q.Since.UTC().Format(time.RFC3339Nano)))
	}
	return where, args
}

// percentiles summarises the samples of each configuration, all runs together.
func percentiles(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	where, args := filter(q, "model_name", "timestamp")
	if q.Device != "" {
		where += " and $device in (device, hardware_type)"
		args = append(args, sql.Named("device", q.Device))
	}
	if q.Workload != "" {
		where += " and workload = $workload"
		args = append(args, sql.Named("workload", q.Workload))
	}
	group := `select model_name as model, device, precision, batch_size, workload, count(*) as runs,
		       round(avg(throughput), 3) as throughput_per_s, flatten(list(latencies)) as latencies
		from _results` + where + ` and error = '' group by all order by model, workload, device, precision, batch_size`
	t, err := table(ctx, conn, q.Limit, group, args...)
	if err != nil {
		return Table{}, err
	}
	for i, row := range t.Rows {
		if t.Rows[i], err = summarizeRow(row); err != nil {
			return Table{}, err
		}
	}
	t.Columns = t.Columns[:len(t.Columns)-1]
	for _, name := range []string{"samples", "mean_ms", "p50_ms", "p50_ci95_low", "p50_ci95_high", "p90_ms", "p95_ms", "p99_ms"} {
		t.Columns = append(t.Columns, Column{Name: name, Type: "double"})
	}
	t.units(map[string]string{
		"throughput_per_s": "1/s", "mean_ms": "ms", "p50_ms": "ms", "p50_ci95_low": "ms", "p50_ci95_high": "ms", "p90_ms": "ms", "p95_ms": "ms", "p99_ms": "ms",
	})
	return t, nil
}

// percentileRow is a row of percentiles, in column order.
type percentileRow struct {
	Model      string     `json:"model"`
	Device     string     `json:"device"`
	Precision  string     `json:"precision"`
	BatchSize  int        `json:"batch_size"`
	Workload   string     `json:"workload"`
	Runs       int        `json:"runs"`
	Throughput float64    `json:"throughput_per_s"`
	Latencies  *[]float64 `json:"latencies,omitempty"`
	Samples    int        `json:"samples"`
	Mean       float64    `json:"mean_ms"`
	P50        float64    `json:"p50_ms"`
	Low        *float64   `json:"p50_ci95_low"`
	High       *float64   `json:"p50_ci95_high"`
	P90        *float64   `json:"p90_ms"`
	P95        *float64   `json:"p95_ms"`
	P99        *float64   `json:"p99_ms"`
}

func summarizeRow(row json.RawMessage) (json.RawMessage, error) {
	var r percentileRow
	if err := json.Unmarshal(row, &r); err != nil {
		return nil, err
	}
	if r.Latencies != nil {
		s := Summarize(*r.Latencies).Rounded()
		r.Samples, r.Mean, r.P50, r.P90, r.P95, r.P99 = len(*r.Latencies), s.Mean, s.P50, s.P90, s.P95, s.P99
		if s.P50CI95 != nil {
			r.Low, r.High = &s.P50CI95[0], &s.P50CI95[1]
		}
		r.Latencies = nil
	}
	return json.Marshal(r)
}

// maxTable bounds the rows of an answer, in bytes.
const maxTable = 4 << 20

// table runs a query and returns up to limit rows; DuckDB itself makes them
// JSON, so that no type of its needs to be known here.
func table(ctx context.Context, conn *sql.Conn, limit int, query string, args ...any) (Table, error) {
	t := Table{Total: -1, Rows: []json.RawMessage{}}
	var err error
	if t.Columns, err = columns(ctx, conn, query, args...); err != nil {
		return t, err
	}
	q := fmt.Sprintf("select to_json(row_)::varchar from (select * from (\n%s\n) limit %d) row_", query, limit+1)
	rows, err := conn.QueryContext(ctx, q, args...)
	if err != nil {
		return t, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	size := 0
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			return t, err
		}
		if size += len(row); len(t.Rows) == limit || size > maxTable {
			t.Truncated = true
			break
		}
		if !json.Valid([]byte(row)) { // NaN and infinities
			row = nonFinite.Replace(row)
		}
		t.Rows = append(t.Rows, json.RawMessage(row))
	}
	return t, rows.Err()
}

// nonFinite makes numbers that JSON does not have into null.
var nonFinite = strings.NewReplacer(":NaN", ":null", ":-NaN", ":null", ":nan", ":null", ":-nan", ":null", ":Infinity", ":null", ":-Infinity", ":null", ":inf", ":null", ":-inf", ":null")

// columns asks for the names and types of a query's columns.
func columns(ctx context.Context, conn *sql.Conn, query string, args ...any) ([]Column, error) {
	rows, err := conn.QueryContext(ctx, "select * from (\n"+query+"\n) limit 0", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // it has no rows
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	out := make([]Column, len(types))
	for i, c := range types {
		out[i] = Column{Name: c.Name(), Type: strings.ToLower(c.DatabaseTypeName())}
	}
	return out, rows.Err()
}

func (t *Table) units(by map[string]string) {
	for i := range t.Columns {
		t.Columns[i].Unit = by[t.Columns[i].Name]
	}
}

// cursorOf names the last row of a page.
func cursorOf(row json.RawMessage) (string, error) {
	var last struct {
		At string `json:"started_at"`
		ID string `json:"run_id"`
	}
	if err := json.Unmarshal(row, &last); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString([]byte(last.At + "|" + last.ID)), nil
}

func readCursor(c string) (at, id string, err error) {
	data, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil {
		return "", "", ErrBadCursor
	}
	at, id, ok := strings.Cut(string(data), "|")
	if !ok || len(at) < 10 || at[4] != '-' {
		return "", "", ErrBadCursor
	}
	return at, id, nil
}
