-- +goose Up

-- A result's figures outlive its samples, and are read without them.
alter table _results add column n bigint;
alter table _results add column mean_ms double;
alter table _results add column min_ms double;
alter table _results add column max_ms double;
alter table _results add column p50_ms double;
alter table _results add column p50_low double;
alter table _results add column p50_high double;
alter table _results add column p90_ms double;
alter table _results add column p95_ms double;
alter table _results add column p99_ms double;
alter table _results add column histogram map(double, ubigint);

-- As the writer's code has them: null where the sample is too small for an
-- interval.
update _results set
    n = coalesce(len(latencies), 0), mean_ms = list_aggregate(latencies, 'avg'), min_ms = list_aggregate(latencies, 'min'),
    max_ms = list_aggregate(latencies, 'max'), p50_ms = list_median(latencies),
    p90_ms = list_aggregate(latencies, 'quantile_cont', 0.9),
    p95_ms = if(len(latencies) >= 76, list_aggregate(latencies, 'quantile_cont', 0.95), null),
    p99_ms = if(len(latencies) >= 441, list_aggregate(latencies, 'quantile_cont', 0.99), null);

-- An index of millions of keys is written anew with each checkpoint. An ingest
-- looks for keys itself: new ones are of now, and so are few blocks to look in.
drop view inferences;
create table _inferences_rebuilt (
    id uuid not null, timestamp timestamptz not null, model_name varchar, model_cid varchar, task varchar, hardware_type varchar,
    device varchar, precision varchar, items integer, cache varchar, queue_ms double, fetch_ms double, load_ms double,
    preprocess_ms double, run_ms double, postprocess_ms double, total_ms double, error varchar, environment varchar, software_id varchar,
    joules double
);
insert into _inferences_rebuilt from _inferences order by timestamp;
drop table _inferences;
create table _inferences (
    id uuid not null, timestamp timestamptz not null, model_name varchar, model_cid varchar, task varchar, hardware_type varchar,
    device varchar, precision varchar, items integer, cache varchar, queue_ms double, fetch_ms double, load_ms double,
    preprocess_ms double, run_ms double, postprocess_ms double, total_ms double, error varchar, environment varchar, software_id varchar,
    joules double
);
insert into _inferences from _inferences_rebuilt;
drop table _inferences_rebuilt;
create view inferences as select * replace (id::varchar as id, nullif(error, '') as error) from _inferences;

-- What inferences become when they are old.
create table _inferences_hourly (
    id uuid primary key, hour timestamptz not null, model_name varchar, model_cid varchar, task varchar, hardware_type varchar,
    device varchar, precision varchar, error varchar, environment varchar, software_id varchar, n bigint, items bigint,
    total_ms double, run_ms double, min_ms double, max_ms double, p50_ms double, p99_ms double, joules double
);

drop view benchmark_results;
create view benchmark_results as
    select id::varchar as id, timestamp, model_name, hardware_type, p50_ms as inference_time, nullif(throughput, 0) as throughput,
           memory_bytes as memory_usage, accuracy_score, metadata, run_id, model_cid, task, workload, device, precision,
           batch_size, warmup, coalesce(n, 0) as samples, p90_ms,
           nullif(error, '') as error, environment,
           software_id, config_key, threads, duration_ms, load_ms, first_ms, queue_ms, preprocess_ms, run_ms, postprocess_ms,
           joules, bytes, noisy, load_before, load_after,
           environment as machine_id, mean_ms, min_ms, max_ms, p50_low as p50_ci95_low, p50_high as p50_ci95_high, p95_ms, p99_ms, histogram
    from _results;

-- An hour that was rolled up in parts is one row.
create view inferences_hourly as
    select hour, model_name, model_cid, task, hardware_type, device, precision, nullif(error, '') as error, environment, software_id,
           sum(n)::bigint as n, sum(items)::bigint as items, sum(total_ms) as total_ms, sum(run_ms) as run_ms, min(min_ms) as min_ms,
           max(max_ms) as max_ms, arg_max(p50_ms, n) as p50_ms, arg_max(p99_ms, n) as p99_ms, sum(joules) as joules
    from _inferences_hourly group by all;

update _meta set value = '3' where key = 'schema';

-- +goose Down
drop view inferences;
create table _inferences_rebuilt (
    id uuid primary key, timestamp timestamptz not null, model_name varchar, model_cid varchar, task varchar, hardware_type varchar,
    device varchar, precision varchar, items integer, cache varchar, queue_ms double, fetch_ms double, load_ms double,
    preprocess_ms double, run_ms double, postprocess_ms double, total_ms double, error varchar, environment varchar, software_id varchar,
    joules double
);
insert into _inferences_rebuilt from _inferences order by timestamp;
drop table _inferences;
create table _inferences (
    id uuid primary key, timestamp timestamptz not null, model_name varchar, model_cid varchar, task varchar, hardware_type varchar,
    device varchar, precision varchar, items integer, cache varchar, queue_ms double, fetch_ms double, load_ms double,
    preprocess_ms double, run_ms double, postprocess_ms double, total_ms double, error varchar, environment varchar, software_id varchar,
    joules double
);
insert into _inferences from _inferences_rebuilt;
drop table _inferences_rebuilt;
create view inferences as select * replace (id::varchar as id, nullif(error, '') as error) from _inferences;
drop view inferences_hourly;
drop view benchmark_results;
drop table _inferences_hourly;
alter table _results drop column histogram;
alter table _results drop column p99_ms;
alter table _results drop column p95_ms;
alter table _results drop column p90_ms;
alter table _results drop column p50_high;
alter table _results drop column p50_low;
alter table _results drop column p50_ms;
alter table _results drop column max_ms;
alter table _results drop column min_ms;
alter table _results drop column mean_ms;
alter table _results drop column n;
create view benchmark_results as
    select id::varchar as id, timestamp, model_name, hardware_type, list_median(latencies) as inference_time, nullif(throughput, 0) as throughput,
           memory_bytes as memory_usage, accuracy_score, metadata, run_id, model_cid, task, workload, device, precision,
           batch_size, warmup, coalesce(len(latencies), 0) as samples, list_aggregate(latencies, 'quantile_cont', 0.9) as p90_ms,
           nullif(error, '') as error, environment,
           software_id, config_key, threads, duration_ms, load_ms, first_ms, queue_ms, preprocess_ms, run_ms, postprocess_ms,
           joules, bytes, noisy, load_before, load_after
    from _results;
update _meta set value = '2' where key = 'schema';
