package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
)

// answerBudget is what a concise answer may take, in bytes of JSON.
const answerBudget = 8000

// fit cuts a concise answer to its budget and says so.
func (a *Inference) fit(detail string) {
	const few = 8 // of each fit the budget whatever they are
	if detail == "full" || len(a.Outputs) <= few && len(a.Tensors) <= few && len(a.Similarity) <= few {
		return
	}
	for size(a) > answerBudget && a.shrink() {
		a.Truncated = true
	}
	if a.Truncated {
		a.NextSteps = append(a.NextSteps, "pass detail full for everything, or output_file to write it to a file")
	}
}

// shrink takes the largest part of the answer down; it reports whether there
// was one.
func (a *Inference) shrink() bool {
	switch {
	case len(a.Similarity) > 8:
		a.Similarity = nil
	case len(a.Outputs) > 1:
		a.Outputs = a.Outputs[:len(a.Outputs)/2]
	case len(a.Tensors) > 1:
		a.Tensors = a.Tensors[:len(a.Tensors)/2]
	default:
		return false
	}
	return true
}

func size(a *Inference) int {
	data, err := json.Marshal(a)
	if err != nil {
		return 0 // the caller meets the error when it encodes the answer
	}
	return len(data)
}

// describe is one line on what came out.
func (in *inferring) describe() string {
	where := fmt.Sprintf("%s on %s in %.1f ms", path.Base(in.file), in.out.Device.ID, in.t.Run)
	switch {
	case len(in.out.Tensors) > 0:
		return plural(len(in.out.Tensors), "output") + " of " + where
	case in.out.Task != "":
		return fmt.Sprintf("%s of %s: %s, %s", in.out.Task, plural(in.items, "input"), plural(len(in.out.Outputs), "output"), where)
	}
	return where
}

// keepFiles writes what the caller wants as files: pictures, and vectors if an
// output file is named.
func (in *inferring) keepFiles(a Answer) error {
	for _, p := range a.Pictures {
		ref, err := in.e.files.write(in.run.id, p.Name, func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(p.PNG))
			return err
		})
		if err != nil {
			return err
		}
		in.out.Files = append(in.out.Files, ref)
	}
	if in.r.OutputFile == "" {
		return nil
	}
	t, err := stack(a)
	if err != nil {
		return err
	}
	ref, err := in.e.files.write(in.run.id, in.r.OutputFile, func(w io.Writer) error { return WriteNPY(w, t) })
	in.out.Files = append(in.out.Files, ref)
	return err
}

// stack makes one matrix of the answer's vectors.
func stack(a Answer) (*Tensor, error) {
	var values []float32
	for _, v := range a.Vectors {
		values = append(values, v...)
	}
	if len(values) == 0 {
		return nil, Errorf(ErrInvalidArgument, "the answer has no vectors to write").WithHint("leave output_file out")
	}
	return NewTensor([]int64{int64(len(a.Vectors)), int64(len(a.Vectors[0]))}, values), nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
