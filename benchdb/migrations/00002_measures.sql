-- +goose Up

-- What a reader must know: the schema, and the oldest program that can still
-- read what is here.
create table _meta (key varchar primary key, value varchar not null);
insert into _meta values ('schema', '2'), ('min_reader', '1');

-- NULL is what was not measured. queue_ms to postprocess_ms are means over the
-- samples; offsets are milliseconds from the first sample's start.
alter table _results add column software_id varchar;
alter table _results add column config_key varchar;
alter table _results add column threads integer;
alter table _results add column duration_ms double;
alter table _results add column load_ms double;
alter table _results add column first_ms double;
alter table _results add column queue_ms double;
alter table _results add column preprocess_ms double;
alter table _results add column run_ms double;
alter table _results add column postprocess_ms double;
alter table _results add column joules double;
alter table _results add column bytes bigint;
alter table _results add column noisy boolean;
alter table _results add column load_before double;
alter table _results add column load_after double;
alter table _results add column offsets double[];

alter table _inferences add column software_id varchar;
alter table _inferences add column joules double;

alter table _fetches add column software_id varchar;
alter table _fetches add column source varchar;

alter table _environments add column kind varchar;

-- The time since the start by a clock that is never set.
alter table _runs add column elapsed_ms double;

create table _time_series (
    id uuid primary key, timestamp timestamptz not null, run_id varchar, result_id varchar, name varchar, unit varchar,
    offsets double[], vals double[]
);

create table _plans (
    model_cid varchar, device varchar, machine_id varchar, timestamp timestamptz not null, threads integer, batch_size integer,
    precision varchar, run_id varchar, figures json,
    primary key (model_cid, device, machine_id, timestamp)
);

create table _receipts (
    id uuid primary key, timestamp timestamptz not null, run_id varchar, role varchar, peer varchar, model_cid varchar,
    input_sha256 varchar, output_sha256 varchar, signature varchar, total_ms double, error varchar
);

-- Inferences that were only counted, for the spool was full.
create table _dropped (
    id uuid primary key, timestamp timestamptz not null, model_name varchar, model_cid varchar, device varchar, error varchar, n bigint
);

drop view _run_states;
create view _run_states as
    select * replace (min(started_at) over (partition by run_id) as started_at), status in ('completed', 'failed', 'cancelled') as ended
    from _runs
    qualify row_number() over (partition by run_id
        order by status not in ('queued', 'running') desc, elapsed_ms desc nulls last, updated_at desc) = 1;

drop view benchmark_results;
create view benchmark_results as
    select id::varchar as id, timestamp, model_name, hardware_type, list_median(latencies) as inference_time, nullif(throughput, 0) as throughput,
           memory_bytes as memory_usage, accuracy_score, metadata, run_id, model_cid, task, workload, device, precision,
           batch_size, warmup, coalesce(len(latencies), 0) as samples, list_aggregate(latencies, 'quantile_cont', 0.9) as p90_ms,
           nullif(error, '') as error, environment,
           software_id, config_key, threads, duration_ms, load_ms, first_ms, queue_ms, preprocess_ms, run_ms, postprocess_ms,
           joules, bytes, noisy, load_before, load_after
    from _results;

drop view samples;
create view samples as
    select id::varchar as result_id, run_id, model_name, device, batch_size,
           unnest(range(1, len(latencies) + 1)) as n, unnest(latencies) as latency_ms,
           unnest(if(len(offsets) = len(latencies), offsets, list_resize([]::double[], len(latencies)))) as offset_ms
    from _results;

drop view inferences;
create view inferences as select * replace (id::varchar as id, nullif(error, '') as error) from _inferences;

drop view fetches;
create view fetches as select * replace (id::varchar as id, nullif(error, '') as error) from _fetches;

drop view environments;
create view environments as select id, timestamp as first_seen, info, coalesce(kind, 'machine') as kind from _environments;

drop view events;
create view events as
    select run_id, updated_at as timestamp, kind, status, started_at, model_name, model_cid, done, total, unit, message,
           nullif(error, '') as error, elapsed_ms
    from _runs
    union all by name
    select null as run_id, timestamp, 'inference' as kind, 'dropped' as status, timestamp as started_at, model_name, model_cid, n as done,
           'inferences' as unit, 'only counted: the spool was full' as message, nullif(error, '') as error
    from _dropped;

create view time_series as
    select run_id, result_id, unnest(range(1, len(vals) + 1)) as n, unnest(offsets) as offset_ms, name, unnest(vals) as value, unit
    from _time_series;

create view plans as
    select model_cid, device, machine_id, threads, batch_size, precision, timestamp as measured_at, run_id, figures
    from _plans
    qualify row_number() over (partition by model_cid, device, machine_id order by timestamp desc) = 1;

create view receipts as
    select id::varchar as id, run_id, timestamp, role, peer, model_cid, input_sha256, output_sha256, signature, total_ms,
           nullif(error, '') as error
    from _receipts;

-- +goose Down
drop view receipts;
drop view plans;
drop view time_series;
drop view events;
drop view environments;
drop view fetches;
drop view inferences;
drop view samples;
drop view benchmark_results;
drop view _run_states;
drop table _dropped;
drop table _receipts;
drop table _plans;
drop table _time_series;
alter table _runs drop column elapsed_ms;
alter table _environments drop column kind;
alter table _fetches drop column source;
alter table _fetches drop column software_id;
alter table _inferences drop column joules;
alter table _inferences drop column software_id;
alter table _results drop column offsets;
alter table _results drop column load_after;
alter table _results drop column load_before;
alter table _results drop column noisy;
alter table _results drop column bytes;
alter table _results drop column joules;
alter table _results drop column postprocess_ms;
alter table _results drop column run_ms;
alter table _results drop column preprocess_ms;
alter table _results drop column queue_ms;
alter table _results drop column first_ms;
alter table _results drop column load_ms;
alter table _results drop column duration_ms;
alter table _results drop column threads;
alter table _results drop column config_key;
alter table _results drop column software_id;
drop table _meta;

create view _run_states as
    select * replace (min(started_at) over (partition by run_id) as started_at), status in ('completed', 'failed', 'cancelled') as ended
    from _runs
    qualify row_number() over (partition by run_id order by status not in ('queued', 'running') desc, updated_at desc) = 1;

create view benchmark_results as
    select id::varchar as id, timestamp, model_name, hardware_type, list_median(latencies) as inference_time, nullif(throughput, 0) as throughput,
           memory_bytes as memory_usage, accuracy_score, metadata, run_id, model_cid, task, workload, device, precision,
           batch_size, warmup, coalesce(len(latencies), 0) as samples, list_aggregate(latencies, 'quantile_cont', 0.9) as p90_ms,
           nullif(error, '') as error, environment
    from _results;

create view samples as
    select id::varchar as result_id, run_id, model_name, device, batch_size,
           unnest(range(1, len(latencies) + 1)) as n, unnest(latencies) as latency_ms
    from _results;

create view inferences as select * replace (id::varchar as id, nullif(error, '') as error) from _inferences;

create view fetches as select * replace (id::varchar as id, nullif(error, '') as error) from _fetches;

create view environments as select id, timestamp as first_seen, info from _environments;

create view events as
    select run_id, updated_at as timestamp, kind, status, started_at, model_name, model_cid, done, total, unit, message,
           nullif(error, '') as error
    from _runs;
