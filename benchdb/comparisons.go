package benchdb

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// comparisonRow is a row of the report compare, in column order.
type comparisonRow struct {
	Model         string   `json:"model"`
	Workload      string   `json:"workload"`
	Device        string   `json:"device"`
	Precision     string   `json:"precision"`
	BatchSize     int      `json:"batch_size"`
	Verdict       Verdict  `json:"verdict"`
	Change        *float64 `json:"change"`
	Low           *float64 `json:"change_ci95_from"`
	High          *float64 `json:"change_ci95_to"`
	MinDetectable *float64 `json:"min_detectable"`
	Baseline      *float64 `json:"baseline_ms"`
	Candidate     *float64 `json:"candidate_ms"`
	BaselineRuns  int      `json:"baseline_runs"`
	CandidateRuns int      `json:"candidate_runs"`
	BaselineSW    string   `json:"baseline_software_id"`
	CandidateSW   string   `json:"candidate_software_id"`
	MachineID     string   `json:"machine_id"`
	Interleaved   bool     `json:"interleaved"`
	Reason        string   `json:"reason"`
}

var comparisonColumns = []Column{
	{Name: "model", Type: "varchar"},
	{Name: "workload", Type: "varchar"},
	{Name: "device", Type: "varchar"},
	{Name: "precision", Type: "varchar"},
	{Name: "batch_size", Type: "integer"},
	{Name: "verdict", Type: "varchar"},
	{Name: "change", Type: "double", Unit: "1"},
	{Name: "change_ci95_from", Type: "double", Unit: "1"},
	{Name: "change_ci95_to", Type: "double", Unit: "1"},
	{Name: "min_detectable", Type: "double", Unit: "1"},
	{Name: "baseline_ms", Type: "double", Unit: "ms"},
	{Name: "candidate_ms", Type: "double", Unit: "ms"},
	{Name: "baseline_runs", Type: "bigint"},
	{Name: "candidate_runs", Type: "bigint"},
	{Name: "baseline_software_id", Type: "varchar"},
	{Name: "candidate_software_id", Type: "varchar"},
	{Name: "machine_id", Type: "varchar"},
	{Name: "interleaved", Type: "boolean"},
	{Name: "reason", Type: "varchar"},
}

// maxCompared is how many of the newest results a comparison looks at of each
// configuration and software.
const maxCompared = 40

// comparedSQL finds what can be compared: the median of the latencies or, where
// throughput is what was measured, the time per item. Accuracy is no cost.
const comparedSQL = `select id::varchar as id, coalesce(run_id, ''), coalesce(model_name, ''), coalesce(nullif(model_cid, ''), model_name, ''), coalesce(task, ''),
	       coalesce(workload, ''), coalesce(precision, ''), coalesce(batch_size, 0), coalesce(device, ''), coalesce(environment, ''),
	       coalesce(software_id, metadata->>'software_id', '') as software, coalesce(config_key, ''),
	       if(workload in ('offline', 'server') and throughput > 0, 1000 / throughput, p50_ms) as cost
	from _results where coalesce(error, '') = '' and workload <> 'accuracy' and cost > 0 {and}
	qualify row_number() over (partition by environment, model_cid, model_name, task, workload, precision, batch_size, device, config_key, software
	    order by timestamp desc, id desc) <= {n} or run_id in ($run, $baseline)
	order by timestamp, id`

// stored is one result that can be compared.
type stored struct {
	RunSample
	run  string
	name string // of the model
}

// comparisons compares the configurations of a run with a baseline's or, if
// none is named, those of the newest software with the software before.
func comparisons(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	if (q.RunID == "") != (q.Baseline == "") {
		return Table{}, &QueryError{Message: "run_id and baseline go together", Hint: "name both runs, or neither to compare the newest software with the one before"}
	}
	c := listing{model: byModel, device: byDevice, workload: byWorkload, since: byTime}.where(q)
	c.args = append(c.args, sql.Named("run", q.RunID), sql.Named("baseline", q.Baseline))
	all, err := comparableResults(ctx, conn, c)
	if err != nil {
		return Table{}, err
	}
	t := Table{Total: -1, Columns: comparisonColumns, Rows: []json.RawMessage{}}
	var pairs []pair
	if q.RunID != "" {
		pairs, err = pairsOf(all, q.Baseline, q.RunID)
	} else {
		pairs = pairsOfSoftware(all)
	}
	if err != nil {
		return t, err
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.key(), b.key()) })
	for i, p := range pairs {
		if i == q.Limit {
			t.Truncated = true
			break
		}
		result := Compare(samplesOf(p.baseline), samplesOf(p.candidate))
		row, err := json.Marshal(p.row(result))
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, row)
		if q.RunID != "" && len(pairs) == 1 {
			t.Comparison = &result
		}
	}
	return t, nil
}

