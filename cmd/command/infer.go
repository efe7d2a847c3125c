package command

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

func (c *cli) infer() *cobra.Command {
	var r engine.InferRequest
	var tensors []string
	var parameters string
	var full bool
	cmd := &cobra.Command{
		Use:   "infer MODEL [INPUT...]",
		Short: "Run a model on texts, pictures or raw tensors",
		Example: `  ipfs-accelerate infer minilm "a first sentence" "a second" --parameters '{"similarity":true}'
  ipfs-accelerate infer blazeface photo.jpg --parameters '{"annotate":true}'
  ipfs-accelerate infer reader '{"question":"Who lives here?","context":"Anna lives here."}'
  ipfs-accelerate infer model.onnx --tensor input=x.npy --output-file y.npy`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Model = args[0]
			r.Inputs, r.Records = inputs(args[1:])
			if full {
				r.Detail = "full"
			}
			if parameters != "" {
				if !json.Valid([]byte(parameters)) {
					return usageError{fmt.Errorf("--parameters is not JSON: %s", parameters)}
				}
				r.Parameters = engine.Object{RawMessage: json.RawMessage(parameters)}
			}
			for _, t := range tensors {
				name, file, ok := strings.Cut(t, "=")
				if !ok {
					return usageError{fmt.Errorf("--tensor %q is not NAME=FILE.npy", t)}
				}
				r.Tensors = append(r.Tensors, engine.TensorInput{Name: name, File: file})
			}
			return c.with(func(a *app) error { return c.runInfer(cmd, a, r) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Task, "task", "", "Hugging Face task id (default: what the model's files say)")
	f.StringVar(&r.Device, "device", "auto", "device or platform of detect")
	f.StringVar(&r.Precision, "precision", "auto", "auto, fp32, fp16, bf16 or int8: which of the model's files to run")
	f.StringVar(&r.InputFile, "input-file", "", ".txt or .jsonl file with one input per line")
	f.StringVar(&r.OutputFile, "output-file", "", "also keep the vectors or first tensor under this .npy name")
	f.StringVar(&parameters, "parameters", "", "JSON object of the task's own parameters")
	f.StringArrayVar(&tensors, "tensor", nil, "raw input NAME=FILE.npy (repeatable)")
	f.BoolVar(&full, "full", false, "print whole vectors and tensors")
	f.BoolVar(&r.Explain, "explain", false, "show how the devices were ranked")
	return cmd
}

// inputs tells records, which are JSON objects, from texts and paths. Either
// all are records or none is.
func inputs(args []string) (texts []string, records []engine.Object) {
	for _, arg := range args {
		if !strings.HasPrefix(arg, "{") || !json.Valid([]byte(arg)) {
			return args, nil
		}
		records = append(records, engine.Object{RawMessage: json.RawMessage(arg)})
	}
	return nil, records
}

func (c *cli) runInfer(cmd *cobra.Command, a *app, r engine.InferRequest) error {
	report, done := c.progress()
	answer, err := a.engine.Infer(cmd.Context(), r, report)
	done()
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(answer)
	}
	return c.table(func(w io.Writer) { printInference(w, answer) })
}

func printInference(w io.Writer, a engine.Inference) {
	for _, warning := range a.Warnings {
		row(w, "warning: %s", warning)
	}
	for _, o := range a.Outputs {
		switch {
		case o.Box != nil && o.Score != nil:
			row(w, "%d\t%s\t%.3f\t%s", o.Item, found(o), *o.Score, corners(o.Box))
		case o.Box != nil && o.Area != nil:
			row(w, "%d\t%s\t%.1f %%\t%s", o.Item, o.Label, *o.Area*100, corners(o.Box))
		case o.Depth != nil:
			row(w, "%d\tfrom %.4g to %.4g\t%.4g on average", o.Item, o.Depth.Min, o.Depth.Max, o.Depth.Mean)
		case len(o.Chunks) > 0:
			printChunks(w, o)
		case len(o.Embedding) > 0:
			row(w, "%d\t%d numbers\t%v", o.Item, o.Dim, o.Embedding)
		case o.Dim > 0:
			row(w, "%d\t%d numbers\t%v…", o.Item, o.Dim, o.Preview)
		case o.GeneratedText != nil:
			row(w, "%s", *o.GeneratedText)
		case o.SummaryText != nil:
			row(w, "%s", *o.SummaryText)
		case o.TranslationText != nil:
			row(w, "%s", *o.TranslationText)
		case o.Text != nil:
			row(w, "%s", *o.Text)
		case o.Score != nil:
			row(w, "%d\t%s\t%.3f", o.Item, found(o), *o.Score)
		}
	}
	for _, t := range a.Tensors {
		values, more := t.Data, ""
		if values == nil {
			values, more = t.Preview, "…"
		}
		row(w, "%s\t%s %v\t%v%s", t.Name, t.DType, t.Shape, values, more)
	}
	printMatrix(w, a.Similarity)
	for _, f := range a.Files {
		row(w, "kept\t%s\t%s", f.URI, humanBytes(f.Bytes))
	}
	row(w, "%s", a.Summary)
}

// found is what an output says, in a few words.
func found(o engine.Output) string {
	switch {
	case o.Answer != nil:
		return fmt.Sprintf("%q", *o.Answer)
	case o.Text != nil:
		return *o.Text
	case o.TokenStr != "":
		return o.TokenStr + "\t" + o.Sequence
	case o.Word != "":
		return o.EntityGroup + o.Entity + "\t" + o.Word
	}
	return o.Label
}

func corners(b *engine.Box) string {
	return fmt.Sprintf("(%.0f,%.0f)-(%.0f,%.0f)", b.XMin, b.YMin, b.XMax, b.YMax)
}

// printChunks shows what was heard when.
func printChunks(w io.Writer, o engine.Output) {
	for _, c := range o.Chunks {
		from, to := "", ""
		if c.Timestamp[0] != nil {
			from = fmt.Sprintf("%.2f", *c.Timestamp[0])
		}
		if c.Timestamp[1] != nil {
			to = fmt.Sprintf("%.2f", *c.Timestamp[1])
		}
		row(w, "%d\t%s–%s s\t%s", o.Item, from, to, cmp.Or(c.Text, o.Label))
	}
}

func printMatrix(w io.Writer, m [][]float64) {
	for _, line := range m {
		cells := make([]string, len(line))
		for i, v := range line {
			cells[i] = fmt.Sprintf("%6.3f", v)
		}
		row(w, "%s", strings.Join(cells, "\t"))
	}
}
