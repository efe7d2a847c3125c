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
	Environment   string          `json:"environment"`    // id of the machine, see Environment
	Metadata      json.RawMessage `json:"metadata"`       // an object; software versions, threads and the like
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
}

// An Environment describes the machine that results were measured on. ID is a
// hash of Info, so that equal machines have equal ids.
type Environment struct {
	ID        string          `json:"id"`
	Timestamp time.Time       `json:"timestamp"`
	Info      json.RawMessage `json:"info"` // an object
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

	// Sync makes Record return only when the batch is on disk. Without it
	// the batch survives a killed process, and within a second a power cut.
	Sync bool `json:"-"`
}

// A Report names a question that Query answers.
type Report string

// The reports.
const (
	ReportRuns        Report = "runs"        // the latest runs, newest first
	ReportRun         Report = "run"         // one run with its answer
	ReportPercentiles Report = "percentiles" // latency percentiles with intervals per model, device, precision, batch size and workload
	ReportSQL         Report = "sql"         // an agent's own SELECT
)

// A Query is a question. Empty fields don't restrict; Model, Device, Workload
// and Since restrict the reports runs and percentiles, Cursor continues runs.
type Query struct {
	Report   Report
	RunID    string
	SQL      string
	Model    string // name or CID
	Device   string // device id or platform
	Workload string
	Since    time.Time
	Limit    int    // rows; 0 means 20, at most 1000
	Cursor   string // NextCursor of the answer before
}

// A Column describes one column of a Table.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`           // DuckDB's name, lower case
	Unit string `json:"unit,omitempty"` // such as "ms", empty if there is none
}

// A Table is the answer to a Query.
type Table struct {
	Columns     []Column
	Rows        []json.RawMessage // one object per row, keys in column order
	Total       int64             // rows that match, of which Rows may be a part; -1 if not counted
	Truncated   bool
	NextCursor  string
	PendingRows int64  // recorded, but not yet in the database when it was asked
	Sandbox     string // full, partial or none: what held the process that ran the query
}
