package benchdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
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

// percentiles summarises the samples of each configuration, all runs together.
func percentiles(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	c := condition{}
	c.and("error = $error", "error", "")
	c.andModel(q, "model_name")
	c.andSince(q, "timestamp")
	if q.Device != "" {
		c.and("$device in (device, hardware_type)", "device", q.Device)
	}
	if q.Workload != "" {
		c.and("workload = $workload", "workload", q.Workload)
	}
	group := `select model_name as model, device, precision, batch_size, workload, count(*) as runs,
		       round(avg(nullif(throughput, 0)), 3) as throughput_per_s, flatten(list(latencies)) as latencies
		from _results` + c.where + fmt.Sprintf(` group by all order by model, workload, device, precision, batch_size limit %d`, q.Limit+1)
	t := Table{Total: -1, Columns: percentileColumns, Rows: []json.RawMessage{}}
	rows, err := conn.QueryContext(ctx, group, c.args...)
	if err != nil {
		return t, err
	}
	defer rows.Close() // rows.Err tells
	for rows.Next() {
		if len(t.Rows) == q.Limit {
			t.Truncated = true
			break
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
	var list any // of DOUBLE
	if err := rows.Scan(&r.Model, &r.Device, &r.Precision, &r.BatchSize, &r.Workload, &r.Runs, &r.Throughput, &list); err != nil {
		return nil, err
	}
	values, _ := list.([]any) // nil if nothing was measured
	latencies := make([]float64, 0, len(values))
	for _, v := range values {
		if ms, ok := v.(float64); ok {
			latencies = append(latencies, ms)
		}
	}
	r.summarize(latencies)
	return json.Marshal(r)
}

func (r *percentileRow) summarize(latencies []float64) {
	r.Samples = len(latencies)
	if r.Samples == 0 {
		return
	}
	s := Summarize(latencies).Rounded()
	r.Mean, r.P50, r.P90, r.P95, r.P99 = &s.Mean, &s.P50, s.P90, s.P95, s.P99
	if s.P50CI95 != nil {
		r.Low, r.High = &s.P50CI95[0], &s.P50CI95[1]
	}
}
