package engine

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/invopop/jsonschema"
)

// A TensorInput is one raw input. Its numbers are in Data, in Base64 as
// little-endian bytes, or in a .npy File; File needs neither DType nor Shape.
// Texts are in Strings, and need no DType.
type TensorInput struct {
	Name    string   `json:"name"`
	DType   DataType `json:"dtype,omitempty" jsonschema:"default=float32"`
	Shape   []int64  `json:"shape,omitempty"`
	Data    Numbers  `json:"data,omitempty" jsonschema:"description=Row-major"`
	Strings []string `json:"strings,omitempty"`
	Base64  string   `json:"base64,omitempty" jsonschema:"description=Little-endian bytes"`
	File    string   `json:"file,omitempty" jsonschema:"description=.npy file in an allowed folder"`
}

// A TensorOutput is one raw output: numbers, all or a few, or likewise texts.
type TensorOutput struct {
	Name    string   `json:"name"`
	DType   DataType `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Data    Numbers  `json:"data,omitempty"`
	Preview Numbers  `json:"preview,omitempty"`
	Strings []string `json:"strings,omitempty"`
	URI     string   `json:"uri,omitempty"`
}

// Numbers are JSON numbers as they were written, so that no int64 is rounded.
type Numbers []json.Number

// JSONSchema describes an array of numbers.
func (Numbers) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "number"}}
}

// previewed is how many numbers a concise answer shows of a tensor or vector.
const previewed = 8

// prepareTensors reads the raw inputs and returns the run of them.
func (in *inferring) prepareTensors() (func(context.Context, *opened) error, error) {
	if in.r.Task != "" {
		return nil, Errorf(ErrInvalidArgument, "raw tensors have no task").WithHint("leave \"task\" out, or pass \"inputs\"")
	}
	began := time.Now()
	tensors := Tensors{}
	for _, t := range in.r.Tensors {
		v, err := in.e.tensor(t)
		if err != nil {
			return nil, err
		}
		tensors[t.Name] = v
	}
	if err := CheckInputs(in.graph.Inputs, tensors); err != nil {
		return nil, err
	}
	in.items = 1
	in.t.Preprocess = ms(time.Since(began))
	return func(ctx context.Context, o *opened) error {
		session, err := o.Open(ctx, in.file)
		if err != nil {
			return err
		}
		began := time.Now()
		out, err := session.Run(ctx, tensors)
		if err != nil {
			return err
		}
		in.t.Run = ms(time.Since(began))
		for _, t := range in.r.Tensors {
			if t.File != "" { // its memory was read into here; a run that failed may still use it
				recycle(tensors[t.Name].Data)
			}
		}
		began = time.Now()
		defer func() { in.t.Postprocess = ms(time.Since(began)) }()
		return in.showTensors(out)
	}, nil
}

// fileBuffers keep the memory of tensors that were read from files: a caller
// who sends one tensor after the other sends many of one size.
var fileBuffers sync.Pool

// reuse returns memory of n bytes, whatever is in it.
func reuse(n int64) []byte {
	if b, ok := fileBuffers.Get().(*[]byte); ok && int64(cap(*b)) >= n {
		return (*b)[:n]
	}
	return make([]byte, n)
}

func recycle(b []byte) { fileBuffers.Put(&b) }

// tensor reads one raw input.
func (e *Engine) tensor(in TensorInput) (*Tensor, error) {
	if in.File != "" {
		f, err := e.o.Paths.Open(in.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readNPY(f, maxTensor, reuse)
	}
	t := &Tensor{DType: in.DType, Shape: in.Shape}
	if t.DType == "" && in.Strings != nil {
		t.DType = String
	} else if t.DType == "" {
		t.DType = Float32
	}
	n, err := Elements(t.Shape)
	if err != nil {
		return nil, err
	}
	if size := int64(t.DType.Size()); size > 0 && n > maxTensor/size {
		return nil, Errorf(ErrTooLarge, "tensor %q of shape %v is over %d bytes", in.Name, t.Shape, maxTensor)
	}
	switch {
	case t.DType == String:
		t.Strings = in.Strings
	case in.Base64 != "":
		t.Data, err = base64.StdEncoding.DecodeString(in.Base64)
	default:
		t.Data, err = encode(t.DType, in.Data)
	}
	if err != nil {
		return nil, Errorf(ErrInvalidArgument, "tensor %q: %w", in.Name, err)
	}
	return t, t.Check()
}

// showTensors puts the outputs into the answer, in the model's order.
func (in *inferring) showTensors(out Tensors) error {
	for _, v := range in.graph.Outputs {
		t := out[v.Name]
		if t == nil {
			continue
		}
		shown := TensorOutput{Name: v.Name, DType: t.DType, Shape: t.Shape}
		if in.r.Detail == "full" {
			shown.Data, shown.Strings = decode(t, math.MaxInt), t.Strings
		} else {
			shown.Preview, shown.Strings = decode(t, previewed), shortened(t.Strings)
		}
		if in.r.OutputFile != "" && len(in.out.Files) == 0 {
			ref, err := in.e.files.write(in.run.id, in.r.OutputFile, func(w io.Writer) error { return WriteNPY(w, t) })
			if err != nil {
				return err
			}
			shown.URI, in.out.Files = ref.URI, []FileRef{ref}
		}
		in.out.Tensors = append(in.out.Tensors, shown)
	}
	return nil
}

// maxPreview is how many characters a concise answer shows of a string.
const maxPreview = 80

// shortened are the first of some strings, cut where they are long.
func shortened(all []string) []string {
	var out []string
	for _, s := range all[:min(len(all), previewed)] {
		if r := []rune(s); len(r) > maxPreview {
			s = string(r[:maxPreview]) + "…"
		}
		out = append(out, s)
	}
	return out
}

// encode writes numbers as little-endian bytes of a type.
func encode(d DataType, ns Numbers) ([]byte, error) {
	out := make([]byte, 0, len(ns)*d.Size())
	for _, n := range ns {
		switch d {
		case Float32, Float64:
			f, err := n.Float64()
			if err != nil {
				return nil, err
			}
			if d == Float32 {
				out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(f)))
			} else {
				out = binary.LittleEndian.AppendUint64(out, math.Float64bits(f))
			}
		case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Bool:
			i, err := integer(n, d)
			if err != nil {
				return nil, err
			}
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], i)
			out = append(out, word[:d.Size()]...)
		default:
			return nil, Errorf(ErrUnsupported, "%s can't be given as numbers", d).WithHint("use base64 or file")
		}
	}
	return out, nil
}

// integer returns the two's complement bits of n if it fits d.
func integer(n json.Number, d DataType) (uint64, error) {
	bits := d.Size() * 8
	if d == Bool {
		bits = 1
	}
	if d == Bool || strings.HasPrefix(string(d), "uint") {
		return strconv.ParseUint(n.String(), 10, bits)
	}
	i, err := strconv.ParseInt(n.String(), 10, bits)
	return uint64(i), err
}

// decode returns up to limit of t's numbers. NaN and infinities, which JSON
// does not have, and types without a JSON form end the list.
func decode(t *Tensor, limit int) Numbers {
	size := t.DType.Size()
	if size == 0 {
		return nil
	}
	out := make(Numbers, 0, min(limit, len(t.Data)/size))
	for data := t.Data; len(data) >= size && len(out) < limit; data = data[size:] {
		var word [8]byte
		copy(word[:], data[:size])
		n := number(t.DType, binary.LittleEndian.Uint64(word[:]))
		if n == "" {
			break
		}
		out = append(out, n)
	}
	return out
}

func number(d DataType, bits uint64) json.Number {
	switch d {
	case Float32, Float64:
		f := float(d, bits)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return ""
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, d.Size()*8))
	case Float16, BFloat16, String:
		return ""
	case Int8:
		return json.Number(strconv.FormatInt(int64(int8(bits)), 10))
	case Int16:
		return json.Number(strconv.FormatInt(int64(int16(bits)), 10))
	case Int32:
		return json.Number(strconv.FormatInt(int64(int32(bits)), 10))
	case Int64:
		return json.Number(strconv.FormatInt(int64(bits), 10))
	}
	return json.Number(strconv.FormatUint(bits, 10))
}
