package tools

var fetchModelCID = spec{
	name:  "fetch_model_cid",
	title: "Fetch a model by content",
	description: "Get a model into the local store and say what it is: CID, files, task, inputs and outputs. " +
		"Takes a CID, a catalogue name (read models:// for those here) or a path in an allowed folder; web addresses are refused. " +
		"Every block is checked by its hash. Sizes are bytes. Next: run_inference.",
	hints: hints(false, true, true),
}
