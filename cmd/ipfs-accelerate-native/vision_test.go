//go:build unix

package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

const vision = "testdata/vision"

// visionTasks are the tasks that have a small model in testdata/vision.
var visionTasks = map[string]engine.Task{}

func init() {
	for _, t := range []engine.Task{
		tasks.ImageClassification(), tasks.ImageFeatureExtraction(), tasks.ObjectDetection(), tasks.ImageSegmentation(), tasks.DepthEstimation(), tasks.ZeroShotImageClassification(),
		tasks.AudioClassification(), tasks.AutomaticSpeechRecognition(), tasks.TabularClassification(), tasks.TabularRegression(),
	} {
		visionTasks[t.Name()] = t
	}
}

// files are inputs that lie in a folder.
func files(t *testing.T, dir string, names ...string) []engine.Item {
	t.Helper()
	var items []engine.Item
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		items = append(items, picture(data)...)
	}
	return items
}

// names are the inputs of a golden that are files.
func (g golden) names(t *testing.T) []string {
	t.Helper()
	names := make([]string, len(g.Inputs))
	for i, raw := range g.Inputs {
		must(t, json.Unmarshal(raw, &names[i]))
	}
	return names
}

// Processors make the tensors that those of transformers make.
func TestProcessors_equalReference(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(vision, "processors.json"))
	must(t, err)
	var cases []struct {
		Config  json.RawMessage
		Picture string
		Shape   []int64
		Values  string
	}
	must(t, json.Unmarshal(data, &cases))
	for _, c := range cases {
		f, err := os.Open(filepath.Join(vision, c.Picture))
		must(t, err)
		p, err := images.Decode(t.Context(), f)
		must(t, err)
		must(t, f.Close())
		processor, err := images.NewProcessor(c.Config, []int64{-1, 3, -1, -1})
		must(t, err)
		got, shape := processor.Process(p)
		raw, err := base64.StdEncoding.DecodeString(c.Values)
		must(t, err)
		want, err := engine.Values[float32](&engine.Tensor{DType: engine.Float32, Data: raw})
		must(t, err)
		if fmt.Sprint(shape) != fmt.Sprint(c.Shape) {
			t.Errorf("%s, %s: shape %v, want %v", c.Config, c.Picture, shape, c.Shape)
			continue
		}
		for i := range want {
			if d := math.Abs(float64(got[i] - want[i])); d > 1e-6 {
				t.Errorf("%s, %s: number %d is %v, want %v", c.Config, c.Picture, i, got[i], want[i])
				break
			}
		}
	}
}

// Python makes the same pictures and tensors today.
func TestProcessors_goldensAgain(t *testing.T) {
	again := t.TempDir()
	scene, err := os.ReadFile(filepath.Join(vision, "scene.png"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(again, "scene.png"), scene, 0o600))
	command(t, enginetest.Python(t, vision+"/requirements.txt", "--no-deps", "--require-hashes", "--only-binary", ":all:"), vision+"/pictures.py", again)
	for _, name := range []string{"wide.png", "strip.png", "processors.json"} {
		want, err := os.ReadFile(filepath.Join(vision, name))
		must(t, err)
		got, err := os.ReadFile(filepath.Join(again, name))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is kept", name)
		}
	}
}

// near reports what differs between a value of the reference and one of ours.
// Boxes may be off by half a pixel.
func near(want, got any, tolerance float64) string {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k, v := range w {
			allowed := tolerance
			if k == "xmin" || k == "ymin" || k == "xmax" || k == "ymax" {
				allowed = 0.5
			}
			if d := near(v, g[k], allowed); d != "" {
				return k + ": " + d
			}
		}
		return ""
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return fmt.Sprintf("%d values, want %d", len(g), len(w))
		}
		for i := range w {
			if d := near(w[i], g[i], tolerance); d != "" {
				return fmt.Sprintf("%d: %s", i, d)
			}
		}
		return ""
	case float64:
		if g, ok := got.(float64); ok && math.Abs(g-w) <= tolerance {
			return ""
		}
	default:
		if want == got {
			return ""
		}
	}
	return fmt.Sprintf("%v, want %v", got, want)
}

