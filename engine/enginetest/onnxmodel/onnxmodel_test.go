package onnxmodel_test

import (
	"reflect"
	"testing"

	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

func whole() om.Model {
	body := om.Graph{Name: "body", Nodes: []om.Node{{Op: "Identity", Inputs: []string{"a"}, Outputs: []string{"b"}}}}
	return om.Model{
		IRVersion: 9, Opsets: []om.Opset{{Version: 20}, {Domain: "com.microsoft", Version: 1}}, Producer: "test",
		Metadata: map[string]string{"k": "v"},
		Graph: om.Graph{
			Name: "main",
			Nodes: []om.Node{{
				Op: "Any", Domain: "d", Name: "n", Inputs: []string{"", "x"}, Outputs: []string{"y"},
				Attributes: []om.Attribute{
					om.Attr("i", 3), om.Attr("f", float32(0.5)), om.Attr("s", "text"), om.Attr("is", []int{1, -2}),
					om.Attr("fs", []float32{1, 2}), om.Attr("ss", []string{"a", ""}), om.Attr("g", body),
					om.Attr("t", om.Int64s("", []int64{1}, -1)),
				},
			}},
			Initializers: []om.Tensor{
				om.Floats("f", []int64{2}, 1, 2), om.Doubles("d", nil, 3), om.Int32s("i", []int64{1}, -1), om.Int8s("q", []int64{2}, -1, 1),
				om.Uint8s("u", []int64{1}, 255), om.Bools("b", []int64{2}, true, false), om.Strings("s", []int64{2}, "", "x"),
				{Name: "w", DType: om.Float, Shape: []int64{4}, External: &om.External{Location: "w.bin", Offset: 64, Length: 16}},
			},
			Inputs:  []om.Value{om.Symbols("x", om.Float, "batch", ""), {Name: "u", DType: om.Int8, NoShape: true}},
			Outputs: []om.Value{om.Dims("y", om.Float16, 1, 0, 3), om.Dims("z", om.Bool)},
		},
	}
}

func TestParse_readsWhatMarshalWrites(t *testing.T) {
	want := whole()
	got, err := om.Parse(want.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole().Marshal())
	f.Fuzz(func(_ *testing.T, data []byte) {
		m, err := om.Parse(data)
		if err == nil {
			m.Marshal() // what is read can be written
		}
	})
}
