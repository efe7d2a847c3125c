package engine

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// A weight of less than a page stays where it is. ONNX Runtime maps the others
// where they begin at one.
const page = 4096

// maxWeights bounds how many weights of a file are looked at.
const maxWeights = 1 << 20

// moveWeights writes the model of r, of so many bytes, with its weights moved
// to data, a file that will be called location beside it (ModelProto and
// TensorProto in onnx.proto, "External Data" in the ONNX project's docs). What
// it computes is the same; a runtime maps the file instead of reading it.
func moveWeights(r io.ReaderAt, size int64, location string, model, data io.Writer) error {
	x := mover{r: r, location: location, data: data}
	pieces, err := x.message(0, size, func(num protowire.Number, f protoField) ([]piece, error) {
		if num != 7 || !f.isBytes { // ModelProto.graph
			return nil, nil
		}
		graph, err := x.message(f.off, f.off+f.n, x.initializer)
		return framed(num, graph), err
	})
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if err := p.write(model, r); err != nil {
			return err
		}
	}
	return nil
}

// A mover moves the weights of one file.
type mover struct {
	r        io.ReaderAt
	location string
	data     io.Writer
	offset   int64 // in data
	weights  int
}

// A piece of the new file: bytes, or where they lie in the old one.
type piece struct {
	bytes  []byte
	off, n int64
}

func (p piece) size() int64 { return int64(len(p.bytes)) + p.n }

func (p piece) write(w io.Writer, r io.ReaderAt) error {
	if _, err := w.Write(p.bytes); err != nil || p.n == 0 {
		return err
	}
	_, err := io.Copy(w, io.NewSectionReader(r, p.off, p.n))
	return err
}

// framed are the pieces as one field.
func framed(num protowire.Number, pieces []piece) []piece {
	var n int64
	for _, p := range pieces {
		n += p.size()
	}
	head := protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.BytesType), uint64(n))
	return append([]piece{{bytes: head}}, pieces...)
}

// kept is a field as it was.
func kept(num protowire.Number, f protoField) []piece {
	if !f.isBytes {
		return []piece{{bytes: protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), f.varint)}}
	}
	return framed(num, []piece{{off: f.off, n: f.n}})
}

// message is the message at [from, to) with the fields that swap returns others
// for; those for which it returns nil are as they were.
func (x *mover) message(from, to int64, swap func(protowire.Number, protoField) ([]piece, error)) ([]piece, error) {
	var out []piece
	err := eachProto(x.r, from, to, func(num protowire.Number, f protoField) error {
		pieces, err := swap(num, f)
		if pieces == nil {
			pieces = kept(num, f)
		}
		out = append(out, pieces...)
		return err
	})
	return out, err
}

var errOddField = errors.New("a field that is not moved")

// initializer moves one weight, if it is large and its bytes lie in raw_data.
func (x *mover) initializer(num protowire.Number, f protoField) ([]piece, error) {
	if num != 5 || !f.isBytes || f.n < page { // GraphProto.initializer
		return nil, nil
	}
	if x.weights++; x.weights > maxWeights {
		return nil, Errorf(ErrTooLarge, "the model has over %d weights", maxWeights)
	}
	var raw protoField
	head, err := x.message(f.off, f.off+f.n, func(num protowire.Number, f protoField) ([]piece, error) {
		switch {
		case num == 9 && f.isBytes: // raw_data
			raw = f
			return []piece{}, nil
		case slices.Contains([]protowire.Number{1, 2, 8, 12, 16}, num): // dims, data_type, name, doc_string, metadata_props
			return nil, nil
		}
		return nil, errOddField
	})
	if errors.Is(err, errOddField) || err == nil && raw.n < page {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at, err := x.move(raw)
	return framed(num, append(head, x.place(at, raw.n))), err
}

// move copies a weight's bytes to the next page of the data.
func (x *mover) move(raw protoField) (at int64, err error) {
	if gap := (page - x.offset%page) % page; gap > 0 {
		if _, err := io.CopyN(x.data, bytes.NewReader(make([]byte, gap)), gap); err != nil {
			return 0, err
		}
		x.offset += gap
	}
	at = x.offset
	n, err := io.Copy(x.data, io.NewSectionReader(x.r, raw.off, raw.n))
	x.offset += n
	return at, err
}

// place says where a weight's bytes are: external_data and data_location.
func (x *mover) place(at, n int64) piece {
	var out []byte
	for _, kv := range [][2]string{{"location", x.location}, {"offset", strconv.FormatInt(at, 10)}, {"length", strconv.FormatInt(n, 10)}} {
		var entry []byte
		for i, s := range kv {
			entry = protowire.AppendString(protowire.AppendTag(entry, protowire.Number(i+1), protowire.BytesType), s)
		}
		out = protowire.AppendBytes(protowire.AppendTag(out, 13, protowire.BytesType), entry)
	}
	const external = 1
	return piece{bytes: protowire.AppendVarint(protowire.AppendTag(out, 14, protowire.VarintType), external)}
}
