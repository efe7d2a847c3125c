package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ManifestName is the file in a model's folder that says what its own files
// don't. It is part of the folder, and so of the CID.
const ManifestName = "ipfs-accelerate-model.json"

// maxManifest bounds what is read of a manifest or another small JSON file.
const maxManifest = 1 << 20

// A Model is a verified model on local disk.
type Model struct {
	Root     string // root CID
	Name     string // its name in the catalogue, or ""
	Dir      string // absolute path of the folder its files are in
	Files    []ModelFile
	Manifest Manifest // zero if the folder has none
}

// A ModelFile is one file of a model.
type ModelFile struct {
	Name  string // slash-separated, relative to the model's folder
	Bytes int64
	CID   string
	Path  string // absolute, where the file is not itself in the model's folder; else ""
}

// A Manifest describes a model whose own files don't. See [ManifestName].
type Manifest struct {
	Version      int               `json:"version"`
	Task         string            `json:"task"`
	Architecture string            `json:"architecture"`
	Files        map[string]string `json:"files"` // role to file: model, encoder, decoder, decoder_with_past, decoder_merged, detector, classifier, recognizer
	Parameters   json.RawMessage   `json:"parameters"`
	License      string            `json:"license"`
	Source       string            `json:"source"`
}

// LoadManifest reads the manifest of m's folder, if it has one.
func (m *Model) LoadManifest() error {
	if !m.Has(ManifestName) {
		return nil
	}
	data, err := m.ReadFile(ManifestName, maxManifest)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &m.Manifest); err != nil {
		return Errorf(ErrModelInvalid, "%s is not a manifest: %w", ManifestName, err)
	}
	if m.Manifest.Version != 1 {
		return Errorf(ErrModelInvalid, "%s has version %d; this program knows version 1", ManifestName, m.Manifest.Version)
	}
	return nil
}

// Has reports whether the model has the file.
func (m *Model) Has(name string) bool {
	return slices.ContainsFunc(m.Files, func(f ModelFile) bool { return f.Name == name })
}

// open opens one of the model's files. A link that leads out of the folder is
// refused.
func (m *Model) open(name string) (*os.File, error) {
	if p := m.elsewhere(name); p != "" {
		f, err := os.Open(p)
		if err != nil {
			return nil, Errorf(ErrModelInvalid, "the model's file %s can't be read: %w", name, err)
		}
		return f, nil
	}
	root, err := os.OpenRoot(m.Dir)
	if err != nil {
		return nil, Errorf(ErrModelInvalid, "the model's folder can't be opened: %w", err)
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, Errorf(ErrModelInvalid, "the model's file %s can't be read: %w", name, err).
			WithHint("the model folder needs a readable %s", name)
	}
	return f, nil
}

// elsewhere is the path of a file that the model's folder has only a link to,
// made by the store that checked it.
func (m *Model) elsewhere(name string) string {
	for _, f := range m.Files {
		if f.Name == name {
			return f.Path
		}
	}
	return ""
}

// Graph reads what one of the model's .onnx files says of itself.
func (m *Model) Graph(file string) (Graph, error) {
	f, err := m.open(file)
	if err != nil {
		return Graph{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Graph{}, Errorf(ErrModelInvalid, "the model's file %s can't be read: %w", file, err)
	}
	return ReadGraph(f, st.Size())
}

// ReadFile reads one of the model's files, which may be at most limit bytes.
func (m *Model) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := m.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, Errorf(ErrModelInvalid, "the model's file %s can't be read: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, Errorf(ErrTooLarge, "%s is over %d bytes", name, limit)
	}
	return data, nil
}

