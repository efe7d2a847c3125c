package engine

import (
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// pastPrefix begins the names that exporters give to the inputs that are a
// language model's past.
const pastPrefix = "past_key_values."

// Remembers reports whether the graph takes a past: it is run step by step.
func (g Graph) Remembers() bool {
	return slices.ContainsFunc(g.Inputs, func(v ValueInfo) bool { return strings.HasPrefix(v.Name, pastPrefix) })
}

// PastsInPlace finds the inputs of a model that are a past, [1, heads, tokens,
// size], and that a step may add to where they lie, by the output that each then
// is: only GroupQueryAttention takes them (com.microsoft, whose present may
// share the memory of its past, inputs 3 and 4 and outputs 1 and 2). Of a model
// that has other pasts too, or graphs within its nodes, there are none.
func PastsInPlace(r io.ReaderAt, size int64) (map[string]string, error) {
	g, err := ReadGraph(r, size)
	if err != nil || !slices.Contains(g.Operators, "GroupQueryAttention") || slices.ContainsFunc(g.Operators, hasGraphs) {
		return nil, err
	}
	pairs, taken := map[string]string{}, map[string]int{}
	err = eachProto(r, 0, size, func(num protowire.Number, f protoField) error {
		if num != 7 || !f.isBytes { // ModelProto.graph
			return nil
		}
		return eachProto(r, f.off, f.off+f.n, func(num protowire.Number, f protoField) error {
			if num != 1 || !f.isBytes { // GraphProto.node
				return nil
			}
			return pastsOfNode(r, f, pairs, taken)
		})
	})
	if err != nil {
		return nil, err
	}
	return wholePasts(g, pairs, taken), nil
}

func hasGraphs(operator string) bool {
	return slices.Contains([]string{"If", "Loop", "Scan", "SequenceMap"}, operator)
}

// pastsOfNode counts in taken what pasts a node takes, and notes in pairs what
// becomes of them.
func pastsOfNode(r io.ReaderAt, node protoField, pairs map[string]string, taken map[string]int) error {
	var inputs, outputs []string
	var operator string
	err := eachProto(r, node.off, node.off+node.n, func(num protowire.Number, f protoField) error {
		if !f.isBytes || num != 1 && num != 2 && num != 4 || len(inputs)+len(outputs) > maxIO {
			return nil
		}
		data, err := f.read(r)
		switch num {
		case 1:
			inputs = append(inputs, string(data))
		case 2:
			outputs = append(outputs, string(data))
		default:
			operator = string(data)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range inputs {
		if strings.HasPrefix(name, pastPrefix) {
			taken[name]++
		}
	}
	if operator == "GroupQueryAttention" && len(inputs) > 4 && len(outputs) > 2 {
		pairs[inputs[3]], pairs[inputs[4]] = outputs[1], outputs[2]
	}
	return nil
}

// wholePasts are the pairs, if they are all pasts of the model.
func wholePasts(g Graph, pairs map[string]string, taken map[string]int) map[string]string {
	out := map[string]string{}
	for _, v := range g.Inputs {
		if !strings.HasPrefix(v.Name, pastPrefix) {
			continue
		}
		present := pairs[v.Name]
		if present == "" || taken[v.Name] != 1 || !declares(g.Outputs, present) || len(v.Shape) != 4 || v.Shape[1] < 1 || v.Shape[3] < 1 {
			return nil
		}
		out[v.Name] = present
	}
	return out
}
