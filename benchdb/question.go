package benchdb

import (
	"encoding/json"
	"time"
)

// A Report names a question that Query answers.
type Report string

// The reports. All but run and schema take the filters of Query; the columns of
// each, with their units, are in Table.Columns.
const (
	ReportRuns        Report = "runs"        // the latest runs, newest first
	ReportRun         Report = "run"         // one run with its answer
	ReportCompare     Report = "compare"     // RunID against Baseline, or each configuration's newest software against the one before
	ReportHistory     Report = "history"     // a row per result, newest first
	ReportPercentiles Report = "percentiles" // latency percentiles with intervals per model, device, precision, batch size and workload
	ReportDevices     Report = "devices"     // what each platform of each machine was used for
	ReportModels      Report = "models"      // what each model was used for
	ReportInferences  Report = "inferences"  // single inferences, newest first
	ReportFetches     Report = "fetches"     // single fetches, newest first
	ReportErrors      Report = "errors"      // what failed, newest first
	ReportCost        Report = "cost"        // seconds, bytes and joules per model and device
	ReportSchema      Report = "schema"      // the views and their columns
	ReportSQL         Report = "sql"         // an agent's own SELECT
)

// A Query is a question. Empty fields don't restrict.
type Query struct {
	Report   Report
	RunID    string // of the reports run and compare
	Baseline string // of the report compare: the run to compare RunID with
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
	PendingRows int64       // recorded, but not yet in the database when it was asked
	Sandbox     string      // full, partial or none: what held the process that ran the query
	Comparison  *Comparison // of the report compare with RunID, if the two runs have one configuration in common
}
