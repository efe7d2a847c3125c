package benchdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"
)

// percentileRow is a row of percentiles, in column order.
type percentileRow struct {
	Model      string   `json:"model"`
	Device     string   `json:"device"`
	Precision  string   `json:"precision"`
	BatchSize  int      `json:"batch_size"`
	Workload   string   `json:"workload"`
	Runs       int      `json:"runs"`
	Throughput *float64 `json:"throughput_per_s"`
	Samples    int      `json:"samples"`
	Mean       *float64 `json:"mean_ms"`
	P50        *float64 `json:"p50_ms"`
	Low        *float64 `json:"p50_ci95_low"`
	High       *float64 `json:"p50_ci95_high"`
	P90        *float64 `json:"p90_ms"`
	P95        *float64 `json:"p95_ms"`
	P99        *float64 `json:"p99_ms"`
}

var percentileColumns = []Column{
	{Name: "model", Type: "varchar"},
	{Name: "device", Type: "varchar"},
	{Name: "precision", Type: "varchar"},
	{Name: "batch_size", Type: "integer"},
	{Name: "workload", Type: "varchar"},
	{Name: "runs", Type: "bigint"},
	{Name: "throughput_per_s", Type: "double", Unit: "1/s"},
	{Name: "samples", Type: "bigint"},
	{Name: "mean_ms", Type: "double", Unit: "ms"},
	{Name: "p50_ms", Type: "double", Unit: "ms"},
	{Name: "p50_ci95_low", Type: "double", Unit: "ms"},
	{Name: "p50_ci95_high", Type: "double", Unit: "ms"},
	{Name: "p90_ms", Type: "double", Unit: "ms"},
	{Name: "p95_ms", Type: "double", Unit: "ms"},
	{Name: "p99_ms", Type: "double", Unit: "ms"},
}

// maxPooled is how many samples of a configuration are summarised, its newest:
// as many as are enough for any percentile that is given.
const maxPooled = 5_000

// pooledSQL finds the samples of each configuration of a page, newest results
// first until they are enough, and what is left of those whose samples are too
// old to be kept.
const pooledSQL = `with chosen as (
		select id, coalesce(model_name, '') as model, coalesce(device, '') as device, coalesce(precision, '') as precision,
		       coalesce(batch_size, 0) as batch_size, coalesce(workload, '') as workload, throughput, n,
		       coalesce(sum(n) over (partition by model_name, device, precision, batch_size, workload order by id desc
		           rows between unbounded preceding and 1 preceding), 0) as newer
		from _results {where}),
	configurations as (
		select distinct model, workload, device, precision, batch_size from chosen {after} order by all limit {n}),
	pooled as (
		select c.* from chosen c semi join configurations using (model, workload, device, precision, batch_size) where newer < {pooled})
	select p.model, p.device, p.precision, p.batch_size, p.workload, count(*) as runs, round(avg(nullif(p.throughput, 0)), 3) as throughput_per_s,
	       flatten(list(latencies order by p.id) filter (latencies is not null)) as latencies,
	       list(p50_ms) filter (latencies is not null) as medians, arg_max(p.n, p.id) as n, arg_max(mean_ms, p.id) as mean_ms,
	       arg_max(p50_ms, p.id) as p50_ms, arg_max(if(p.n >= 39, p90_ms, null), p.id) as p90_ms, arg_max(p95_ms, p.id) as p95_ms, arg_max(p99_ms, p.id) as p99_ms
	from pooled p join _results r on r.id = p.id
	group by p.model, p.device, p.precision, p.batch_size, p.workload order by p.model, p.workload, p.device, p.precision, p.batch_size`

// percentileKeys order the configurations.
var percentileKeys = []orderKey{
	{"model", "varchar"}, {"workload", "varchar"}, {"device", "varchar"}, {"precision", "varchar"}, {"batch_size", "integer"},
}

// percentiles summarises the samples of each configuration, its newest runs
// together.
func percentiles(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	l := listing{keys: percentileKeys, model: byModel, device: byDevice, workload: byWorkload, since: byTime}
	c := l.where(q)
	c.and("error = $error", "error", "")
	after, err := l.after(q.Cursor, &c)
	if err != nil {
		return Table{}, err
	}
	query := strings.NewReplacer("{where}", c.where, "{after}", after, "{n}", strconv.Itoa(q.Limit+1), "{pooled}", strconv.Itoa(maxPooled)).Replace(pooledSQL)
	t := Table{Total: -1, Columns: percentileColumns, Rows: []json.RawMessage{}}
	rows, err := conn.QueryContext(ctx, query, c.args...)
	if err != nil {
		return t, err
	}
	defer rows.Close() // rows.Err tells
	for rows.Next() {
		if len(t.Rows) == q.Limit {
			t.Truncated = true
			t.NextCursor, err = cursorOf(t.Rows[len(t.Rows)-1], columnsOf(l.keys))
			return t, err
		}
		row, err := scanPercentiles(rows)
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, rows.Err()
}

func scanPercentiles(rows *sql.Rows) (json.RawMessage, error) {
	var r percentileRow
	var samples, medians any // lists of DOUBLE, nil if no samples are kept
	if err := rows.Scan(&r.Model, &r.Device, &r.Precision, &r.BatchSize, &r.Workload, &r.Runs, &r.Throughput, &samples, &medians,
		&r.Samples, &r.Mean, &r.P50, &r.P90, &r.P95, &r.P99); err != nil {
		return nil, err
	}
	if latencies := floats(samples); len(latencies) > 0 {
		r.summarize(latencies, floats(medians))
	}
	return json.Marshal(r)
}

// floats are the values of a list of DuckDB.
func floats(list any) []float64 {
	values, _ := list.([]any)
	out := make([]float64, 0, len(values))
	for _, v := range values {
		if x, ok := v.(float64); ok {
			out = append(out, x)
		}
	}
	return out
}

// summarize sets what is said of samples. With enough runs the interval of the
// median is that of the runs' medians, for runs differ more than the samples of
// one let expect.
func (r *percentileRow) summarize(latencies, medians []float64) {
	r.Samples = len(latencies)
	s := Summarize(latencies).Rounded()
	r.Mean, r.P50, r.P90, r.P95, r.P99 = &s.Mean, &s.P50, s.P90, s.P95, s.P99
	ci := s.P50CI95
	if of := Summarize(medians).Rounded().P50CI95; of != nil {
		ci = of
	}
	if ci != nil {
		r.Low, r.High = &ci[0], &ci[1]
	}
}

func columnsOf(keys []orderKey) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.column
	}
	return out
}
