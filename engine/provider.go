package engine

import (
	"context"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// An ExecutionProvider runs models on one family of devices: ONNX Runtime's
// back ends, a browser's WebNN or WebGPU, or another peer's machine.
//
// Its methods may be called concurrently.
type ExecutionProvider interface {
	// Name is the name the provider is registered under, such as "onnx".
	Name() string

	// Devices reports the devices that are usable now. A provider without
	// any returns an empty slice; an error is a reason worth telling the
	// user, such as ErrRuntimeMissing with a hint that says how to get it.
	Devices(ctx context.Context) ([]hardware.Device, error)

	// NewSession loads one .onnx file of m, named relative to m.Dir, as p
	// says. The caller closes the session. A file that is no model is
	// ErrModelInvalid; one that does not fit p.Memory is ErrOutOfMemory.
	NewSession(ctx context.Context, m *Model, file string, p Plan) (Session, error)
}

// A Session is a model loaded on a device. Run may be called concurrently; a
// provider that can't do that serialises the calls.
type Session interface {
	// Run computes the outputs of the model for in. It returns when ctx is
	// done (ErrDeadline or ErrCancelled), even if the device is not. It
	// neither changes nor keeps in. After ErrRunnerCrashed the same session
	// may be used again: the next Run starts afresh. Where it computes in
	// another process it tells [Computed] how long that took there.
	Run(ctx context.Context, in Tensors) (Tensors, error)

	// Close frees the device's memory. A session is not used after Close.
	Close() error
}

// A Describer is a session that can say what it loaded.
type Describer interface {
	Describe(ctx context.Context) (SessionInfo, error)
}

// SessionInfo is what a session says about itself.
type SessionInfo struct {
	Inputs  []ValueInfo `json:"inputs"`
	Outputs []ValueInfo `json:"outputs"`

	// MemoryBytes is the peak resident memory of the process that holds the
	// session, 0 if unknown.
	MemoryBytes int64 `json:"memory_bytes"`

	// HeldBytes is the memory that closing the session would free, 0 if
	// unknown: what is mapped from files is not in it.
	HeldBytes int64 `json:"held_bytes"`

	// Sandbox says what the session's process gave up before it opened the
	// model: "landlock+seccomp", "seccomp" or "none".
	Sandbox string `json:"sandbox"`

	// Nodes counts the model's nodes by the platform that runs them, such
	// as {"cuda":90,"cpu":3}; nil where that is not known. A runtime that
	// does not tell of its own nodes leaves them out.
	Nodes map[string]int `json:"nodes,omitempty"`
}

// A ValueInfo describes one input or output of a model. A dimension is -1
// where it is symbolic or unknown; Names then has its symbol, or "".
type ValueInfo struct {
	Name  string   `json:"name"`
	DType DataType `json:"dtype"`
	Shape []int64  `json:"shape"`
	Names []string `json:"names,omitempty"`
}

// A Plan says how a model is to run.
type Plan struct {
	Device    hardware.Device
	Precision string // such as "fp32"
	BatchSize int    // items per run
	Threads   int    // intra-op threads; 0 means one per physical core
	Memory    int64  // bytes the session may use; 0 means the provider's default

	// Profile is how the path of the file begins that a profile of the
	// session is written to when it is closed, by a provider that can; "" is
	// no profile. Its folder must be there.
	Profile string
}
