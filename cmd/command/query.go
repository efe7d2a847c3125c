package command

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

func (c *cli) query() *cobra.Command {
	var r engine.ResultsRequest
	var chart string
	cmd := &cobra.Command{
		Use:   "query [SQL]",
		Short: "Ask what earlier runs cost",
		Example: `  ipfs-accelerate query
  ipfs-accelerate query --report percentiles --model minilm
  ipfs-accelerate query "select model_name, median(inference_time) from benchmark_results group by all"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				r.SQL = args[0]
			}
			return c.with(func(a *app) error {
				answer, err := ask(cmd.Context(), a, r, chart)
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(answer)
				}
				return c.table(func(w io.Writer) { printResults(w, answer) })
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Report, "report", "", "runs (default), run, compare, history, percentiles, devices, models, inferences, fetches, errors, cost or schema")
	f.StringVar(&r.RunID, "run", "", "id of a run: how it went, with its answer")
	f.StringVar(&r.Baseline, "baseline", "", "report compare: id of the run that --run is compared with")
	f.StringVar(&r.Cursor, "cursor", "", "next_cursor of the answer before")
	f.StringVar(&r.Model, "model", "", "only this model, by name or CID")
	f.StringVar(&r.Device, "device", "", "only this device")
	f.StringVar(&r.Workload, "workload", "", "only this workload")
	f.StringVar(&r.Since, "since", "", "such as 24h, 7d or an RFC 3339 time")
	f.IntVar(&r.Limit, "limit", 0, "rows (default 20)")
	f.StringVar(&chart, "chart", "", "also draw it as a PNG: of report history, percentiles or compare")
	f.StringSliceVar(&r.Fields, "fields", nil, "only these columns")
	return cmd
}

// ask asks a question, and draws the answer to a file if one is named.
func ask(ctx context.Context, a *app, r engine.ResultsRequest, chart string) (engine.Results, error) {
	r.Chart = chart != ""
	answer, err := a.engine.Results(ctx, r, nil)
	if err != nil || chart == "" {
		return answer, err
	}
	return answer, os.WriteFile(chart, answer.Pictures[0].PNG, 0o644)
}

func printResults(w io.Writer, a engine.Results) {
	if a.Run != nil {
		row(w, "%s\t%s\t%s", a.Run.RunID, a.Run.Kind, a.Run.Status)
		if len(a.Run.Result.RawMessage) > 0 {
			row(w, "%s", a.Run.Result.RawMessage)
		}
		return
	}
	names := make([]string, len(a.Columns))
	for i, col := range a.Columns {
		names[i] = col.Name
	}
	row(w, "%s", strings.Join(names, "\t"))
	for _, r := range a.Rows {
		var values map[string]json.RawMessage
		if json.Unmarshal(r, &values) != nil {
			continue
		}
		cells := make([]string, len(names))
		for i, name := range names {
			cells[i] = strings.Trim(string(values[name]), `"`)
		}
		row(w, "%s", strings.Join(cells, "\t"))
	}
	if a.Comparison != nil {
		row(w, "compared with the baseline: %s", comparisonText(*a.Comparison))
	}
	switch {
	case a.NextCursor != nil:
		row(w, "… more rows: --cursor %s", *a.NextCursor)
	case a.Truncated:
		row(w, "… more rows; raise --limit")
	}
}
