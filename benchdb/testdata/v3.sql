-- What a program of schema 3 left.
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
update _results set software_id = 's1', threads = 2, joules = 1.5, noisy = false, offsets = [0, 3, 4, 6, 11] where hardware_type = 'cpu';
update _runs set elapsed_ms = 60000 where status = 'completed';
insert into _time_series values ('01990000-0000-7000-8000-000000000007', '2026-01-02 03:05:04+00', '01990000-0000-7000-8000-000000000002', '', 'memory_bytes', 'bytes', [0, 100], [1, 2]);
insert into _plans values ('bafym', 'cpu', 'e1', '2026-01-02 03:05:04+00', 2, 8, 'fp32', '01990000-0000-7000-8000-000000000002', '{"p50_ms":3}');
insert into _receipts values ('01990000-0000-7000-8000-000000000008', '2026-01-02 03:08:00+00', '01990000-0000-7000-8000-000000000005', 'asked', '12D3', 'bafym', 'aa', 'bb', 'cc', 21, '');
insert into _dropped values ('01990000-0000-7000-8000-000000000009', '2026-01-02 03:09:00+00', 'm', 'bafym', 'cpu', '', 12);
update _results set n = len(latencies), p50_ms = list_median(latencies), p90_ms = list_aggregate(latencies, 'quantile_cont', 0.9);
insert into _inferences_hourly values ('01990000-0000-7000-8000-00000000000a', '2025-11-02 03:00:00+00', 'm', 'bafym', 'feature-extraction', 'cpu', 'cpu', 'int8', '', 'e1', 's1', 5, 15, 100, 50, 10, 30, 20, 30, null);
