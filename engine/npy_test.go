package engine

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestNPY_roundTrip(t *testing.T) {
	for _, want := range []*Tensor{
		NewTensor([]int64{2, 3}, []float32{1, 2, 3, 4, 5, 6}), NewTensor([]int64{3}, []int64{-1, 0, 1 << 62}), NewTensor(nil, []float64{7}),
		NewTensor([]int64{0, 4}, []uint8{}),
		{DType: Float16, Shape: []int64{2}, Data: []byte{1, 2, 3, 4}},
	} {
		var b bytes.Buffer
		must(t, WriteNPY(&b, want))
		if b.Len()%64 != len(want.Data)%64 {
			t.Errorf("data of %v is not aligned", want.Shape)
		}
		got, err := ReadNPY(&b, 1<<20)
		must(t, err)
		if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if err := WriteNPY(&bytes.Buffer{}, &Tensor{DType: String}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("strings: %v", err)
	}
}

func npy(header string) []byte {
	return append([]byte(npyMagic+"\x01\x00"+string([]byte{byte(len(header)), byte(len(header) >> 8)})), header...)
}

var hostileNPY = map[string][]byte{
	"empty": nil, "magic only": []byte(npyMagic), "other file": []byte("PK\x03\x04 and more"),
	"no header": npy(""), "huge header": []byte(npyMagic + "\x02\x00\xff\xff\xff\xff"),
	"huge shape": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }"),
	"large":      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,), }"),
	"short data": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"),
	"negative":   npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }"),
	"fortran":    npy("{'descr': '<f4', 'fortran_order': True, 'shape': (4,), }"),
	"objects":    npy("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }"),
	"big-endian": npy("{'descr': '>f4', 'fortran_order': False, 'shape': (4,), }"),
}

func TestReadNPY_hostile(t *testing.T) {
	for name, data := range hostileNPY {
		if _, err := ReadNPY(bytes.NewReader(data), 1<<20); !errors.Is(err, ErrInvalidArgument) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadNPY(f *testing.F) {
	for _, data := range hostileNPY {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tensor, err := ReadNPY(bytes.NewReader(data), 1<<16)
		if err == nil && tensor.Check() != nil {
			t.Errorf("a tensor that does not hold together: %v", tensor.Check())
		}
	})
}
