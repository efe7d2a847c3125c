package engine

import (
	"bytes"
	"maps"
	"testing"

	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

// Pasts may grow where they lie if nothing but grouped attention takes them.
func TestPastsInPlace(t *testing.T) {
	past := func(name string) om.Value { return om.Dims(name, om.Float, 1, 2, 5, 8) }
	attention := om.Node{
		Op: "GroupQueryAttention", Domain: "com.microsoft",
		Inputs:  []string{"q", "k", "v", "past_key_values.0.key", "past_key_values.0.value", "last", "total"},
		Outputs: []string{"out", "present.0.key", "present.0.value"},
	}
	whole := om.Graph{
		Inputs:  []om.Value{past("past_key_values.0.key"), past("past_key_values.0.value"), om.Symbols("input_ids", om.Int64, "", "")},
		Outputs: []om.Value{past("present.0.key"), past("present.0.value")},
		Nodes:   []om.Node{attention},
	}
	want := map[string]string{"past_key_values.0.key": "present.0.key", "past_key_values.0.value": "present.0.value"}
	for name, c := range map[string]struct {
		change func(*om.Graph)
		want   map[string]string
	}{
		"as it is": {func(*om.Graph) {}, want},
		"measured too": {func(g *om.Graph) {
			g.Nodes = append(g.Nodes, om.Node{Op: "Shape", Inputs: []string{"past_key_values.0.key"}})
		}, nil},
		"a graph in a node":  {func(g *om.Graph) { g.Nodes = append(g.Nodes, om.Node{Op: "If"}) }, nil},
		"another past":       {func(g *om.Graph) { g.Inputs = append(g.Inputs, past("past_key_values.1.key")) }, nil},
		"present not given":  {func(g *om.Graph) { g.Outputs = g.Outputs[1:] }, nil},
		"no grouped":         {func(g *om.Graph) { g.Nodes[0].Op = "Attention" }, nil},
		"unknown dimensions": {func(g *om.Graph) { g.Inputs[0] = om.Symbols("past_key_values.0.key", om.Float, "", "", "", "") }, nil},
	} {
		g := whole
		g.Inputs, g.Outputs, g.Nodes = append([]om.Value{}, whole.Inputs...), append([]om.Value{}, whole.Outputs...), []om.Node{attention}
		c.change(&g)
		data := om.Model{Graph: g}.Marshal()
		got, err := PastsInPlace(bytes.NewReader(data), int64(len(data)))
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
	if got, err := PastsInPlace(bytes.NewReader([]byte("x")), 1); err == nil {
		t.Errorf("no model: %v", got)
	}
}