// plain is a value as JSON has it.
func plain(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	var out any
	must(t, json.Unmarshal(data, &out))
	return out
}

// compare runs a golden's cases and compares the answers.
func (g golden) compare(t *testing.T, run func(engine.Request) (engine.Answer, error), items []engine.Item) {
	t.Helper()
	const tolerance = 1e-3
	for _, c := range g.Cases {
		for batch := range 3 {
			a, err := run(engine.Request{Items: items, Parameters: c.Parameters, Full: true, BatchSize: batch})
			must(t, err)
			byItem := make([][]engine.Output, len(items))
			for _, o := range a.Outputs {
				byItem[o.Item] = append(byItem[o.Item], o)
			}
			for i, raw := range c.Answers {
				if d := near(plain(t, raw), plain(t, byItem[i]), tolerance); d != "" {
					t.Errorf("%s of %s: %s\n%s", c.Parameters, g.Inputs[i], d, raw)
				}
			}
		}
	}
}

// goldensOf are what the reference answers, see the folder's make.py.
func goldensOf(t *testing.T, dir string) []golden {
	t.Helper()
	return readGoldenFile(t, filepath.Join(dir, "goldens.json"))
}

func readGoldenFile(t *testing.T, path string) []golden {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	var all []golden
	must(t, json.Unmarshal(data, &all))
	return all
}

