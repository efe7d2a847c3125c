package benchdb

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-analyze/charts"
)

// Size of a chart, in pixels.
const (
	chartWidth  = 960
	chartHeight = 540
)

// maxBars bounds the rows that a chart shows: more can't be told apart.
const maxBars = 24

// charted are the reports that can be drawn.
var charted = map[Report]func([]chartRow) (*charts.Painter, error){
	ReportHistory: drawHistory, ReportPercentiles: drawPercentiles, ReportCompare: drawComparison,
}

// Chart draws the table of a report as a PNG: history as a line per
// configuration, percentiles as bars, or as a heat map of medians where there
// are several models and devices, compare as bars of change. What was not
// measured is left out. It fails with a QueryError for other reports, and for
// a table with nothing to draw.
func Chart(r Report, t Table) ([]byte, error) {
	draw := charted[r]
	if draw == nil {
		return nil, &QueryError{
			Message: fmt.Sprintf("report %s has no chart", r), Hint: "leave chart out, or ask for another report",
			ValidValues: []string{string(ReportCompare), string(ReportHistory), string(ReportPercentiles)},
		}
	}
	var rows []chartRow
	for _, data := range t.Rows {
		var row chartRow
		if err := json.Unmarshal(data, &row); err != nil {
			return nil, fmt.Errorf("draw report %s: %w", r, err)
		}
		if row.P50 != nil || row.Change != nil {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil, &QueryError{Message: "there is nothing to draw", Hint: "measure something with run_benchmark first, or widen the question"}
	}
	p, err := draw(rows)
	if err != nil {
		return nil, fmt.Errorf("draw report %s: %w", r, err)
	}
	return p.Bytes()
}

// A chartRow is what charts need of a row, of whatever report.
type chartRow struct {
	Model     string    `json:"model"`
	Workload  string    `json:"workload"`
	Device    string    `json:"device"`
	Precision string    `json:"precision"`
	BatchSize int       `json:"batch_size"`
	Timestamp time.Time `json:"timestamp"`
	P50       *float64  `json:"p50_ms"`
	P90       *float64  `json:"p90_ms"`
	P99       *float64  `json:"p99_ms"`
	Change    *float64  `json:"change"`
	Verdict   string    `json:"verdict"`
}

// label names a row's configuration.
func (r chartRow) label() string {
	parts := []string{r.Model, r.Device, r.Precision, "×" + strconv.Itoa(r.BatchSize)}
	if r.Workload != "latency" {
		parts = append(parts, r.Workload)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func newPainter() *charts.Painter {
	return charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: chartWidth, Height: chartHeight})
}

func milliseconds(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) + " ms" }

// drawHistory draws the median of each configuration from the oldest row to
// the newest.
func drawHistory(rows []chartRow) (*charts.Painter, error) {
	slices.SortStableFunc(rows, func(a, b chartRow) int { return a.Timestamp.Compare(b.Timestamp) })
	var names []string
	values := map[string][]float64{}
	longest := 0
	for _, r := range rows {
		name := r.label()
		if values[name] == nil {
			names = append(names, name)
		}
		values[name] = append(values[name], *r.P50)
		longest = max(longest, len(values[name]))
	}
	names = names[:min(len(names), maxBars)]
	var data [][]float64
	for _, name := range names {
		series := values[name]
		for len(series) < longest {
			series = append(series, charts.GetNullValue())
		}
		data = append(data, series)
	}
	o := charts.NewLineChartOptionWithData(data)
	o.Title.Text = "Median latency over time"
	o.Legend.SeriesNames = names
	o.Legend.Offset = charts.OffsetRight
	o.XAxis.Labels = timeLabels(rows, len(names), longest)
	o.YAxis = []charts.YAxisOption{{Min: new(0.0)}}
	o.ValueFormatter = milliseconds
	p := newPainter()
	return p, p.LineChart(o)
}

// timeLabels are times where all rows are of one configuration, else numbers.
func timeLabels(rows []chartRow, configurations, n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = strconv.Itoa(i + 1)
		if configurations == 1 {
			labels[i] = rows[i].Timestamp.UTC().Format("01-02 15:04:05")
		}
	}
	return labels
}

func drawPercentiles(rows []chartRow) (*charts.Painter, error) {
	models, devices := distinct(rows, func(r chartRow) string { return r.Model }), distinct(rows, func(r chartRow) string { return r.Device })
	if len(models) > 1 && len(devices) > 1 {
		return drawHeatMap(rows, models, devices)
	}
	rows = rows[:min(len(rows), maxBars)]
	data := make([][]float64, 3)
	labels := make([]string, len(rows))
	for i, r := range rows {
		labels[i] = r.label()
		for j, v := range []*float64{r.P50, r.P90, r.P99} {
			data[j] = append(data[j], orNull(v))
		}
	}
	o := charts.NewBarChartOptionWithData(data)
	o.Title.Text = "Latency"
	o.Legend.SeriesNames = []string{"p50", "p90", "p99"}
	o.Legend.Offset = charts.OffsetRight
	return bars(o, labels, milliseconds)
}

// drawComparison draws how much dearer each configuration became, in percent.
func drawComparison(rows []chartRow) (*charts.Painter, error) {
	rows = rows[:min(len(rows), maxBars)]
	var data []float64
	labels := make([]string, len(rows))
	for i, r := range rows {
		labels[i] = r.label() + " (" + r.Verdict + ")"
		data = append(data, 100*orZero(r.Change))
	}
	o := charts.NewBarChartOptionWithData([][]float64{data})
	o.Title.Text = "Change of latency against the baseline"
	return bars(o, labels, func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) + " %" })
}

// bars draws lying bars, so that there is room for their labels.
func bars(o charts.BarChartOption, labels []string, format charts.ValueFormatter) (*charts.Painter, error) {
	o.Horizontal = true
	o.CategoryAxis.Labels = labels
	o.ValueFormatter = format
	p := newPainter()
	return p, p.BarChart(o)
}

// drawHeatMap draws the median of each model on each device: the best where
// there are several batch sizes, workloads or precisions.
func drawHeatMap(rows []chartRow, models, devices []string) (*charts.Painter, error) {
	cells := make([][]float64, len(models))
	for i := range cells {
		cells[i] = slices.Repeat([]float64{charts.GetNullValue()}, len(devices))
	}
	for _, r := range rows {
		cell := &cells[slices.Index(models, r.Model)][slices.Index(devices, r.Device)]
		if *cell == charts.GetNullValue() || *r.P50 < *cell {
			*cell = *r.P50
		}
	}
	o := charts.NewHeatMapOptionWithData(cells)
	o.Title.Text = "Best median latency, ms"
	o.XAxis.Labels, o.YAxis.Labels = devices, models
	o.ValuesLabel.Show = new(true)
	p := newPainter()
	return p, p.HeatMapChart(o)
}

func distinct(rows []chartRow, of func(chartRow) string) []string {
	var out []string
	for _, r := range rows {
		if v := of(r); !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

func orNull(v *float64) float64 {
	if v == nil {
		return charts.GetNullValue()
	}
	return *v
}

func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}
