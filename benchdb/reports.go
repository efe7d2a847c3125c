package benchdb

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
)

// listings are the reports that are one SELECT.
var listings = map[Report]listing{
	ReportHistory: {
		sql: `select id::varchar as result_id, run_id, timestamp, model_name as model, model_cid, workload, device, precision, batch_size, software_id,
			       environment as machine_id, n as samples, p50_ms, p50_low as p50_ci95_low, p50_high as p50_ci95_high, p95_ms, p99_ms,
			       nullif(throughput, 0) as throughput_per_s, memory_bytes, accuracy_score, joules, noisy, nullif(error, '') as error
			from _results {where}`,
		keys: []orderKey{{"timestamp", "timestamptz"}, {"result_id", "varchar"}}, desc: true, units: map[string]string{"joules": "J"},
		model: byModel, device: byDevice, workload: byWorkload, since: byTime,
	},
	ReportInferences: {
		sql: `select id as inference_id, timestamp, model_name as model, model_cid, task, device, precision, items, cache,
			       queue_ms, fetch_ms, load_ms, preprocess_ms, run_ms, postprocess_ms, total_ms, joules, nullif(error, '') as error
			from _inferences {where}`,
		keys: []orderKey{{"timestamp", "timestamptz"}, {"inference_id", "uuid"}}, desc: true, units: map[string]string{"joules": "J"},
		model: byModel, device: byDevice, since: byTime,
	},
	ReportFetches: {
		sql: `select id as fetch_id, timestamp, model_name as model, model_cid, bytes, level, source, total_ms, nullif(error, '') as error
			from _fetches {where}`,
		keys: []orderKey{{"timestamp", "timestamptz"}, {"fetch_id", "uuid"}}, desc: true, units: map[string]string{"bytes": "bytes"},
		model: byModel, since: byTime,
	},
	ReportErrors: {
		sql: `with failed as (
				(select timestamp, 'inference' as kind, id::varchar as run_id, model_name, model_cid, device, hardware_type, null as workload, error, 1 as n, id::varchar as id
				 from (select *, null::varchar as workload from _inferences) {where} and error <> '' {top})
				union all by name
				select timestamp, 'benchmark' as kind, run_id, model_name, model_cid, device, hardware_type, workload, error, 1 as n, id::varchar as id
				from _results where error <> ''
				union all by name
				select timestamp, 'fetch' as kind, id::varchar as run_id, model_name, model_cid, error, 1 as n, id::varchar as id from _fetches where error <> ''
				union all by name
				select timestamp, 'dropped' as kind, null as run_id, model_name, model_cid, device, 'spool_full' as error, n, id::varchar as id from _dropped
				union all by name
				select updated_at as timestamp, kind, run_id, model_name, model_cid, if(status = 'lost', 'lost', error) as error, 1 as n, run_id as id
				from _runs where (status = 'lost' or status = 'failed' and error <> '') and kind = 'benchmark' and run_id not in (select run_id from _results where error <> '' and run_id is not null)
				union all by name
				select updated_at as timestamp, kind, run_id, model_name, model_cid, if(status = 'lost', 'lost', error) as error, 1 as n, run_id as id
				from _runs r where (status = 'lost' or status = 'failed' and error <> '') and kind <> 'benchmark'
				     and not exists (from _inferences i where i.id = try_cast(r.run_id as uuid)) and not exists (from _fetches f where f.id = try_cast(r.run_id as uuid)))
			select timestamp, kind, run_id, model_name as model, model_cid, device, workload, error, n, id from failed {where}`,
		keys: []orderKey{{"timestamp", "timestamptz"}, {"id", "varchar"}}, desc: true,
		model: byModel, device: byDevice, workload: byWorkload, since: byTime,
	},
	ReportDevices: {
		sql: `with used as (
				select environment as machine_id, hardware_type as platform, device, 0 as results, count(*) as inferences,
				       count(*) filter (error <> '') as errors, max(timestamp) as last_used
				from _inferences group by all
				union all
				select environment, hardware_type, device, count(*), 0, count(*) filter (error <> ''), max(timestamp) from _results group by all),
			sums as (
				select machine_id, platform, device, sum(results)::bigint as results, sum(inferences)::bigint as inferences,
				       sum(errors)::bigint as errors, max(last_used) as last_used
				from used group by all)
			select * from (
				select coalesce(machine_id, h.environment, '') as machine_id, coalesce(s.platform, h.platform, '') as hardware_type,
				       coalesce(s.device, h.platform, '') as device, h.device as name, present, available, reason, coalesce(results, 0) as results,
				       coalesce(inferences, 0) as inferences, coalesce(errors, 0) as errors, last_used, checked_at
				from sums s full join hardware_platforms h on s.machine_id = h.environment and s.platform = h.platform)
			{where}`,
		keys:   []orderKey{{"machine_id", "varchar"}, {"hardware_type", "varchar"}, {"device", "varchar"}},
		device: byDevice, since: "last_used >= $since::timestamptz",
	},
	ReportModels: {
		sql: `with used as (
				select model_cid, any_value(model_name) as model_name, 0 as results, count(*) as inferences, count(*) filter (error <> '') as errors,
				       max(timestamp) as last_used
				from _inferences group by model_cid
				union all
				select model_cid, any_value(model_name), count(*), 0, count(*) filter (error <> ''), max(timestamp) from _results group by model_cid),
			sums as (
				select model_cid, any_value(model_name) as model_name, sum(results)::bigint as results, sum(inferences)::bigint as inferences,
				       sum(errors)::bigint as errors, max(last_used) as last_used
				from used group by model_cid)
			select * from (
				select coalesce(m.cid, s.model_cid, '') as model_cid, coalesce(nullif(m.name, ''), s.model_name, '') as model_name, task, bytes,
				       nullif(license, '') as license, coalesce(results, 0) as results, coalesce(inferences, 0) as inferences,
				       coalesce(errors, 0) as errors, first_seen, last_used
				from models m full join sums s on m.cid = s.model_cid)
			{where}`,
		keys: []orderKey{{"model_name", "varchar"}, {"model_cid", "varchar"}}, units: map[string]string{"bytes": "bytes"},
		model: byModel, since: "greatest(last_used, first_seen) >= $since::timestamptz",
	},
	ReportCost: {
		sql: `with spent as (
				select any_value(model_name) as model_name, model_cid, device, count(*) as n, sum(total_ms) / 1000 as seconds, null::hugeint as bytes, sum(joules) as joules
				from _inferences {where} group by model_cid, device
				union all
				select any_value(model_name), model_cid, device, sum(n)::bigint, sum(total_ms) / 1000, null, sum(joules) from (select *, hour as timestamp from _inferences_hourly) {where} group by model_cid, device
				union all
				select any_value(model_name), model_cid, device, count(*), sum(duration_ms) / 1000, sum(bytes), sum(joules) from _results {where} group by model_cid, device
				union all
				select any_value(model_name), model_cid, device, count(*), sum(total_ms) / 1000, sum(bytes), null from (select *, '' as device, '' as hardware_type from _fetches) {where} group by model_cid, device)
			select coalesce(any_value(model_name), '') as model, coalesce(model_cid, '') as model_cid, coalesce(device, '') as device, sum(n)::bigint as calls, round(sum(seconds), 6) as seconds, sum(bytes)::bigint as bytes,
			       sum(joules) as joules
			from spent group by model_cid, device`,
		keys:  []orderKey{{"model", "varchar"}, {"model_cid", "varchar"}, {"device", "varchar"}},
		units: map[string]string{"seconds": "s", "bytes": "bytes", "joules": "J"},
		model: byModel, device: byDevice, since: byTime,
	},
}

