package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
)

// A ResultsRequest asks for what was recorded.
type ResultsRequest struct {
	Report   string   `json:"report,omitempty" jsonschema:"enum=runs,enum=run,enum=compare,enum=history,enum=percentiles,enum=devices,enum=models,enum=inferences,enum=fetches,enum=errors,enum=cost,enum=schema,default=runs"`
	RunID    string   `json:"run_id,omitempty" jsonschema:"description=Alone: that run and its answer"`
	SQL      string   `json:"sql,omitempty" jsonschema:"description=One SELECT in DuckDB SQL; excludes report,maxLength=65536"`
	Model    string   `json:"model,omitempty" jsonschema:"description=Name or CID"`
	Device   string   `json:"device,omitempty"`
	Workload string   `json:"workload,omitempty"`
	Baseline string   `json:"baseline,omitempty" jsonschema:"description=compare: the run_id that run_id is compared with"`
	Since    string   `json:"since,omitempty" jsonschema:"description=Such as 24h or 7d or an RFC 3339 time"`
	Limit    int      `json:"limit,omitempty" jsonschema:"default=20,minimum=1,maximum=1000"`
	Cursor   string   `json:"cursor,omitempty" jsonschema:"description=next_cursor of the answer before"`
	Fields   []string `json:"fields,omitempty" jsonschema:"description=Only these columns"`
	Chart    bool     `json:"chart,omitempty" jsonschema:"description=Draw history or percentiles or compare"`
}

// Results are rows of what was recorded.
type Results struct {
	Common
	Report      string           `json:"report,omitempty"`
	Columns     []benchdb.Column `json:"columns,omitempty"`
	Rows        Rows             `json:"rows"`
	Total       *int64           `json:"total" jsonschema:"nullable"`
	Truncated   bool             `json:"truncated"`
	NextCursor  *string          `json:"next_cursor" jsonschema:"nullable"`
	PendingRows int64            `json:"pending_rows"`
	Sandbox     string           `json:"sandbox,omitempty"`
	Run         *RunInfo         `json:"run,omitempty"`

	Comparison *benchdb.Comparison `json:"comparison,omitempty"`
	Files      []FileRef           `json:"files,omitempty"`
	Pictures   []Picture           `json:"-"` // shown to the agent as image content
}

// Rows are objects whose keys are the columns.
type Rows []json.RawMessage

// JSONSchema describes an array of objects.
func (Rows) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "object"}}
}

// RunInfo is one run with the answer of its tool.
type RunInfo struct {
	RunID    string         `json:"run_id"`
	Kind     string         `json:"kind"`
	Status   benchdb.Status `json:"status"`
	Progress *Progress      `json:"progress,omitempty"`
	Result   Object         `json:"result,omitzero"`
}

// Results answers a question about what was recorded.
func (e *Engine) Results(ctx context.Context, r ResultsRequest, _ func(Progress)) (Results, error) {
	q, err := r.query(time.Now())
	if err != nil {
		return Results{}, err
	}
	t, err := e.o.Results.Query(ctx, q)
	if err != nil {
		return Results{}, queryError(err)
	}
	out := Results{
		Report: string(q.Report), Columns: t.Columns, Rows: t.Rows, Truncated: t.Truncated,
		PendingRows: t.PendingRows, Sandbox: t.Sandbox, Comparison: t.Comparison,
	}
	if t.NextCursor != "" {
		out.NextCursor = &t.NextCursor
	}
	if t.Total >= 0 {
		out.Total = &t.Total
	}
	if q.Report == benchdb.ReportRun {
		return out, out.one(r.RunID)
	}
	if r.Chart {
		if err := e.chart(&out, q.Report, t); err != nil {
			return Results{}, queryError(err)
		}
	}
	if err := out.only(r.Fields); err != nil {
		return Results{}, err
	}
	out.fit()
	out.Summary = plural(len(out.Rows), "row")
	if out.Comparison != nil {
		out.Summary = verdictText(out.Comparison)
	}
	return out, nil
}

// chart draws what the table says, and keeps it as a file like those of runs.
func (e *Engine) chart(out *Results, report benchdb.Report, t benchdb.Table) error {
	png, err := benchdb.Chart(report, t)
	if err != nil {
		return err
	}
	out.RunID = newID()
	ref, err := e.files.write(out.RunID, "chart.png", func(w io.Writer) error {
		_, err := w.Write(png)
		return err
	})
	if err != nil {
		return err
	}
	out.Files, out.Pictures = []FileRef{ref}, []Picture{{Name: "chart.png", PNG: png}}
	return nil
}

