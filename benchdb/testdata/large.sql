-- Five million inferences and ten thousand runs of a thousand samples, as a
-- database of schema 3 has them. The ids are UUIDv7 of the rows' times.
set preserve_insertion_order = true;

insert into _inferences by name select (lpad(hex(epoch_ms(made)), 12, '0') || '7' || lpad(hex(i % 4096), 3, '0') || '8' || lpad(hex(i), 15, '0'))::uuid as id, made as timestamp, 'model' || (i % 20) as model_name, 'bafy' || (i % 20) as model_cid,
    'feature-extraction' as task, 'cpu' as hardware_type, 'cpu' as device, 'int8' as precision, 1 as items, 'L1' as cache, random() as queue_ms,
    0 as fetch_ms, 0 as load_ms, random() as preprocess_ms, 5 + random() as run_ms, random() as postprocess_ms, 7 + random() as total_ms,
    if(i % 1000 = 0, 'deadline', '') as error, 'e1' as environment, 's1' as software_id
    from (select i, now() - to_milliseconds((5000000 - i) * 500) as made from range(5000000) t(i));

insert into _results by name select (lpad(hex(epoch_ms(made)), 12, '0') || '7' || lpad(hex(i % 4096), 3, '0') || '8' || lpad(hex(i), 15, '0'))::uuid as id, ((lpad(hex(epoch_ms(made)), 12, '0') || '7' || lpad(hex(i % 4096), 3, '0') || '8' || lpad(hex(i), 15, '0'))::uuid)::varchar as run_id, made as timestamp, 'model' || (i % 20) as model_name, 'bafy' || (i % 20) as model_cid,
    'feature-extraction' as task, 'latency' as workload, 'cpu' as hardware_type, 'cpu' as device, 'fp32' as precision, 1 as batch_size, 5 as warmup,
    list_transform(range(1000), lambda x: 5 + random()) as latencies, 100 as throughput, '' as error, 'e1' as environment, 's' || (i // 5000) as software_id,
    1000 as n, 5.5 as mean_ms, 5.5 + random() / 10 as p50_ms, 5.8 as p90_ms, 5.9 as p95_ms, 6 as p99_ms
    from (select i, now() - to_seconds((10000 - i) * 250) as made from range(10000) t(i));

insert into _runs by name select run_id, timestamp + to_seconds(e) as updated_at, 'benchmark' as kind, if(e < 2, 'running', 'completed') as status,
    timestamp as started_at, model_name, model_cid, e as done, 2 as total, '' as unit, '' as message, '' as error, 'w' as writer, e * 1000 as elapsed_ms
    from _results, range(3) t(e);

checkpoint;
