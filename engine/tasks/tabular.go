package tasks

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// TabularClassification returns the task "tabular-classification": the class
// of a row of a table, by an ONNX-ML graph such as skl2onnx makes.
func TabularClassification() engine.Task { return tabular{"tabular-classification"} }

// TabularRegression returns the task "tabular-regression": a number for a row
// of a table.
func TabularRegression() engine.Task { return tabular{"tabular-regression"} }

type tabular struct{ name string }

var _ engine.Documenter = tabular{}

func (t tabular) Name() string { return t.name }

// Doc describes the inputs.
func (t tabular) Doc() string {
	outputs := "Each output has item (which row), label, and score, the likelihood of it if the model gives one."
	if t.name == "tabular-regression" {
		outputs = "Each output has item (which row) and score, the number."
	}
	return "# " + t.name + `

What a row of a table is, or is worth. Each input is a record of the row's columns: {"animal": "fox", "weight": 7.25}. There are no parameters.

` + outputs + `

The model is an ONNX-ML graph, as skl2onnx makes of scikit-learn: with an input [rows, 1] of strings or numbers for each column; or with one
input [rows, columns] of float32, whose columns config.json names as {"sklearn": {"columns": ["weight", "age"]}}. A classifier's
probabilities may be a tensor or maps (ZipMap). A model's manifest says what it is for: {"version":1,"task":"` + t.name + `"}.
`
}

// Load finds the columns.
func (t tabular) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	g, err := graphOf(m)
	if err != nil {
		return nil, err
	}
	p := &rows{inputs: g.Inputs, regression: t.name == "tabular-regression"}
	var c struct {
		Sklearn struct {
			Columns []string `json:"columns"`
		} `json:"sklearn"`
	}
	if _, err := readJSON(m, "config.json", &c); err != nil {
		return nil, err
	}
	if _, err := readJSON(m, "config.json", &p.config); err != nil {
		return nil, err
	}
	if err := p.findColumns(c.Sklearn.Columns); err != nil {
		return nil, err
	}
	return p, p.findOutputs(g)
}

// rows is the pipeline of both tasks.
type rows struct {
	stateless
	inputs        []engine.ValueInfo
	columns       []string // of one input, or else the inputs' names
	together      bool     // one input has all columns
	regression    bool
	label, scores string // outputs
	config        headConfig
}

func (p *rows) findColumns(named []string) error {
	if len(p.inputs) == 1 && len(p.inputs[0].Shape) == 2 && p.inputs[0].Shape[1] != 1 {
		in := p.inputs[0]
		p.together, p.columns = true, named
		if in.DType != engine.Float32 || in.Shape[1] > 0 && int(in.Shape[1]) != len(named) || len(named) == 0 {
			return engine.Errorf(engine.ErrModelInvalid, "the model takes %s %v, for which config.json names %d columns", in.DType, in.Shape, len(named)).
				WithHint("name them in config.json: {\"sklearn\":{\"columns\":[…]}}, or pass raw tensors")
		}
		return nil
	}
	if len(p.inputs) == 0 {
		return engine.Errorf(engine.ErrModelInvalid, "the model takes no input")
	}
	for _, in := range p.inputs {
		if len(in.Shape) == 0 || len(in.Shape) > 2 || len(in.Shape) == 2 && in.Shape[1] != 1 {
			return engine.Errorf(engine.ErrModelInvalid, "the model's input %q of shape %v is no column", in.Name, in.Shape).WithHint("pass raw tensors")
		}
		if in.DType != engine.String && in.DType != engine.Float32 && in.DType != engine.Float64 && in.DType != engine.Int64 {
			return engine.Errorf(engine.ErrModelInvalid, "the model's column %q is %s", in.Name, in.DType).WithHint("pass raw tensors")
		}
		p.columns = append(p.columns, in.Name)
	}
	return nil
}

// findOutputs tells labels from scores: scores are floats.
func (p *rows) findOutputs(g engine.Graph) error {
	for _, out := range g.Outputs {
		switch {
		case (out.DType == engine.Int64 || out.DType == engine.String) && p.label == "" && !p.regression:
			p.label = out.Name
		case out.DType == engine.Float32 && p.scores == "":
			p.scores = out.Name
		}
	}
	if p.regression && p.scores == "" || !p.regression && p.label == "" {
		return engine.Errorf(engine.ErrModelInvalid, "the model has no output of labels for tabular-classification, or of float32 for tabular-regression")
	}
	return nil
}

// Run answers for all rows at once, or for as many as are wanted.
func (p *rows) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	var a engine.Answer
	if err := settle(r, &struct{}{}); err != nil {
		return a, err
	}
	began := time.Now()
	table := make([]map[string]json.RawMessage, len(r.Items))
	for i, item := range r.Items {
		var err error
		if table[i], err = p.row(item); err != nil {
			return a, inInput(r, i, err)
		}
	}
	session, err := s.Open(ctx, "")
	if err != nil {
		return a, err
	}
	size := r.BatchSize
	if size <= 0 {
		size = 1000
	}
	first := 0
	for batch := range slices.Chunk(table, size) {
		in, err := p.tensors(batch)
		if err != nil {
			return a, err
		}
		a.Timings.Preprocess += since(&began)
		out, err := session.Run(ctx, in)
		if err != nil {
			return a, err
		}
		a.Timings.Run += since(&began)
		if err := p.outputs(&a, out, first, len(batch)); err != nil {
			return a, err
		}
		first += len(batch)
		a.Timings.Postprocess += since(&began)
	}
	return a, numbers(a)
}