// noOnnx is why a model without .onnx files does not run.
func (m *Model) noOnnx() error {
	for _, f := range m.Files {
		if path.Ext(f.Name) == ".gguf" {
			return Errorf(ErrUnsupported, "the model is in the format GGUF (%s), which this version can't run", f.Name).
				WithHint("it is stored, shared and served all the same; run it with the program it is from, or name a model in the format ONNX")
		}
	}
	const few = 8
	var names []string
	weights := false
	for _, f := range m.Files {
		names = append(names, f.Name)
		weights = weights || slices.Contains([]string{".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack"}, path.Ext(f.Name))
	}
	if len(names) > few {
		names = append(names[:few], fmt.Sprintf("%d more", len(m.Files)-few))
	}
	e := Errorf(ErrNoOnnx, "the model has no .onnx file; it has %s", strings.Join(names, ", "))
	if !weights || !m.Has("config.json") {
		return e.WithHint("name a model in the format ONNX")
	}
	task := cmp.Or(exported[m.task()], m.task())
	if task == "automatic-speech-recognition" && strings.HasSuffix(m.architecture(), "ForConditionalGeneration") {
		task += "-with-past"
	}
	if task != "" {
		task = " --task " + task
	}
	return e.WithHint("export it: pip install \"optimum-onnx[onnxruntime]\" and optimum-cli export onnx --model FOLDER%s OUT, then add OUT", task)
}

// exported is what optimum calls tasks that it has another name for, or only
// with the past that generators of text need.
var exported = map[string]string{
	"text-generation":          "text-generation-with-past",
	"text2text-generation":     "text2text-generation-with-past",
	"summarization":            "text2text-generation-with-past",
	"translation":              "text2text-generation-with-past",
	"text-ranking":             "text-classification",
	"zero-shot-classification": "text-classification",
	"sentence-similarity":      "feature-extraction",
	"image-feature-extraction": "feature-extraction",
}

// precisionSuffixes are how exporters name the variants of a model.onnx.
var precisionSuffixes = map[string][]string{
	"fp32": {""}, "fp16": {"_fp16"}, "int8": {"_int8", "_quantized", "_uint8"}, "bf16": {"_bf16", ""},
}

// OnnxFileFor returns the file to run for a precision: OnnxFile for "auto" or
// "", else the variant beside it, such as model_int8.onnx. For bf16, which a
// device may compute in by itself, it is the main file where there is none.
func (m *Model) OnnxFileFor(precision string) (string, error) {
	file, err := m.OnnxFile()
	if err != nil || precision == "" || precision == "auto" {
		return file, err
	}
	suffixes, ok := precisionSuffixes[precision]
	if !ok {
		return "", unknown(ErrInvalidArgument, "precision", precision, []string{"auto", "fp32", "fp16", "bf16", "int8"})
	}
	stem := strings.TrimSuffix(file, ".onnx")
	for _, s := range suffixes {
		if m.Has(stem + s + ".onnx") {
			return stem + s + ".onnx", nil
		}
	}
	return "", Errorf(ErrInvalidArgument, "the model has no %s variant of %s", precision, file).WithHint("use precision auto")
}

// OnnxFile returns the file that runs when none is named: the manifest's
// "model" role, or the first of several models that are used together; else
// model.onnx or onnx/model.onnx, or likewise encoder_model.onnx or
// decoder_model_merged.onnx; else the only .onnx file.
func (m *Model) OnnxFile() (string, error) {
	for _, role := range []string{"model", "encoder", "detector"} {
		if f := m.Manifest.Files[role]; f != "" {
			if !m.Has(f) {
				return "", Errorf(ErrModelInvalid, "%s names %s, which the model does not have", ManifestName, f)
			}
			return f, nil
		}
	}
	var found []string
	for _, f := range m.Files {
		if path.Ext(f.Name) == ".onnx" {
			found = append(found, f.Name)
		}
	}
	for _, usual := range []string{"model.onnx", "onnx/model.onnx", "encoder_model.onnx", "onnx/encoder_model.onnx", "decoder_model_merged.onnx", "onnx/decoder_model_merged.onnx"} {
		if slices.Contains(found, usual) {
			return usual, nil
		}
	}
	switch len(found) {
	case 0:
		return "", m.noOnnx()
	case 1:
		return found[0], nil
	}
	return "", (&Error{
		Code: ErrModelInvalid, Message: "the model has several .onnx files and none is named model.onnx", ValidValues: found,
	}).WithHint("name one in %s: {\"version\":1,\"files\":{\"model\":%q}}", ManifestName, strings.TrimPrefix(found[0], "./"))
}
