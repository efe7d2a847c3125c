-- +goose Up
create table _spool_offsets (spool varchar primary key, position bigint not null);

create table _results (
    id uuid primary key, run_id varchar, timestamp timestamptz not null, model_name varchar, model_cid varchar, task varchar,
    workload varchar, hardware_type varchar, device varchar, precision varchar, batch_size integer, warmup integer,
    latencies double[], throughput double, memory_bytes bigint, accuracy_score double, error varchar, environment varchar,
    metadata json
);

create table _inferences (
    id uuid primary key, timestamp timestamptz not null, model_name varchar, model_cid varchar, task varchar, hardware_type varchar,
    device varchar, precision varchar, items integer, cache varchar, queue_ms double, fetch_ms double, load_ms double,
    preprocess_ms double, run_ms double, postprocess_ms double, total_ms double, error varchar, environment varchar
);

create table _fetches (
    id uuid primary key, timestamp timestamptz not null, model_name varchar, model_cid varchar, bytes bigint, level varchar,
    total_ms double, error varchar, environment varchar
);

create table _environments (id varchar primary key, timestamp timestamptz not null, info json);

create table _platforms (
    id uuid primary key, timestamp timestamptz not null, environment varchar, platform varchar, present boolean, available boolean,
    device varchar, reason varchar
);

create table _models (
    cid varchar, timestamp timestamptz not null, name varchar, task varchar, bytes bigint, license varchar,
    primary key (cid, timestamp)
);

-- What became of a run, newest row last. writer owns the run.
create table _runs (
    run_id varchar, updated_at timestamptz, kind varchar, status varchar, started_at timestamptz not null, model_name varchar,
    model_cid varchar, done bigint, total bigint, unit varchar, message varchar, answer json, error varchar, writer varchar,
    primary key (run_id, updated_at, status)
);

-- Where each run has come to: the end of a run wins over its progress,
-- whatever the clocks of the machine said.
create view _run_states as
    select * replace (min(started_at) over (partition by run_id) as started_at), status in ('completed', 'failed', 'cancelled') as ended
    from _runs
    qualify row_number() over (partition by run_id order by status not in ('queued', 'running') desc, updated_at desc) = 1;

-- inference_time is the median of the samples, in milliseconds. What was not
-- measured is NULL.
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

create view hardware_platforms as
    select environment, platform, arg_max(present, timestamp) as present, arg_max(available, timestamp) as available,
           arg_max(device, timestamp) as device, arg_max(reason, timestamp) as reason, max(timestamp) as checked_at
    from _platforms group by environment, platform;

create view models as
    select cid, arg_max(name, timestamp) as name, arg_max(task, timestamp) as task, arg_max(bytes, timestamp) as bytes,
           arg_max(license, timestamp) as license, min(timestamp) as first_seen, max(timestamp) as last_seen
    from _models group by cid;

create view events as
    select run_id, updated_at as timestamp, kind, status, started_at, model_name, model_cid, done, total, unit, message,
           nullif(error, '') as error
    from _runs;

-- +goose Down
drop view events;
drop view models;
drop view hardware_platforms;
drop view environments;
drop view fetches;
drop view inferences;
drop view samples;
drop view benchmark_results;
drop view _run_states;
drop table _runs;
drop table _models;
drop table _platforms;
drop table _environments;
drop table _fetches;
drop table _inferences;
drop table _results;
drop table _spool_offsets;
