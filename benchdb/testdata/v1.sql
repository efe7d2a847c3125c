-- What a program of schema 1 left.
insert into _environments (id, timestamp, info) values ('e1', '2026-01-02 03:04:05+00', '{"os":"linux"}');
insert into _platforms (id, timestamp, environment, platform, present, available, device, reason) values ('01990000-0000-7000-8000-000000000001', '2026-01-02 03:04:05+00', 'e1', 'cuda', true, false, 'X', 'no driver');
insert into _models (cid, timestamp, name, task, bytes, license) values ('bafym', '2026-01-02 03:04:05+00', 'm', 'feature-extraction', 7, 'MIT');
insert into _runs (run_id, updated_at, kind, status, started_at, model_name, model_cid, done, total, unit, message, error, writer) values
    ('01990000-0000-7000-8000-000000000002', '2026-01-02 03:04:05+00', 'benchmark', 'running', '2026-01-02 03:04:05+00', 'm', 'bafym', 0, 2, 'runs', '', '', 'w'),
    ('01990000-0000-7000-8000-000000000002', '2026-01-02 03:05:05+00', 'benchmark', 'completed', '2026-01-02 03:04:05+00', 'm', 'bafym', 2, 2, 'runs', '', '', 'w');
insert into _results (id, run_id, timestamp, model_name, model_cid, task, workload, hardware_type, device, precision, batch_size, warmup, latencies, throughput, memory_bytes, error, environment, metadata) values
    ('01990000-0000-7000-8000-000000000003', '01990000-0000-7000-8000-000000000002', '2026-01-02 03:05:04+00', 'm', 'bafym', 'feature-extraction', 'latency', 'cpu', 'cpu', 'fp32', 1, 2, [3, 1, 2, 5, 4], 250, 1024, '', 'e1', '{"threads":2}'),
    ('01990000-0000-7000-8000-000000000004', '01990000-0000-7000-8000-000000000002', '2026-01-02 03:05:04+00', 'm', 'bafym', 'feature-extraction', 'latency', 'cuda', 'cuda:0', 'fp32', 1, 2, [], 0, null, 'out_of_memory', 'e1', '{}');
insert into _inferences (id, timestamp, model_name, model_cid, task, hardware_type, device, precision, items, cache, queue_ms, fetch_ms, load_ms, preprocess_ms, run_ms, postprocess_ms, total_ms, error, environment) values
    ('01990000-0000-7000-8000-000000000005', '2026-01-02 03:06:00+00', 'm', 'bafym', 'feature-extraction', 'cpu', 'cpu', 'int8', 3, 'L1', 1, 2, 3, 4, 5, 6, 21, '', 'e1');
insert into _fetches (id, timestamp, model_name, model_cid, bytes, level, total_ms, error, environment) values
    ('01990000-0000-7000-8000-000000000006', '2026-01-02 03:07:00+00', 'm', 'bafym', 7, 'L4', 9, 'hash_mismatch', 'e1');
insert into _spool_offsets values ('w-000001.ndjson', 17);
