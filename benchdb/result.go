package benchdb

import (
	"encoding/json"
	"time"
)

// A Result is one measurement: a row of the view benchmark_results.
type Result struct {
	ID            string          `json:"id"`     // UUIDv7, made by the writer; the same id twice is one row
	RunID         string          `json:"run_id"` // the run it belongs to
	Timestamp     time.Time       `json:"timestamp"`
	ModelName     string          `json:"model_name"`
	ModelCID      string          `json:"model_cid"`
	Task          string          `json:"task"`
	Workload      string          `json:"workload"`
	HardwareType  string          `json:"hardware_type"` // the platform, such as "cpu"
	Device        string          `json:"device"`        // the device id, such as "cuda:0"
	Precision     string          `json:"precision"`
	BatchSize     int             `json:"batch_size"`
	Warmup        int             `json:"warmup"`
	Latencies     []float64       `json:"latencies"`      // milliseconds per run, in order of measurement
	Throughput    float64         `json:"throughput"`     // items per second of wall time; 0 if not measured
	MemoryBytes   *int64          `json:"memory_bytes"`   // peak of the process that ran the model; nil if not measured
	AccuracyScore *float64        `json:"accuracy_score"` // nil if not measured
	Error         string          `json:"error"`          // code of the failure, empty if there was none
	Environment   string          `json:"environment"`    // machine_id: id of the machine, see Environment
	Metadata      json.RawMessage `json:"metadata"`       // an object; stop reason and the like

	SoftwareID string    `json:"software_id,omitempty"` // id of the program and its settings, see Environment
	ConfigKey  string    `json:"config_key,omitempty"`  // what else must be equal for two results to be compared
	Threads    int       `json:"threads,omitempty"`     // 0 if not known
	Offsets    []float64 `json:"offsets,omitempty"`     // milliseconds from the first sample's start to each sample's; none if not recorded

	Measures
}

// Measures are what a workload may measure beside latencies. What is nil was
// not measured.
type Measures struct {
	DurationMS   *float64 `json:"duration_ms,omitempty"`    // wall time of the measurement, by a monotonic clock
	LoadMS       *float64 `json:"load_ms,omitempty"`        // to open the model
	FirstMS      *float64 `json:"first_ms,omitempty"`       // the first run after that
	QueueMS      *float64 `json:"queue_ms,omitempty"`       // this and the next three: mean per sample
	PreprocessMS *float64 `json:"preprocess_ms,omitempty"`  //
	RunMS        *float64 `json:"run_ms,omitempty"`         //
	PostMS       *float64 `json:"postprocess_ms,omitempty"` //
	Joules       *float64 `json:"joules,omitempty"`         // of the whole measurement
	Bytes        *int64   `json:"bytes,omitempty"`          // moved, by fetch and import
	Noisy        *bool    `json:"noisy,omitempty"`          // the machine was busy or the samples are unsteady
	LoadBefore   *float64 `json:"load_before,omitempty"`    // load average of the machine, per processor
	LoadAfter    *float64 `json:"load_after,omitempty"`
}

// An Inference is what one run_inference cost. Neither its input nor its
// output is ever recorded.
type Inference struct {
	ID           string    `json:"id"` // UUIDv7; the run_id of its answer
	Timestamp    time.Time `json:"timestamp"`
	ModelName    string    `json:"model_name"`
	ModelCID     string    `json:"model_cid"`
	Task         string    `json:"task"`
	HardwareType string    `json:"hardware_type"`
	Device       string    `json:"device"`
	Precision    string    `json:"precision"`
	Items        int       `json:"items"`
	Cache        string    `json:"cache"` // where the model was: L1, L2, L3 or L4
	QueueMS      float64   `json:"queue_ms"`
	FetchMS      float64   `json:"fetch_ms"`
	LoadMS       float64   `json:"load_ms"`
	PreprocessMS float64   `json:"preprocess_ms"`
	RunMS        float64   `json:"run_ms"`
	PostMS       float64   `json:"postprocess_ms"`
	TotalMS      float64   `json:"total_ms"`
	Error        string    `json:"error"` // code of the failure, empty if there was none
	Environment  string    `json:"environment"`
	SoftwareID   string    `json:"software_id,omitempty"`
	Joules       *float64  `json:"joules,omitempty"` // nil if not measured
}

// A Fetch is what getting one model cost.
type Fetch struct {
	ID          string    `json:"id"` // UUIDv7; the run_id of its answer
	Timestamp   time.Time `json:"timestamp"`
	ModelName   string    `json:"model_name"`
	ModelCID    string    `json:"model_cid"`
	Bytes       int64     `json:"bytes"` // bytes that came from sources, 0 if all were here
	Level       string    `json:"level"`
	TotalMS     float64   `json:"total_ms"`
	Error       string    `json:"error"`
	Environment string    `json:"environment"`
	SoftwareID  string    `json:"software_id,omitempty"`
	Source      string    `json:"source,omitempty"` // name of the source that gave the most
}

