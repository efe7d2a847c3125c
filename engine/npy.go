package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// The .npy format is described in NumPy's documentation, numpy.lib.format:
// magic, version, header length, a Python dictionary, then the data.
const npyMagic = "\x93NUMPY"

var (
	npyDescr   = regexp.MustCompile(`'descr':\s*'([^']+)'`)
	npyFortran = regexp.MustCompile(`'fortran_order':\s*(True|False)`)
	npyShape   = regexp.MustCompile(`'shape':\s*\(([0-9, ]*)\)`)
)

// npyTypes are NumPy's type strings of what ONNX models take.
var npyTypes = map[string]DataType{
	"<f4": Float32, "<f8": Float64, "<f2": Float16, "|i1": Int8, "<i2": Int16, "<i4": Int32, "<i8": Int64,
	"|u1": Uint8, "<u2": Uint16, "<u4": Uint32, "<u8": Uint64, "|b1": Bool,
}

// ReadNPY reads a tensor from a .npy file of at most limit bytes of data.
func ReadNPY(r io.Reader, limit int64) (*Tensor, error) {
	return readNPY(r, limit, func(n int64) []byte { return make([]byte, n) })
}

// readNPY is ReadNPY into memory that alloc returns.
func readNPY(r io.Reader, limit int64, alloc func(n int64) []byte) (*Tensor, error) {
	header, err := npyHeader(r)
	if err != nil {
		return nil, err
	}
	t, err := npyTensor(header)
	if err != nil {
		return nil, err
	}
	n, err := Elements(t.Shape)
	if err != nil {
		return nil, err
	}
	if size := int64(t.DType.Size()); n > limit/size {
		return nil, Errorf(ErrTooLarge, "the .npy file says shape %v, over %d bytes", t.Shape, limit)
	}
	t.Data = alloc(n * int64(t.DType.Size()))
	if _, err := io.ReadFull(r, t.Data); err != nil {
		return nil, Errorf(ErrInvalidArgument, "the .npy file ends before its data does: %w", err)
	}
	return t, nil
}

func npyHeader(r io.Reader) (string, error) {
	var pre [8]byte
	if _, err := io.ReadFull(r, pre[:]); err != nil || string(pre[:6]) != npyMagic {
		return "", Errorf(ErrInvalidArgument, "not a .npy file").WithHint("write it with numpy.save")
	}
	size := make([]byte, 2) // version 1; version 2 and 3 have 4 bytes
	if pre[6] > 1 {
		size = make([]byte, 4)
	}
	if _, err := io.ReadFull(r, size); err != nil {
		return "", Errorf(ErrInvalidArgument, "the .npy file has no header: %w", err)
	}
	n := uint32(binary.LittleEndian.Uint16(size))
	if len(size) == 4 {
		n = binary.LittleEndian.Uint32(size)
	}
	const maxHeader = 1 << 16
	if n > maxHeader {
		return "", Errorf(ErrInvalidArgument, "the .npy header is over %d bytes", maxHeader)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(r, header); err != nil {
		return "", Errorf(ErrInvalidArgument, "the .npy header is cut short: %w", err)
	}
	return string(header), nil
}

func npyTensor(header string) (*Tensor, error) {
	descr, order, shape := npyDescr.FindStringSubmatch(header), npyFortran.FindStringSubmatch(header), npyShape.FindStringSubmatch(header)
	if descr == nil || order == nil || shape == nil {
		return nil, Errorf(ErrInvalidArgument, "the .npy header is not a plain array's")
	}
	t := &Tensor{DType: npyTypes[descr[1]]}
	if t.DType == "" {
		return nil, Errorf(ErrInvalidArgument, "the .npy file holds %s, which is no type a model takes", descr[1]).
			WithHint("save it as float32 or another little-endian number type")
	}
	if order[1] == "True" {
		return nil, Errorf(ErrInvalidArgument, "the .npy file is in Fortran order").WithHint("save numpy.ascontiguousarray(x)")
	}
	for _, d := range strings.FieldsFunc(shape[1], func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.ParseInt(d, 10, 64)
		if err != nil {
			return nil, Errorf(ErrInvalidArgument, "the .npy shape (%s) can't be read", shape[1])
		}
		t.Shape = append(t.Shape, n)
	}
	return t, nil
}

// WriteNPY writes t as a .npy file, version 1. Strings can't be written.
func WriteNPY(w io.Writer, t *Tensor) error {
	descr := ""
	for name, dtype := range npyTypes {
		if dtype == t.DType {
			descr = name
		}
	}
	if descr == "" {
		return Errorf(ErrUnsupported, "a .npy file can't hold %s", t.DType)
	}
	dims := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		dims[i] = strconv.FormatInt(d, 10) + ","
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, strings.Join(dims, " "))
	const align = 64
	pad := align - (len(npyMagic)+4+len(dict)+1)%align
	dict += strings.Repeat(" ", pad) + "\n"
	var head bytes.Buffer
	head.WriteString(npyMagic + "\x01\x00")
	head.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(dict))))
	head.WriteString(dict)
	for _, part := range [][]byte{head.Bytes(), t.Data} {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("write .npy: %w", err)
		}
	}
	return nil
}
