package ipfsstore

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The folders of an Ollama store.
const (
	ollamaManifests = "manifests"
	ollamaBlobs     = "blobs"
)

// maxManifest bounds what is read of another store's manifest.
const maxManifest = 4 << 20

// An ollamaManifest is the part of a model's manifest that is read.
type ollamaManifest struct {
	Config ollamaLayer   `json:"config"`
	Layers []ollamaLayer `json:"layers"`
}

type ollamaLayer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// ollamaNames are what the files of a model are called here, by the last word of
// their media type.
var ollamaNames = map[string]string{
	"model": "model.gguf", "projector": "projector.gguf", "adapter": "adapter.gguf",
	"template": "template", "system": "system", "license": "license", "prompt": "prompt",
	"params": "params.json", "messages": "messages.json", "json": "config.json",
}

// ollamaPath recognises a manifest, or a folder of one manifest: manifests/HOST/
// NAMESPACE/NAME[/TAG]. ref is what is below manifests.
func ollamaPath(p string) (store, ref string, ok bool) {
	parts := strings.Split(filepath.ToSlash(p), "/")
	i := slices.Index(parts, ollamaManifests)
	if i < 1 || len(parts) < i+3 || len(parts) > i+5 {
		return "", "", false
	}
	store = filepath.FromSlash(strings.Join(parts[:i], "/"))
	if !isOllama(store) {
		return "", "", false
	}
	if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() {
		return store, strings.Join(parts[i+1:], "/"), true
	}
	if below, err := ollamaRefs(store, p); err == nil && len(below) == 1 {
		return store, below[0], true
	}
	return "", "", false
}

func isOllama(store string) bool {
	for _, d := range []string{ollamaManifests, ollamaBlobs} {
		if fi, err := os.Stat(filepath.Join(store, d)); err != nil || !fi.IsDir() {
			return false
		}
	}
	return true
}

// ollamaModels are the manifests of a store, or of a folder of its manifests,
// that has several.
func ollamaModels(p string) ([]string, error) {
	if _, _, one := ollamaPath(p); one {
		return nil, nil
	}
	store, below := p, filepath.Join(p, ollamaManifests)
	if before, _, found := strings.Cut(filepath.ToSlash(p)+"/", "/"+ollamaManifests+"/"); found {
		store, below = filepath.FromSlash(before), p
	}
	if !isOllama(store) {
		return nil, nil
	}
	refs, err := ollamaRefs(store, below)
	for i, r := range refs {
		refs[i] = filepath.Join(store, ollamaManifests, filepath.FromSlash(r))
	}
	return refs, err
}

// ollamaRefs are the manifests at or below dir, relative to the manifests' folder.
func ollamaRefs(store, dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		rel, err := filepath.Rel(filepath.Join(store, ollamaManifests), p)
		if err != nil {
			return err
		}
		if strings.Count(filepath.ToSlash(rel), "/") >= 2 {
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	return out, err
}

// listOllama lists the files of one model.
func listOllama(store, ref string) (*listing, error) {
	m, err := readOllama(filepath.Join(store, ollamaManifests, filepath.FromSlash(ref)))
	if err != nil {
		return nil, err
	}
	if store, err = filepath.EvalSymlinks(store); err != nil {
		return nil, err
	}
	l := &listing{
		base: store, links: map[string]string{}, dirs: []string{""},
		foreign: true, sources: map[string]string{}, hashes: map[string]blobHash{}, origin: "ollama://" + ref,
	}
	l.suggest = ollamaName(ref)
	l.title, _, _ = strings.Cut(l.suggest[strings.LastIndex(l.suggest, "/")+1:], ":")
	for _, layer := range append(m.Layers, m.Config) {
		if err := l.ollamaFile(store, layer); err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
	}
	slices.Sort(l.files)
	return l, nil
}

// ollamaName is what Ollama calls the model of a manifest: [HOST/][NS/]NAME:TAG,
// without what it takes for granted.
func ollamaName(ref string) string {
	dir, tag := ref[:strings.LastIndex(ref, "/")], ref[strings.LastIndex(ref, "/")+1:]
	dir = strings.TrimPrefix(dir, "registry.ollama.ai/")
	return strings.TrimPrefix(dir, "library/") + ":" + tag
}

func readOllama(p string) (ollamaManifest, error) {
	f, err := os.Open(p)
	if err != nil {
		return ollamaManifest{}, err
	}
	defer f.Close()
	var m ollamaManifest
	if err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m); err != nil {
		return m, fmt.Errorf("%w: %s is no manifest of Ollama: %w", ErrInvalidRef, filepath.Base(p), err)
	}
	if len(m.Layers) == 0 || len(m.Layers) > 4096 {
		return m, fmt.Errorf("%w: manifest %s has %d layers", ErrInvalidRef, filepath.Base(p), len(m.Layers))
	}
	return m, nil
}

// ollamaFile enters one blob, which is named by its sha256.
func (l *listing) ollamaFile(store string, layer ollamaLayer) error {
	if layer.Digest == "" { // older manifests have no config
		return nil
	}
	sum, ok := strings.CutPrefix(layer.Digest, "sha256:")
	if !ok || len(sum) != 64 || !hexName.MatchString(sum) {
		return fmt.Errorf("%w: digest %q", ErrHashMismatch, layer.Digest)
	}
	p := filepath.Join(store, ollamaBlobs, "sha256-"+sum)
	st, err := lstat(p)
	if err != nil {
		return err
	}
	if st.irregular {
		return fmt.Errorf("%s: %w", filepath.Base(p), ErrSpecialFile)
	}
	name := l.freeName(layer.MediaType)
	l.files, l.sources[name], l.hashes[name] = append(l.files, name), p, blobHash{digest: sum}
	l.bytes += st.Size
	return checkFileName(name)
}

// freeName is what a file of a media type is called; a second one gets a number.
func (l *listing) freeName(mediaType string) string {
	word := mediaType[strings.LastIndexAny(mediaType, "./+")+1:]
	name, ok := ollamaNames[word]
	if !ok {
		name = word
	}
	stem, ext := strings.TrimSuffix(name, filepath.Ext(name)), filepath.Ext(name)
	for n := 2; l.sources[name] != ""; n++ {
		name = fmt.Sprintf("%s-%d%s", stem, n, ext)
	}
	return name
}