// comparableResults reads the newest results that c lets pass, oldest first.
func comparableResults(ctx context.Context, conn *sql.Conn, c condition) ([]stored, error) {
	query := strings.NewReplacer("{and}", strings.TrimPrefix(c.where, "where true"), "{n}", strconv.Itoa(maxCompared)).Replace(comparedSQL)
	rows, err := conn.QueryContext(ctx, query, c.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err tells
	var out []stored
	for rows.Next() {
		var s stored
		f := &s.Config
		if err := rows.Scan(&s.ID, &s.run, &s.name, &f.Model, &f.Task, &f.Workload, &f.Precision, &f.BatchSize, &f.Device, &f.MachineID,
			&s.SoftwareID, &f.Key, &s.Value); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// pair is what one row compares.
type pair struct{ baseline, candidate []stored }

// work is what must be equal for two results to be of the same work, on
// whatever machine.
func (s stored) work() Config {
	c := s.Config
	c.MachineID = ""
	return c
}

// pairsOf pairs the configurations that two runs have in common. If their
// software differs, all results of each software on that machine stand with
// them; if it does not, each stands alone.
func pairsOf(all []stored, baseline, candidate string) ([]pair, error) {
	firsts := map[Config]stored{}
	known := map[string]bool{}
	for _, s := range all {
		known[s.run] = true
		if s.run == baseline {
			firsts[s.work()] = s
		}
	}
	for _, run := range []string{baseline, candidate} {
		if !known[run] {
			return nil, &QueryError{Message: "there is no run " + run + " that measured something", Hint: `report "history" lists results with their run_id`}
		}
	}
	var pairs []pair
	for _, s := range all {
		first, ok := firsts[s.work()]
		if s.run != candidate || !ok {
			continue
		}
		delete(firsts, s.work())
		pairs = append(pairs, pair{like(all, first, s), like(all, s, first)})
	}
	return pairs, nil
}

// like returns the results that stand with s against other.
func like(all []stored, s, other stored) []stored {
	var out []stored
	for _, o := range all {
		replicate := o.Config == s.Config && o.SoftwareID == s.SoftwareID && s.SoftwareID != other.SoftwareID
		if o.run == s.run && o.work() == s.work() || replicate {
			out = append(out, o)
		}
	}
	return out
}

// pairsOfSoftware pairs, for each configuration, the newest software that was
// measured with the one before it.
func pairsOfSoftware(all []stored) []pair {
	by := map[Config][]stored{}
	for _, s := range all {
		by[s.Config] = append(by[s.Config], s)
	}
	var pairs []pair
	for _, results := range by {
		newest := results[len(results)-1].SoftwareID
		before := ""
		for _, s := range results {
			if s.SoftwareID != newest {
				before = s.SoftwareID
			}
		}
		only := func(id string) []stored {
			return slices.DeleteFunc(slices.Clone(results), func(s stored) bool { return s.SoftwareID != id })
		}
		if a := only(before); before != "" && len(a) > 0 {
			pairs = append(pairs, pair{a, only(newest)})
		}
	}
	return pairs
}

func samplesOf(rows []stored) []RunSample {
	out := make([]RunSample, len(rows))
	for i, r := range rows {
		out[i] = r.RunSample
	}
	return out
}

// key orders pairs.
func (p pair) key() string {
	data, err := json.Marshal([]any{p.candidate[0].name, p.candidate[0].Config})
	if err != nil {
		return ""
	}
	return string(data)
}

func (p pair) row(c Comparison) comparisonRow {
	first, f := p.baseline[0], p.candidate[0]
	a, b := median(p.baseline), median(p.candidate)
	row := comparisonRow{
		Model: f.name, Workload: f.Config.Workload, Device: f.Config.Device, Precision: f.Config.Precision, BatchSize: f.Config.BatchSize,
		Verdict: c.Verdict, Change: c.Change, MinDetectable: c.MinDetectable, Baseline: &a, Candidate: &b, BaselineRuns: c.BaselineRuns,
		CandidateRuns: c.CandidateRuns, BaselineSW: first.SoftwareID, CandidateSW: f.SoftwareID, MachineID: f.Config.MachineID,
		Interleaved: c.Interleaved, Reason: c.Reason,
	}
	if c.CI95 != nil {
		row.Low, row.High = &c.CI95[0], &c.CI95[1]
	}
	return row
}

func median(rows []stored) float64 {
	values := make([]float64, len(rows))
	for i, r := range rows {
		values[i] = r.Value
	}
	return Summarize(values).Rounded().P50
}
