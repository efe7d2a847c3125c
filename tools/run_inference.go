package tools

var runInference = spec{
	name:  "run_inference",
	title: "Run a model",
	description: "Run a model on the best device here. Pass exactly one of inputs (texts or pictures), records, tensors (raw) or input_file. " +
		"Tasks: feature-extraction (embeddings; {\"similarity\":true} compares), text-classification, token-classification, " +
		"zero-shot-classification, question-answering, fill-mask, text-ranking, object-detection ({\"annotate\":true} draws). " +
		"Times are milliseconds. After 45 s it goes on in the background: ask query_results with the run_id.",
	hints: hints(false, false, true),
}
