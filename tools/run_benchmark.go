package tools

var runBenchmark = spec{
	name:  "run_benchmark",
	title: "Benchmark a model",
	description: "Measure how fast a model runs on each device and batch size: latency percentiles in ms with a 95 % interval, items per second, memory; or loading, fetching, accuracy (workload). " +
		"Use it to choose a device or batch size; a percentile is null when samples are too few. " +
		"Next: query_results {\"report\":\"percentiles\"}.",
	hints: hints(false, false, true),
}