func TestTabular(t *testing.T) {
	const dir = "testdata/tabular"
	for _, g := range goldensOf(t, dir) {
		t.Run(g.Model, func(t *testing.T) {
			m := folder(t, filepath.Join(dir, g.Model))
			g.compare(t, pipeline(t, visionTasks[g.Task], m), g.items(t))
			enginetest.TestTask(t, visionTasks[g.Task], m, &opener{t: t, p: newProvider(t, runner.Options{}), m: m}, engine.Request{Items: g.items(t)})
		})
	}
	run := pipeline(t, tasks.TabularClassification(), folder(t, dir+"/named"))
	for name, record := range map[string]string{
		"missing": `{"animal":"cat","weight":1}`, "unknown": `{"animal":"cat","weight":1,"age":1,"color":"red"}`, "type": `{"animal":3,"weight":1,"age":1}`,
		"fraction": `{"animal":"cat","weight":1,"age":1.5}`, "list": `[1,2]`,
	} {
		if _, err := run(engine.Request{Items: []engine.Item{{Record: json.RawMessage(record)}}}); !isCode(err, engine.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := run(engine.Request{Items: texts("cat")}); !isCode(err, engine.ErrInvalidArgument) {
		t.Errorf("a text: %v", err)
	}
}

// Python makes the same goldens today, and of the models that it makes with them
// come the same answers.
func TestTabular_goldensAgain(t *testing.T) {
	const dir = "testdata/tabular"
	again := t.TempDir()
	command(t, enginetest.Python(t, dir+"/requirements.txt", "--no-deps", "--require-hashes", "--only-binary", ":all:"), dir+"/make.py", again)
	want := goldensOf(t, dir)
	if d := near(plain(t, want), plain(t, goldensOf(t, again)), 1e-6); d != "" || len(want) < 5 {
		t.Errorf("%d goldens: %s", len(want), d)
	}
	for _, g := range want {
		g.compare(t, pipeline(t, visionTasks[g.Task], folder(t, filepath.Join(again, g.Model))), g.items(t))
	}
}

// Outputs that are sequences and maps are tensors, as the model's file says of
// them before it is opened; strings go in and out.
func TestRaw_composites(t *testing.T) {
	const dir = "testdata/tabular"
	run := func(model string, in engine.Tensors) engine.Tensors {
		t.Helper()
		m := folder(t, filepath.Join(dir, model))
		s, err := newProvider(t, runner.Options{}).NewSession(t.Context(), m, "model.onnx", engine.Plan{})
		must(t, err)
		defer s.Close()
		out, err := s.Run(t.Context(), in)
		must(t, err)
		info, err := s.(engine.Describer).Describe(t.Context()) //nolint:forcetypeassert // the runner's is one
		must(t, err)
		g, err := m.Graph("model.onnx")
		must(t, err)
		for i, v := range g.Outputs {
			if o := info.Outputs[i]; o.Name != v.Name || o.DType != v.DType || out[v.Name] == nil || out[v.Name].DType != v.DType || out[v.Name].Check() != nil || len(info.Outputs) != len(g.Outputs) {
				t.Errorf("%s: the file says %+v, the session %+v and gives %v", model, v, o, out[v.Name])
			}
		}
		return out
	}
	out := run("words", engine.Tensors{"word": {DType: engine.String, Shape: []int64{3}, Strings: []string{"fox", "Füchse", "cat"}}})
	if got := out["plural"].Strings; !slices.Equal(got, []string{"foxes", "?", "cats"}) {
		t.Errorf("plural: %q", got)
	}
	if got := out["both"]; !slices.Equal(got.Shape, []int64{2, 3}) || !slices.Equal(got.Strings, []string{"fox", "Füchse", "cat", "foxes", "?", "cats"}) {
		t.Errorf("a sequence of strings: %v %q", got.Shape, got.Strings)
	}
	numbers, err := engine.Values[int64](out["thrice"])
	must(t, err)
	if !slices.Equal(out["thrice"].Shape, []int64{3, 3}) || !slices.Equal(numbers, []int64{5, -1, 3, 5, -1, 3, 5, -1, 3}) {
		t.Errorf("a sequence of numbers: %v %v", out["thrice"].Shape, numbers)
	}
	out = run("numbered", engine.Tensors{"X": engine.NewTensor([]int64{2, 2}, []float32{4.5, 3, 7.25, 1})})
	keys, err := engine.Values[int64](out["output_probability.keys"])
	must(t, err)
	scores, err := engine.Values[float32](out["output_probability"])
	must(t, err)
	if !slices.Equal(keys, []int64{3, 4}) || !slices.Equal(out["output_probability"].Shape, []int64{2, 2}) || scores[0] < 0.5 || scores[3] < 0.5 || math.Abs(float64(scores[0]+scores[1]-1)) > 1e-6 {
		t.Errorf("maps: %v, %v", keys, scores)
	}
	out = run("maps", engine.Tensors{
		"animal": {DType: engine.String, Shape: []int64{1, 1}, Strings: []string{"cat"}}, "weight": engine.NewTensor([]int64{1, 1}, []float32{4.5}), "age": engine.NewTensor([]int64{1, 1}, []int64{3}),
	})
	if got := out["output_probability.keys"].Strings; !slices.Equal(got, []string{"house", "wood", "yard"}) {
		t.Errorf("keys of strings: %q", got)
	}
}

func TestVision_equalsReference(t *testing.T) {
	for _, dir := range []string{vision, "testdata/sounds"} {
		for _, g := range goldensOf(t, dir) {
			t.Run(filepath.Join(filepath.Base(dir), g.Model), func(t *testing.T) {
				g.compare(t, pipeline(t, visionTasks[g.Task], folder(t, filepath.Join(dir, g.Model))), files(t, dir, g.names(t)...))
			})
		}
	}
}

func TestVision_conforms(t *testing.T) {
	for _, dir := range []string{vision, "testdata/sounds"} {
		for _, g := range goldensOf(t, dir) {
			t.Run(filepath.Join(filepath.Base(dir), g.Model), func(t *testing.T) {
				m := folder(t, filepath.Join(dir, g.Model))
				r := engine.Request{Items: files(t, dir, g.names(t)...), Parameters: g.Cases[0].Parameters}
				enginetest.TestTask(t, visionTasks[g.Task], m, &opener{t: t, p: newProvider(t, runner.Options{}), m: m}, r)
			})
		}
	}
}

// constant is a model that gives the same numbers for every picture.
func constant(shape []int64, values ...float32) om.Model {
	return om.Model{Graph: om.Graph{
		Initializers: []om.Tensor{om.Floats("numbers", shape, values...)},
		Inputs:       []om.Value{om.Dims("images", om.Float, 1, 3, 64, 64)},
		Outputs:      []om.Value{om.Dims("output0", om.Float, shape...)},
		Nodes:        []om.Node{{Op: "Identity", Inputs: []string{"numbers"}, Outputs: []string{"output0"}}},
	}}
}

// Both forms of YOLO's output: boxes of a 64 × 64 letterbox come out in pixels
// of a picture of 90 × 70, of which one pixel is 1.40625 wide, with black above.
func TestObjectDetection_yolo(t *testing.T) {
	// Two boxes that overlap by more than half, one of another class in the same
	// place, one that is not sure enough. Rows: x, y, w, h, then classes.
	columns := constant([]int64{1, 6, 8},
		32, 33, 32, 10, 0, 0, 0, 0,
		32, 33, 32, 10, 0, 0, 0, 0,
		20, 20, 20, 10, 0, 0, 0, 0,
		10, 10, 10, 10, 0, 0, 0, 0,
		0.9, 0.8, 0.1, 0.2, 0, 0, 0, 0,
		0.0, 0.0, 0.7, 0.1, 0, 0, 0, 0)
	rows := constant([]int64{1, 8, 7},
		32, 32, 20, 10, 1.0, 0.9, 0,
		33, 33, 20, 10, 1.0, 0.8, 0,
		32, 32, 20, 10, 0.875, 0, 0.8,
		0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0)
	for name, m := range map[string]om.Model{"columns": columns, "rows": rows} {
		model := enginetest.WriteModel(t, m)
		run := pipeline(t, tasks.ObjectDetection(), model)
		a, err := run(engine.Request{Items: files(t, vision, "scene.png"), Parameters: json.RawMessage(`{"labels":["cup","hat"]}`)})
		must(t, err)
		want := []any{
			map[string]any{"label": "cup", "score": 0.9, "box": map[string]any{"xmin": 22 * 1.40625, "xmax": 42 * 1.40625, "ymin": (27 - 7) * 1.40625, "ymax": (37 - 7) * 1.40625}},
			map[string]any{"label": "hat", "score": 0.7, "box": map[string]any{"xmin": 22 * 1.40625, "xmax": 42 * 1.40625, "ymin": (27 - 7) * 1.40625, "ymax": (37 - 7) * 1.40625}},
		}
		if d := near(want, plain(t, a.Outputs), 1e-4); d != "" {
			t.Errorf("%s: %s\n%v", name, d, plain(t, a.Outputs))
		}
	}
}

// Pictures that are asked for come with the answer.
func TestVision_pictures(t *testing.T) {
	for name, c := range map[string]struct {
		task       engine.Task
		model      string
		parameters string
		want       []string
	}{
		"overlay and masks": {tasks.ImageSegmentation(), "segformer", `{"annotate":true,"masks":true}`, []string{"0.png", "0-0.png", "0-1.png", "0-2.png"}},
		"depths":            {tasks.DepthEstimation(), "glpn", `{"annotate":true}`, []string{"0.png"}},
		"boxes":             {tasks.ObjectDetection(), "yolos", `{"annotate":true}`, []string{"0.png"}},
	} {
		run := pipeline(t, c.task, folder(t, filepath.Join(vision, c.model)))
		a, err := run(engine.Request{Items: files(t, vision, "scene.png"), Parameters: json.RawMessage(c.parameters)})
		must(t, err)
		var got []string
		for _, p := range a.Pictures {
			got = append(got, p.Name)
			m, err := png.Decode(bytes.NewReader(p.PNG))
			if err != nil || m.Bounds().Dx() != 90 || m.Bounds().Dy() != 70 {
				t.Errorf("%s: %s is %v, %v", name, p.Name, m.Bounds(), err)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: pictures %v, want %v", name, got, c.want)
		}
	}
}
