//go:build unix

package main_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

const heads = "testdata/heads"

// headTasks are the tasks that have a small model in testdata.
var headTasks = map[string]engine.Task{}

func init() {
	for _, t := range []engine.Task{
		tasks.TextClassification(), tasks.ZeroShotClassification(), tasks.TextRanking(), tasks.TokenClassification(), tasks.FillMask(), tasks.QuestionAnswering(),
	} {
		headTasks[t.Name()] = t
	}
}

// A golden is what the pipelines of transformers answer, see testdata/heads.
type golden struct {
	Model  string
	Task   string
	Inputs []json.RawMessage
	Cases  []struct {
		Parameters json.RawMessage
		Answers    []json.RawMessage
	}
}

// items are the inputs as a caller gives them.
func (g golden) items(t *testing.T) []engine.Item {
	t.Helper()
	items := make([]engine.Item, len(g.Inputs))
	for i, raw := range g.Inputs {
		if json.Unmarshal(raw, &items[i].Text) != nil {
			items[i].Record = raw
		}
	}
	return items
}

// objects are the results within an answer, whose form depends on their number.
func objects(t *testing.T, raw json.RawMessage) []map[string]any {
	t.Helper()
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		var out []map[string]any
		for _, item := range list {
			out = append(out, objects(t, item)...)
		}
		return out
	}
	var o map[string]any
	must(t, json.Unmarshal(raw, &o))
	labels, ok := o["labels"].([]any)
	if !ok {
		return []map[string]any{o}
	}
	out := make([]map[string]any, len(labels))
	for i := range labels {
		out[i] = map[string]any{"label": labels[i], "score": o["scores"].([]any)[i]}
	}
	return out
}

// agree compares what the reference has with what the answer has.
func agree(t *testing.T, where string, want map[string]any, got engine.Output) {
	t.Helper()
	data, err := json.Marshal(got)
	must(t, err)
	var have map[string]any
	must(t, json.Unmarshal(data, &have))
	for key, w := range want {
		if s, ok := w.(string); ok && s == "" {
			continue
		}
		if n, ok := w.(float64); ok {
			if h, ok := have[key].(float64); !ok || math.Abs(h-n) > 1e-4*math.Max(1, math.Abs(n)) {
				t.Errorf("%s: %s is %v, want %v", where, key, have[key], w)
			}
		} else if have[key] != w {
			t.Errorf("%s: %s is %q, want %q", where, key, have[key], w)
		}
	}
}

// The answers are those of transformers' pipelines.
func TestHeads_equalReference(t *testing.T) {
	for _, g := range goldensOf(t, heads) {
		t.Run(g.Model, func(t *testing.T) {
			run := pipeline(t, headTasks[g.Task], folder(t, filepath.Join(heads, g.Model)))
			for _, c := range g.Cases {
				a, err := run(engine.Request{Items: g.items(t), Parameters: c.Parameters})
				must(t, err)
				byItem := map[int][]engine.Output{}
				for _, o := range a.Outputs {
					byItem[o.Item] = append(byItem[o.Item], o)
				}
				for i, raw := range c.Answers {
					want, where := objects(t, raw), fmt.Sprintf("%s of %s", c.Parameters, g.Inputs[i])
					if len(want) != len(byItem[i]) {
						t.Errorf("%s: %d results, want %d", where, len(byItem[i]), len(want))
						continue
					}
					for k := range want {
						agree(t, fmt.Sprintf("%s, %d", where, k), want[k], byItem[i][k])
					}
				}
			}
		})
	}
}

// The tasks keep to what tasks promise.
func TestHeads_conform(t *testing.T) {
	for _, g := range goldensOf(t, heads) {
		t.Run(g.Model, func(t *testing.T) {
			m := folder(t, filepath.Join(heads, g.Model))
			r := engine.Request{Items: g.items(t), Parameters: g.Cases[0].Parameters}
			enginetest.TestTask(t, headTasks[g.Task], m, &opener{t: t, p: newProvider(t, runner.Options{}), m: m}, r)
		})
	}
}