// query checks a request and turns it into benchdb's.
func (r ResultsRequest) query(now time.Time) (benchdb.Query, error) {
	q := benchdb.Query{
		Report: benchdb.Report(r.Report), RunID: r.RunID, Baseline: r.Baseline, SQL: r.SQL, Model: r.Model, Device: r.Device, Workload: r.Workload,
		Limit: r.Limit, Cursor: r.Cursor,
	}
	switch {
	case r.SQL != "" && r.Report != "":
		return q, Errorf(ErrInvalidArgument, "sql and report exclude each other").WithHint("leave one of them out")
	case r.SQL != "":
		q.Report = benchdb.ReportSQL
	case r.Report == "" && r.Baseline != "":
		q.Report = benchdb.ReportCompare
	case r.Report == "" && r.RunID != "":
		q.Report = benchdb.ReportRun
	case r.Report == "":
		q.Report = benchdb.ReportRuns
	case r.Report == "run" && r.RunID == "":
		return q, Errorf(ErrInvalidArgument, "report run needs a run_id").WithHint("report runs lists them")
	}
	if r.Since != "" {
		since, err := parseSince(r.Since, now)
		if err != nil {
			return q, err
		}
		q.Since = since
	}
	return q, nil
}

// parseSince reads "24h", "7d" or an RFC 3339 time.
func parseSince(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, Errorf(ErrInvalidArgument, "since %q is neither a duration nor a time", s).WithHint("write 24h, 7d or 2026-01-31T00:00:00Z")
}

// one turns the single row of report run into Run.
func (out *Results) one(id string) error {
	if len(out.Rows) == 0 {
		return Errorf(ErrRunNotFound, "no run %q is recorded", id).WithHint("query_results {} lists the latest runs; answers are kept for 24 hours")
	}
	var run benchdb.Run
	if err := json.Unmarshal(out.Rows[0], &run); err != nil {
		return err
	}
	out.Run = &RunInfo{RunID: run.ID, Kind: run.Kind, Status: run.Status, Result: Object{run.Answer}}
	out.RunID, out.Status = run.ID, run.Status
	if run.Status == benchdb.Running || run.Status == benchdb.Queued {
		out.Run.Progress = &Progress{Done: run.Done, Total: run.Total, Unit: run.Unit, Message: run.Message}
		out.NextSteps = []string{"ask again in a few seconds"}
	}
	out.Summary = run.Kind + " " + string(run.Status)
	out.Rows, out.Columns = Rows{}, nil
	return nil
}

// only keeps the named columns.
func (out *Results) only(fields []string) error {
	if len(fields) == 0 {
		return nil
	}
	var names []string
	columns := map[string]benchdb.Column{}
	for _, c := range out.Columns {
		names = append(names, c.Name)
		columns[c.Name] = c
	}
	out.Columns = nil
	for _, f := range fields {
		c, ok := columns[f]
		if !ok {
			return unknown(ErrInvalidArgument, "field", f, names)
		}
		out.Columns = append(out.Columns, c)
	}
	for i, row := range out.Rows {
		var values map[string]json.RawMessage
		if err := json.Unmarshal(row, &values); err != nil {
			return err
		}
		kept := make(map[string]json.RawMessage, len(fields))
		for _, f := range fields {
			kept[f] = values[f]
		}
		data, err := json.Marshal(kept)
		if err != nil {
			return err
		}
		out.Rows[i] = data
	}
	return nil
}

// fit leaves out rows until the answer keeps to its budget.
func (out *Results) fit() {
	total := 0
	for i, row := range out.Rows {
		if total += len(row) + 1; total > answerBudget-2000 && i > 0 {
			out.Rows, out.Truncated, out.NextCursor = out.Rows[:i], true, nil
			out.NextSteps = append(out.NextSteps, "name fewer fields, or a smaller limit with cursor, to see the rest")
			return
		}
	}
}

// queryError says what a failure of the result log means to an agent.
func queryError(err error) error {
	var qe *benchdb.QueryError
	switch {
	case errors.As(err, &qe):
		return &Error{Code: ErrQueryInvalid, Message: qe.Message, Hint: qe.Hint, ValidValues: qe.ValidValues, Err: err}
	case errors.Is(err, benchdb.ErrQueryTimeout):
		return &Error{Code: ErrDeadline, Message: "the query took too long and was ended", Hint: "restrict it with since or a where clause", Err: err}
	case errors.Is(err, benchdb.ErrQueryMemory):
		return &Error{Code: ErrOutOfMemory, Message: "the query needed more memory than it may have", Hint: "aggregate or restrict it", Err: err}
	case errors.Is(err, benchdb.ErrNativeMissing):
		return &Error{Code: ErrNativeMissing, Message: "ipfs-accelerate-native is not to be found", Hint: "put it beside ipfs-accelerate, or name it in IPFS_ACCELERATE_NATIVE", Err: err}
	case errors.Is(err, benchdb.ErrRestartNeeded):
		return &Error{Code: ErrRestartNeeded, Message: "ipfs-accelerate-native is of another version", Hint: "install both binaries of one version and restart the server", Err: err}
	case errors.Is(err, benchdb.ErrLocked): // its message names the other
		return &Error{Code: ErrInternal, Message: err.Error(), Hint: "end that program or wait; what is measured meanwhile is kept", Retryable: true, Err: err}
	case errors.Is(err, benchdb.ErrBadCursor):
		return &Error{Code: ErrInvalidArgument, Message: "the cursor is not one of an earlier answer", Hint: "leave cursor out to start again", Err: err}
	}
	return contextError(err)
}
