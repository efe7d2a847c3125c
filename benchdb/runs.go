package benchdb

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// keepAnswers is how long the answers of runs are kept, in SQL: from then on
// none is given out, and the next ingest forgets them.
const keepAnswers = "interval 24 hours"

// newestRuns are the runs of one page: what was announced as a run, and what was
// over too soon for that. Each part is cut to a page before anything else is
// done with it. {runs} and the like are the filters of each, {n} is one more
// than the limit.
const newestRuns = `with page as (
		select run_id from (select run_id, min(started_at) as started_at from _runs {runs} group by run_id) {after}
		order by started_at desc, run_id desc limit {n}),
	states as (
		select *, row_number() over (partition by run_id
		           order by status not in ('queued', 'running') desc, elapsed_ms desc nulls last, updated_at desc) = 1 as newest,
		       min(started_at) over (partition by run_id) as begun
		from _runs where run_id in (from page)),
	measured as (
		select run_id, array_to_string(list_sort(list_distinct(list(device))), ', ') as device,
		       array_to_string(list_sort(list_distinct(list(workload))), ', ') as workload
		from _results where run_id in (from page) group by run_id),
	announced as (
		select id, model_name, model_cid, device from _inferences where id in (select try_cast(run_id as uuid) from page)),
	all_runs as (
		select run_id, kind, status, begun as started_at, coalesce(s.model_name, i.model_name) as model, coalesce(m.device, i.device) as device, workload,
		       if(status in ('completed', 'failed', 'cancelled'), coalesce(elapsed_ms, (epoch_us(updated_at) - epoch_us(begun)) / 1000), null) as total_ms,
		       nullif(s.error, '') as error
		from states s left join measured m using (run_id) left join announced i on try_cast(run_id as uuid) = i.id
		where newest
		union all
		select id::varchar, 'inference', if(error = '', 'completed', 'failed'), timestamp, model_name, device, null, total_ms, nullif(error, '')
		from (from _inferences {inferences} {after_costs} order by timestamp desc, id desc limit {n}) where id::varchar not in (from page)
		union all
		select id::varchar, 'fetch', if(error = '', 'completed', 'failed'), timestamp, model_name, null, null, total_ms, nullif(error, '')
		from (from _fetches {fetches} {after_costs} order by timestamp desc, id desc limit {n}) where id::varchar not in (from page))
	from all_runs order by started_at desc, run_id desc limit {n}`

// countRuns counts them all. What was announced and has a row of costs counts
// once.
const countRuns = `select (select count(distinct run_id) from _runs {runs}) + (select count(*) from _inferences {inferences}) + (select count(*) from _fetches {fetches})
	- (select count(*) from _inferences {inferences} and id in (select distinct try_cast(run_id as uuid) from _runs {runs} and kind = 'inference'))
	- (select count(*) from _fetches {fetches} and id in (select distinct try_cast(run_id as uuid) from _runs {runs} and kind = 'fetch'))`

// runs lists the runs, newest first.
func runs(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	f := runFilters(q)
	var total int64
	if err := conn.QueryRowContext(ctx, f.in(countRuns), f.args...).Scan(&total); err != nil {
		return Table{}, err
	}
	after, afterCosts := "", ""
	if q.Cursor != "" {
		v, err := readCursor(q.Cursor, 2)
		if err != nil || uuid.Validate(v[1]) != nil {
			return Table{}, ErrBadCursor
		}
		if _, err := time.Parse(time.RFC3339, v[0]); err != nil {
			return Table{}, ErrBadCursor
		}
		f.args = append(f.args, sql.Named("after", v[0]), sql.Named("after_id", v[1]))
		after = "where (started_at, run_id) < ($after::timestamptz, $after_id)"
		afterCosts = "and timestamp <= $after::timestamptz and (timestamp, id) < ($after::timestamptz, $after_id::uuid)"
	}
	query := strings.NewReplacer("{after}", after, "{after_costs}", afterCosts, "{n}", strconv.Itoa(q.Limit+1)).Replace(f.in(newestRuns))
	t, err := table(ctx, conn, q.Limit, query, f.args...)
	if err != nil {
		return t, err
	}
	t.Total = total
	t.units(nil)
	if t.Truncated {
		t.NextCursor, err = cursorOf(t.Rows[len(t.Rows)-1], []string{"started_at", "run_id"})
	}
	return t, err
}

// filters restrict the three kinds of runs.
type filters struct {
	runs, inferences, fetches string
	args                      []any
}

// add restricts each kind by a clause; an empty one lets nothing pass.
func (f *filters) add(arg any, runs, inferences, fetches string) {
	f.args = append(f.args, arg)
	for where, clause := range map[*string]string{&f.runs: runs, &f.inferences: inferences, &f.fetches: fetches} {
		if clause == "" {
			clause = "false"
		}
		*where += " and " + clause
	}
}

// in puts the filters into SQL.
func (f *filters) in(query string) string {
	return strings.NewReplacer("{runs}", f.runs, "{inferences}", f.inferences, "{fetches}", f.fetches).Replace(query)
}

func runFilters(q Query) filters {
	f := filters{runs: "where true", inferences: "where true", fetches: "where true"}
	if q.Model != "" {
		f.add(sql.Named("model", q.Model), byModel, byModel, byModel)
	}
	if !q.Since.IsZero() {
		f.add(sql.Named("since", q.Since.UTC().Format(time.RFC3339Nano)), "started_at >= $since::timestamptz", byTime, byTime)
	}
	if q.Device != "" {
		const used = `(run_id in (select run_id from _results where ` + byDevice + `) or
			try_cast(run_id as uuid) in (select id from _inferences where ` + byDevice + `))`
		f.add(sql.Named("device", q.Device), used, byDevice, "")
	}
	if q.Workload != "" {
		f.add(sql.Named("workload", q.Workload), "run_id in (select run_id from _results where "+byWorkload+")", "", "")
	}
	return f
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