// An Environment describes the machine that results were measured on, or the
// software. ID is a hash of Info, so that equal ones have equal ids.
type Environment struct {
	ID        string          `json:"id"`
	Timestamp time.Time       `json:"timestamp"`
	Info      json.RawMessage `json:"info"`           // an object
	Kind      string          `json:"kind,omitempty"` // machine or software; empty means machine
}

// A Platform is what detect_hardware found of one platform: a row of the view
// hardware_platforms.
type Platform struct {
	ID          string    `json:"id"`
	Timestamp   time.Time `json:"timestamp"`
	Environment string    `json:"environment"`
	Platform    string    `json:"platform"`
	Present     bool      `json:"present"`
	Available   bool      `json:"available"`
	Device      string    `json:"device"` // what its vendor calls it
	Reason      string    `json:"reason"`
}

// A Model is one model that was used: a row of the view models. Later records
// of a CID supersede earlier ones.
type Model struct {
	CID       string    `json:"cid"`
	Timestamp time.Time `json:"timestamp"`
	Name      string    `json:"name"`
	Task      string    `json:"task"`
	Bytes     int64     `json:"bytes"`
	License   string    `json:"license"`
}

// A Status is where a run has come to.
type Status string

// The states of a run. The last four are final.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Completed Status = "completed"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
	Lost      Status = "lost" // its process ended without saying how it went
)

// A Run is a piece of work that outlives a call. Its start, its progress and
// its end are recorded under one ID; the newest At wins.
type Run struct {
	ID        string          `json:"run_id"`
	Kind      string          `json:"kind"` // benchmark, inference or fetch
	Status    Status          `json:"status"`
	StartedAt time.Time       `json:"started_at"`
	At        time.Time       `json:"updated_at"`
	ModelName string          `json:"model_name"`
	ModelCID  string          `json:"model_cid"`
	Done      int64           `json:"done"`
	Total     int64           `json:"total"`
	Unit      string          `json:"unit"`
	Message   string          `json:"message"`
	Answer    json.RawMessage `json:"answer"` // the tool's own answer, an object; set at the end, kept 24 hours
	Error     string          `json:"error"`

	// ElapsedMS is from StartedAt to At by the monotonic clock, so that no
	// setting of the wall clock changes durations and order. Record sets it
	// if both times have that clock's reading, as time.Now gives it.
	ElapsedMS *float64 `json:"elapsed_ms,omitempty"`
}

// A TimeSeries is something that was watched while a run went on, such as
// memory: rows of the view time_series.
type TimeSeries struct {
	ID        string    `json:"id"` // UUIDv7
	Timestamp time.Time `json:"timestamp"`
	RunID     string    `json:"run_id"`
	ResultID  string    `json:"result_id"` // empty if of the whole run
	Name      string    `json:"name"`      // such as memory_bytes
	Unit      string    `json:"unit"`
	Offsets   []float64 `json:"offsets"` // milliseconds since the start, one per value
	Values    []float64 `json:"vals"`
}

// A Plan is how a model runs best on a device, as it was measured: a row of
// the view plans. Later ones supersede earlier ones.
type Plan struct {
	Timestamp time.Time       `json:"timestamp"`
	ModelCID  string          `json:"model_cid"`
	Device    string          `json:"device"`
	MachineID string          `json:"machine_id"`
	Threads   int             `json:"threads"`
	BatchSize int             `json:"batch_size"`
	Precision string          `json:"precision"`
	RunID     string          `json:"run_id"`  // the run that found it
	Figures   json.RawMessage `json:"figures"` // an object: what was measured
}

// A Receipt is what two peers agree that one did for the other: a row of the
// view receipts. It holds hashes of input and output, never these themselves.
type Receipt struct {
	ID           string    `json:"id"` // UUIDv7
	Timestamp    time.Time `json:"timestamp"`
	RunID        string    `json:"run_id"`
	Role         string    `json:"role"` // asked or served
	Peer         string    `json:"peer"` // the other one's id
	ModelCID     string    `json:"model_cid"`
	InputSHA256  string    `json:"input_sha256"`
	OutputSHA256 string    `json:"output_sha256"`
	Signature    string    `json:"signature"`
	TotalMS      *float64  `json:"total_ms,omitempty"`
	Error        string    `json:"error"`
}

// A Batch is what one Record call writes: all of it in one write, or nothing,
// and 8 MiB at most.
type Batch struct {
	Runs         []Run         `json:"runs,omitempty"`
	Results      []Result      `json:"results,omitempty"`
	Inferences   []Inference   `json:"inferences,omitempty"`
	Fetches      []Fetch       `json:"fetches,omitempty"`
	Environments []Environment `json:"environments,omitempty"`
	Platforms    []Platform    `json:"platforms,omitempty"`
	Models       []Model       `json:"models,omitempty"`
	TimeSeries   []TimeSeries  `json:"time_series,omitempty"`
	Plans        []Plan        `json:"plans,omitempty"`
	Receipts     []Receipt     `json:"receipts,omitempty"`

	// Sync makes Record return only when the batch is on disk. Without it
	// the batch survives a killed process, and within a second a power cut.
	Sync bool `json:"-"`
}
