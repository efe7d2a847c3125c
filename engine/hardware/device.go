package hardware

// A Kind names a family of accelerators.
type Kind string

// The kinds of accelerator, in the names that detect_hardware reports.
const (
	CPU      Kind = "cpu"
	CUDA     Kind = "cuda"
	ROCm     Kind = "rocm"
	OpenVINO Kind = "openvino"
	MPS      Kind = "mps"
	Qualcomm Kind = "qualcomm"
	WebNN    Kind = "webnn"
	WebGPU   Kind = "webgpu"
	DirectML Kind = "directml"
)

// A Device is one place where a model can run.
type Device struct {
	ID         string   // PLATFORM[:N][@PAGE|@PEER], such as "cpu" or "cuda:0"
	Kind       Kind     //
	Name       string   // as the vendor prints it
	Memory     int64    // bytes; 0 if unknown
	Driver     string   // version, empty if there is none
	Precisions []string // such as "fp32", "int8"; never empty for a usable device
	Simulated  bool     // a simulator or software adapter: never chosen by "auto"
}
