package tools

var runInference = spec{
	name:  "run_inference",
	title: "Run a model",
	description: "Run a model on the best device here. Pass exactly one of inputs (texts, or paths of pictures or sounds), records, tensors (raw) or input_file. " +
		"Tasks: feature-extraction ({\"similarity\":true} compares), text-generation, translation, summarization, question-answering, " +
		"text-classification, image-to-text (OCR), object-detection, automatic-speech-recognition and more; parameters: docs://tasks/{task}. " +
		"After 45 s it goes on: see query_results.",
	hints: hints(false, false, true),
}
