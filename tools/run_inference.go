package tools

var runInference = spec{
	name:  "run_inference",
	title: "Run a model",
	description: "Run a model on the best device here. Pass exactly one of inputs (texts or pictures), tensors (raw) or input_file. " +
		"Tasks: feature-extraction (embeddings; parameters {\"similarity\":true} compares the inputs) and object-detection " +
		"(labels, scores, boxes in pixels; parameters {\"annotate\":true} draws them). " +
		"Times are milliseconds. After 45 s it goes on in the background: ask query_results with the run_id.",
	hints: hints(false, false, true),
}
