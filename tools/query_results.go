package tools

var queryResults = spec{
	name:  "query_results",
	title: "Query what was measured",
	description: "Ask what earlier runs cost, or how one goes. {} is the 20 latest runs, run_id alone that run with its answer. " +
		"sql is one SELECT over benchmark_results (id, timestamp, model_name, hardware_type, inference_time ms, throughput items/s, memory_usage bytes, accuracy_score, metadata), " +
		"inferences, fetches, models and more; report schema lists views and columns.",
	hints: hints(true, true, false),
}
