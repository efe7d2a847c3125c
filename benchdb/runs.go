package benchdb

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// keepAnswers is how long the answers of runs are kept, in SQL: from then on
// none is given out, and the next ingest forgets them.
const keepAnswers = "interval 24 hours"

// allRuns joins what was announced as a run with what was over too soon for
// that. A benchmark has the devices of its results.
const allRuns = `with measured as (
		select run_id, string_agg(distinct device, ', ' order by device) as device, string_agg(distinct workload, ', ' order by workload) as workload,
		       list(device) || list(hardware_type) as devices, list(workload) as workloads
		from _results group by run_id),
	all_runs as (
		select run_id, kind, status, started_at, coalesce(s.model_name, i.model_name) as model, coalesce(s.model_cid, i.model_cid) as model_cid,
		       coalesce(m.device, i.device) as device, workload, if(ended, (epoch_us(updated_at) - epoch_us(started_at)) / 1000, null) as total_ms,
		       nullif(s.error, '') as error, coalesce(devices, [i.device, i.hardware_type]) as devices, workloads
		from _run_states s left join measured m using (run_id) left join _inferences i on run_id = i.id::varchar
		union all
		select id::varchar, 'inference', if(error = '', 'completed', 'failed'), timestamp, model_name, model_cid, device, null, total_ms, nullif(error, ''),
		       [device, hardware_type], null
		from _inferences anti join _run_states on run_id = id::varchar
		union all
		select id::varchar, 'fetch', if(error = '', 'completed', 'failed'), timestamp, model_name, model_cid, null, null, total_ms, nullif(error, ''), null, null
		from _fetches anti join _run_states on run_id = id::varchar)
	`

// runs lists the runs, newest first.
func runs(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	c := condition{}
	c.andModel(q, "model")
	c.andSince(q, "started_at")
	if q.Device != "" {
		c.and("list_contains(devices, $device)", "device", q.Device)
	}
	if q.Workload != "" {
		c.and("list_contains(workloads, $workload)", "workload", q.Workload)
	}
	var total int64
	if err := conn.QueryRowContext(ctx, allRuns+"select count(*) from all_runs"+c.where, c.args...).Scan(&total); err != nil {
		return Table{}, err
	}
	if q.Cursor != "" {
		at, id, err := readCursor(q.Cursor)
		if err != nil {
			return Table{}, err
		}
		c.and("(started_at, run_id) < ($at::timestamptz, $id)", "at", at)
		c.args = append(c.args, sql.Named("id", id))
	}
	const columns, order = "select * exclude (model_cid, devices, workloads) from all_runs", " order by started_at desc, run_id desc"
	t, err := table(ctx, conn, q.Limit, allRuns+columns+c.where+order, c.args...)
	if err != nil {
		return t, err
	}
	t.Total = total
	t.unit("total_ms", "ms")
	if t.Truncated {
		t.NextCursor, err = cursorOf(t.Rows[len(t.Rows)-1])
	}
	return t, err
}

// runSQL finds one run. What was too short to be announced has its row of
// costs for an answer.
const runSQL = `select run_id, kind, status, started_at, updated_at, model_name, model_cid, done, total, unit, message,
	       if(updated_at < now() - ` + keepAnswers + `, null, answer) as answer, error
	from _run_states where run_id = $run_id
	union all
	select id::varchar, 'inference', if(error = '', 'completed', 'failed'), timestamp, timestamp, model_name, model_cid, 0, 0, '', '', to_json(i), error
	from _inferences i where id = try_cast($run_id as uuid) and $run_id not in (select run_id from _run_states where run_id = $run_id)
	union all
	select id::varchar, 'fetch', if(error = '', 'completed', 'failed'), timestamp, timestamp, model_name, model_cid, 0, 0, '', '', to_json(f), error
	from _fetches f where id = try_cast($run_id as uuid) and $run_id not in (select run_id from _run_states where run_id = $run_id)`

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
	if _, err := time.Parse(time.RFC3339, at); err != nil || !ok {
		return "", "", ErrBadCursor
	}
	return at, id, nil
}