// Example is a row of the model's columns, all of them 1.
func (p *rows) Example() engine.Example {
	row := map[string]any{}
	for _, name := range p.columns {
		row[name] = 1
		for _, v := range p.inputs {
			if v.Name == name && v.DType == engine.String {
				row[name] = "1"
			}
		}
	}
	record, err := json.Marshal(row)
	if err != nil {
		record = nil // not with names that came from JSON
	}
	return engine.Example{Record: record}
}

// row reads an input and checks its columns.
func (p *rows) row(item engine.Item) (map[string]json.RawMessage, error) {
	var row map[string]json.RawMessage
	if item.Record == nil || json.Unmarshal(item.Record, &row) != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the input is no record").WithHint("pass records: [{\"%s\": …}]", p.columns[0])
	}
	for _, name := range p.columns {
		if _, ok := row[name]; !ok {
			e := engine.Errorf(engine.ErrInvalidArgument, "the column %q is missing", name)
			e.ValidValues = p.columns
			return nil, e
		}
	}
	for name := range row {
		if err := among("column", name, p.columns...); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// tensors makes the model's inputs.
func (p *rows) tensors(table []map[string]json.RawMessage) (engine.Tensors, error) {
	n := int64(len(table))
	if p.together {
		values, err := column[float32](table, p.columns)
		return engine.Tensors{p.inputs[0].Name: engine.NewTensor([]int64{n, int64(len(p.columns))}, values)}, err
	}
	in := engine.Tensors{}
	for _, v := range p.inputs {
		shape := []int64{n, 1}[:len(v.Shape)]
		t, err := columnTensor(table, v, shape)
		if err != nil {
			return nil, err
		}
		in[v.Name] = t
	}
	return in, nil
}

func columnTensor(table []map[string]json.RawMessage, v engine.ValueInfo, shape []int64) (*engine.Tensor, error) {
	names := []string{v.Name}
	switch v.DType {
	case engine.String:
		values, err := column[string](table, names)
		return &engine.Tensor{DType: engine.String, Shape: shape, Strings: values}, err
	case engine.Int64:
		values, err := column[int64](table, names)
		return engine.NewTensor(shape, values), err
	case engine.Float64:
		values, err := column[float64](table, names)
		return engine.NewTensor(shape, values), err
	}
	values, err := column[float32](table, names)
	return engine.NewTensor(shape, values), err
}

// column reads the columns of every row, as a type. What can't be read is
// zero, so that the length is right, and an error.
func column[T any](table []map[string]json.RawMessage, names []string) ([]T, error) {
	out := make([]T, 0, len(table)*len(names))
	var wrong error
	for i, row := range table {
		for _, name := range names {
			var v T
			if err := json.Unmarshal(row[name], &v); err != nil && wrong == nil {
				wrong = engine.Errorf(engine.ErrInvalidArgument, "row %d: %s in column %q is no %T", i, row[name], name, v)
			}
			out = append(out, v)
		}
	}
	return out, wrong
}

// outputs adds what the model gave of n rows.
func (p *rows) outputs(a *engine.Answer, out engine.Tensors, first, n int) error {
	var scores []float32
	if t := out[p.scores]; t != nil {
		var err error
		if scores, _, err = floats(out, p.scores, []int64{int64(n), -1}[:min(len(t.Shape), 2)]...); err != nil {
			return err
		}
	}
	labels := make([]string, n)
	if !p.regression {
		var err error
		if labels, err = p.labels(out[p.label], n); err != nil {
			return err
		}
	}
	for i := range n {
		o := engine.Output{Item: first + i, Label: labels[i]}
		if width := len(scores) / n; width > 0 {
			o.Score = score6(float64(slices.Max(scores[i*width : (i+1)*width])))
		}
		a.Outputs = append(a.Outputs, o)
	}
	return nil
}

// labels are the names of the rows' classes.
func (p *rows) labels(t *engine.Tensor, n int) ([]string, error) {
	if t == nil || t.Check() != nil || len(t.Shape) < 1 || t.Shape[0] != int64(n) || slices.Contains(t.Shape, 0) {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the model gave no label for each row")
	}
	if t.DType == engine.String {
		return t.Strings[:n], nil
	}
	ids, err := engine.Values[int64](t)
	if err != nil {
		return nil, err
	}
	out := make([]string, n)
	for i, id := range ids[:n] {
		out[i] = strconv.FormatInt(id, 10)
		if name, ok := p.config.Labels[out[i]]; ok {
			out[i] = name
		}
	}
	return out, nil
}
