package wire

import (
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// Version is the number of this protocol. Two ends of different versions do
// not talk to each other.
const Version = 3

// An op says what a frame is.
type op string

const (
	opHello    op = "hello"
	opOpen     op = "open"
	opDescribe op = "describe"
	opRun      op = "run"
	opForget   op = "forget"
	opCancel   op = "cancel"
	opProgress op = "progress"
	opResult   op = "result"
	opError    op = "error"
	opClose    op = "close"
)

// A header is the JSON part of a frame. See the package's comment for which
// op has which field.
type header struct {
	ID       uint64              `json:"id"`
	Op       op                  `json:"op"`
	Version  int                 `json:"version,omitempty"`
	Session  uint64              `json:"session,omitempty"`
	Tensors  []tensorHeader      `json:"tensors,omitempty"`
	Shared   *sharedHeader       `json:"shared,omitempty"`
	Hello    *helloHeader        `json:"hello,omitempty"`
	Open     *openHeader         `json:"open,omitempty"`
	Info     *engine.SessionInfo `json:"info,omitempty"`
	Progress *engine.Progress    `json:"progress,omitempty"`
	Error    *errorHeader        `json:"error,omitempty"`
	Request  string              `json:"request,omitempty"`
	Take     map[string]string   `json:"take,omitempty"`
	Keep     map[string]string   `json:"keep,omitempty"`
	Hold     map[string]string   `json:"hold,omitempty"`
	Greedy   *engine.Greedy      `json:"greedy,omitempty"`
	Names    []string            `json:"names,omitempty"`
	TookUS   int64               `json:"took_us,omitempty"`
}

type tensorHeader struct {
	Name   string          `json:"name"`
	DType  engine.DataType `json:"dtype"`
	Shape  []int64         `json:"shape"`
	Offset int64           `json:"offset"`
	Length int64           `json:"length"`
}

type helloHeader struct {
	Provider   string         `json:"provider"`
	Devices    []deviceHeader `json:"devices"`
	MaxPayload int64          `json:"max_payload"`
	MaxRuns    int            `json:"max_runs"`
}

type deviceHeader struct {
	ID         string        `json:"id"`
	Kind       hardware.Kind `json:"kind"`
	Name       string        `json:"name"`
	Memory     int64         `json:"memory"`
	Driver     string        `json:"driver"`
	Precisions []string      `json:"precisions"`
	Simulated  bool          `json:"simulated"`
}

type openHeader struct {
	Root string     `json:"root"`
	Name string     `json:"name"`
	Dir  string     `json:"dir"`
	File string     `json:"file"`
	Plan planHeader `json:"plan"`
}

type planHeader struct {
	Device    deviceHeader `json:"device"`
	Precision string       `json:"precision"`
	BatchSize int          `json:"batch_size"`
	Threads   int          `json:"threads"`
	Memory    int64        `json:"memory"`
	Profile   string       `json:"profile,omitempty"`
}

// An OpenRequest is what a client asks to load. Of the model only Root, Name
// and Dir have crossed the wire.
type OpenRequest struct {
	Model *engine.Model
	File  string // relative to Model.Dir
	Plan  engine.Plan
}

func newOpenHeader(m *engine.Model, file string, p engine.Plan) *openHeader {
	return &openHeader{
		Root: m.Root, Name: m.Name, Dir: m.Dir, File: file,
		Plan: planHeader{
			Device: deviceHeader(p.Device), Precision: p.Precision,
			BatchSize: p.BatchSize, Threads: p.Threads, Memory: p.Memory, Profile: p.Profile,
		},
	}
}

func (h *openHeader) request() OpenRequest {
	return OpenRequest{
		Model: &engine.Model{Root: h.Root, Name: h.Name, Dir: h.Dir},
		File:  h.File,
		Plan: engine.Plan{
			Device: hardware.Device(h.Plan.Device), Precision: h.Plan.Precision,
			BatchSize: h.Plan.BatchSize, Threads: h.Plan.Threads, Memory: h.Plan.Memory, Profile: h.Plan.Profile,
		},
	}
}

func deviceHeaders(devices []hardware.Device) []deviceHeader {
	out := make([]deviceHeader, len(devices))
	for i, d := range devices {
		out[i] = deviceHeader(d)
	}
	return out
}

func (h *helloHeader) devices() []hardware.Device {
	out := make([]hardware.Device, len(h.Devices))
	for i, d := range h.Devices {
		out[i] = hardware.Device(d)
	}
	return out
}
