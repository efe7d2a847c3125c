package tools

var detectHardware = spec{
	name:  "detect_hardware",
	title: "Detect hardware",
	description: "Say what this machine can run models on: processor, memory, GPUs and nine platforms, each with evidence. " +
		"Use it first, or when a device is refused. available means a canary model really ran on it and gave the right numbers; " +
		"otherwise reason and fix say what is missing. Next: fetch_model_cid or run_inference.",
	hints: hints(true, true, false),
}