// schemaSQL lists the views' columns.
const schemaSQL = `select table_name as view, column_index as position, column_name as column, lower(data_type) as type from duckdb_columns()
	where schema_name = 'main' and table_name in (select unnest(string_split($views, ' ')))`

// report answers the request's question.
func (w *worker) report(ctx context.Context, conn *sql.Conn) (Table, error) {
	q := w.r.Query
	switch q.Report {
	case ReportSQL:
		return w.agentSQL(ctx, conn)
	case ReportRun:
		return table(ctx, conn, q.Limit, runSQL, sql.Named("run_id", q.RunID))
	case ReportRuns:
		return runs(ctx, conn, q)
	case ReportPercentiles:
		return percentiles(ctx, conn, q)
	case ReportCompare:
		return comparisons(ctx, conn, q)
	case ReportSchema:
		return schema(ctx, conn, q)
	}
	if l, ok := listings[q.Report]; ok {
		return l.page(ctx, conn, q)
	}
	return Table{}, &QueryError{Message: fmt.Sprintf("unknown report %q", q.Report), ValidValues: reportNames()}
}

// reportNames are the names of all reports but sql, in order.
func reportNames() []string {
	names := []string{
		string(ReportRuns), string(ReportRun), string(ReportPercentiles), string(ReportCompare), string(ReportSchema),
	}
	for r := range maps.Keys(listings) {
		names = append(names, string(r))
	}
	slices.Sort(names)
	return names
}

// A condition is a where clause, "where true" at first, with its arguments.
type condition struct {
	where string
	args  []any
}

func (c *condition) and(clause, name string, value any) {
	c.where += " and " + clause
	c.args = append(c.args, sql.Named(name, value))
}
