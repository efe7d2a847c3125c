package ipfsstore_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

const hubCommit = "0123456789abcdef0123456789abcdef01234567"

func sha256Hex(data []byte) string { h := sha256.Sum256(data); return hex.EncodeToString(h[:]) }

func gitHex(data []byte) string {
	h := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(h[:])
}

// hubCache writes a Hugging Face cache with one model below dir and returns the
// model's folder.
func hubCache(t testing.TB, dir string, files map[string][]byte) string {
	t.Helper()
	repo := filepath.Join(dir, "models--acme--tiny")
	snapshot := filepath.Join(repo, "snapshots", hubCommit)
	writeTree(t, repo, map[string][]byte{"refs/main": []byte(hubCommit), "blobs/abc.incomplete": []byte("half")})
	for name, data := range files {
		blob := gitHex(data)
		if strings.HasSuffix(name, ".onnx") { // large files go by sha256
			blob = sha256Hex(data)
		}
		writeTree(t, repo, map[string][]byte{"blobs/" + blob: data})
		symlink(t, strings.Repeat("../", 2+strings.Count(name, "/"))+"blobs/"+blob, filepath.Join(snapshot, name))
	}
	return repo
}

func symlink(t testing.TB, target, p string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(p)
	if err := os.Symlink(target, p); err != nil {
		t.Skip("no symbolic links here:", err)
	}
}

func cardFiles() map[string][]byte {
	files := modelFiles()
	files["README.md"] = []byte("---\nlicense: apache-2.0\npipeline_tag: feature-extraction\n---\n# Tiny\n")
	return files
}

func TestAdd_huggingFaceCache(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	writeTree(t, plain, cardFiles())
	want := mustAdd(t, openStore(t), plain, ipfsstore.AddOptions{}).Root
	repo := hubCache(t, t.TempDir(), cardFiles())
	snapshot := filepath.Join(repo, "snapshots", hubCommit)
	symlink(t, "../../blobs/abc.incomplete", filepath.Join(snapshot, "more.bin"))
	for _, p := range []string{repo, snapshot} {
		a := mustAdd(t, openStore(t), p, ipfsstore.AddOptions{})
		if a.Root != want || a.Name != "acme/tiny" || a.Origin != "hf://acme/tiny@"+hubCommit {
			t.Errorf("%s %q from %q, want %s", a.Root, a.Name, a.Origin, want)
		}
		if a.License != "apache-2.0" || a.Task != "feature-extraction" || a.AddedBy == "" {
			t.Errorf("licence %q, task %q, by %q", a.License, a.Task, a.AddedBy)
		}
		sameTree(t, a, cardFiles())
		if a.Files[0].Storage != ipfsstore.HardLink {
			t.Errorf("stored by %s", a.Files[0].Storage)
		}
	}
	one := mustAdd(t, openStore(t), filepath.Join(snapshot, "onnx", "model.onnx"), ipfsstore.AddOptions{})
	sameTree(t, one, map[string][]byte{"model.onnx": modelFiles()["onnx/model.onnx"]})
	all, err := ipfsstore.ForeignModels(filepath.Dir(repo))
	if err != nil || len(all) != 1 || all[0] != repo {
		t.Errorf("models of the cache: %v, %v", all, err)
	}
}

func TestAdd_huggingFaceCacheRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(repo, snapshot string)
		want  error
	}{
		"wrong sha256": {func(repo, _ string) {
			editInPlace(t, filepath.Join(repo, "blobs", sha256Hex(modelFiles()["onnx/model.onnx"])))
		}, ipfsstore.ErrHashMismatch},
		"wrong git hash": {func(repo, _ string) {
			editInPlace(t, filepath.Join(repo, "blobs", gitHex(modelFiles()["tokenizer.json"])))
		}, ipfsstore.ErrHashMismatch},
		"strange name": {func(repo, snapshot string) {
			writeTree(t, repo, map[string][]byte{"blobs/strange": nil})
			symlink(t, "../../blobs/strange", filepath.Join(snapshot, "x"))
		}, ipfsstore.ErrHashMismatch},
		"link out": {func(repo, snapshot string) {
			writeTree(t, filepath.Dir(repo), map[string][]byte{"secret": []byte("s")})
			symlink(t, "../../../secret", filepath.Join(snapshot, "x"))
		}, ipfsstore.ErrLinkOutside},
		"absolute link": {func(_, snapshot string) {
			symlink(t, "/etc/passwd", filepath.Join(snapshot, "x"))
		}, ipfsstore.ErrLinkOutside},
		"lost blob": {func(_, snapshot string) {
			symlink(t, "../../blobs/"+strings.Repeat("0", 64), filepath.Join(snapshot, "x"))
		}, os.ErrNotExist},
	} {
		repo := hubCache(t, t.TempDir(), modelFiles())
		c.spoil(repo, filepath.Join(repo, "snapshots", hubCommit))
		s := openStore(t)
		if _, err := s.Add(t.Context(), repo, ipfsstore.AddOptions{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if left, err := os.ReadDir(filepath.Join(ipfsstore.Dir(s), "blobs")); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
	}
}

// TestAdd_cacheElsewhere leaves a cache on another file system where it is.
func TestAdd_cacheElsewhere(t *testing.T) {
	t.Parallel()
	repo := hubCache(t, shm(t), modelFiles())
	s := openStore(t)
	a := mustAdd(t, s, repo, ipfsstore.AddOptions{})
	for _, f := range a.Files {
		if got, err := os.ReadFile(f.Path); f.Storage != ipfsstore.Reference || err != nil || string(got) != string(modelFiles()[f.Name]) {
			t.Errorf("%s is stored by %s at %s: %v", f.Name, f.Storage, f.Path, err)
		}
		if fi, err := os.Lstat(filepath.Join(a.Dir, f.Name)); err != nil || fi.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s in the model's folder: %v, %v", f.Name, fi, err)
		}
	}
	if blobs, err := os.ReadDir(filepath.Join(ipfsstore.Dir(s), "blobs")); err != nil || len(blobs) > 0 {
		t.Errorf("copied: %v, %v", blobs, err)
	}
	other := openStore(t, gateway(t, "first", s))
	f, err := other.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, modelFiles())

	blob := filepath.Join(repo, "blobs", gitHex(modelFiles()["tokenizer.json"]))
	editInPlace(t, blob)
	if _, err := s.Open(t.Context(), a.Root); !errors.Is(err, ipfsstore.ErrModelChanged) {
		t.Fatalf("edited: %v, want ErrModelChanged", err)
	}
	if _, err := os.Stat(blob); err != nil {
		t.Error("the user's file is gone:", err)
	}
	again := openStoreIn(t, ipfsstore.Dir(s), gateway(t, "other", other))
	if f, err = again.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := f.Sources[0].Bytes; got != int64(len(modelFiles()["tokenizer.json"])) {
		t.Errorf("fetched %d bytes, want those of the changed file", got)
	}
	for _, file := range f.Files {
		if want := file.Name != "tokenizer.json"; want != (file.Storage == ipfsstore.Reference) {
			t.Errorf("%s is stored by %s", file.Name, file.Storage)
		}
	}
	if err := s.Remove(t.Context(), a.Root, true); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(repo, "blobs", sha256Hex(modelFiles()["onnx/model.onnx"]))); err != nil {
		t.Error("the user's file is gone:", err)
	}
}

// ollamaStore writes a store of Ollama with one model and returns its folder.
func ollamaStore(t testing.TB, dir string) string {
	t.Helper()
	type layer struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	put := func(kind string, data []byte) layer {
		writeTree(t, dir, map[string][]byte{"blobs/sha256-" + sha256Hex(data): data})
		return layer{kind, "sha256:" + sha256Hex(data), len(data)}
	}
	kind := "application/vnd.ollama.image."
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "config": put("application/vnd.docker.container.image.v1+json", []byte(`{"model_format":"gguf"}`)),
		"layers": []layer{
			put(kind+"model", append([]byte("GGUF"), stream("g", 3<<20)...)), put(kind+"template", []byte("{{ .Prompt }}")),
			put(kind+"params", []byte(`{"stop":["x"]}`)), put(kind+"license", []byte("MIT")), put(kind+"license", []byte("and more")), put(kind+"system", []byte("be brief")),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	writeTree(t, dir, map[string][]byte{"manifests/registry.ollama.ai/library/tiny/1b": manifest})
	return dir
}

func TestAdd_ollamaStore(t *testing.T) {
	t.Parallel()
	store := ollamaStore(t, t.TempDir())
	manifest := filepath.Join(store, "manifests", "registry.ollama.ai", "library", "tiny", "1b")
	all, err := ipfsstore.ForeignModels(store)
	if err != nil || len(all) != 1 || all[0] != manifest {
		t.Fatalf("models of the store: %v, %v", all, err)
	}
	for _, p := range []string{manifest, filepath.Dir(manifest)} {
		s := openStore(t)
		a := mustAdd(t, s, p, ipfsstore.AddOptions{})
		sameTree(t, a, map[string][]byte{
			"model.gguf": append([]byte("GGUF"), stream("g", 3<<20)...), "template": []byte("{{ .Prompt }}"), "params.json": []byte(`{"stop":["x"]}`),
			"license": []byte("MIT"), "license-2": []byte("and more"), "system": []byte("be brief"), "config.json": []byte(`{"model_format":"gguf"}`),
		})
		if a.Name != "tiny:1b" || a.Origin != "ollama://registry.ollama.ai/library/tiny/1b" {
			t.Errorf("%q from %q", a.Name, a.Origin)
		}
		if _, err := openStore(t, gateway(t, "first", s)).Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{}); err != nil {
			t.Error(err)
		}
	}
	editInPlace(t, filepath.Join(store, "blobs", "sha256-"+sha256Hex(append([]byte("GGUF"), stream("g", 3<<20)...))))
	if _, err := openStore(t).Add(t.Context(), manifest, ipfsstore.AddOptions{}); !errors.Is(err, ipfsstore.ErrHashMismatch) {
		t.Errorf("%v, want ErrHashMismatch", err)
	}
}

func TestAdd_reference(t *testing.T) {
	t.Parallel()
	dir, s := shm(t), openStore(t)
	writeTree(t, dir, modelFiles())
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Reference: true, Name: "far"})
	if a.Files[0].Storage != ipfsstore.Reference {
		t.Errorf("stored by %s", a.Files[0].Storage)
	}
	near := mustAdd(t, s, modelFolder(t), ipfsstore.AddOptions{Reference: true})
	if near.Root != a.Root || near.Files[0].Storage != ipfsstore.HardLink {
		t.Errorf("on the store's file system: %s by %s", near.Root, near.Files[0].Storage)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if a, err := s.Open(t.Context(), "far"); err != nil {
		t.Error(err)
	} else {
		sameTree(t, a, modelFiles())
	}
}

// A model's own folder has links to what is stored by reference; it can be added
// elsewhere, by who says that they are to be followed.
func TestAdd_follow(t *testing.T) {
	t.Parallel()
	dir, s := shm(t), openStore(t)
	writeTree(t, dir, modelFiles())
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Reference: true})
	if _, err := openStore(t).Add(t.Context(), a.Dir, ipfsstore.AddOptions{}); !errors.Is(err, ipfsstore.ErrLinkOutside) {
		t.Errorf("%v, want ErrLinkOutside", err)
	}
	again := mustAdd(t, openStore(t), a.Dir, ipfsstore.AddOptions{Follow: true, Reference: true})
	if again.Root != a.Root || again.Files[0].Storage != ipfsstore.Reference || !strings.HasPrefix(again.Files[0].Path, dir) {
		t.Errorf("root %s, want %s; %+v", again.Root, a.Root, again.Files[0])
	}
	if err := os.Remove(filepath.Join(dir, "config.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(t).Add(t.Context(), a.Dir, ipfsstore.AddOptions{Follow: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a link to nothing: %v", err)
	}
}

func TestAdd_hugeReference(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no second file system")
	}
	dir, s := shm(t), openStore(t)
	f, err := os.Create(filepath.Join(dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(1<<30+1), f.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = s.Add(t.Context(), dir, ipfsstore.AddOptions{})
	for _, word := range []string{"--copy", "--reference", "1073741825"} {
		if !errors.Is(err, ipfsstore.ErrCopyNeeded) || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %s", err, word)
		}
	}
	if a := mustAdd(t, s, dir, ipfsstore.AddOptions{Reference: true}); a.Bytes != 1<<30+1 {
		t.Errorf("%d bytes", a.Bytes)
	}
}

func TestAdd_nameTaken(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	a := mustAdd(t, s, modelFolder(t), ipfsstore.AddOptions{Name: "m"})
	other := filepath.Join(t.TempDir(), "other")
	writeTree(t, other, map[string][]byte{"x": []byte("x")})
	_, err := s.Add(t.Context(), other, ipfsstore.AddOptions{Name: "m"})
	var taken *ipfsstore.NameTakenError
	if !errors.As(err, &taken) || taken.Root != a.Root {
		t.Fatalf("%v, want NameTakenError", err)
	}
	if all, err := s.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%d models, %v", len(all), err)
	}
	if b := mustAdd(t, s, other, ipfsstore.AddOptions{Suggest: "m"}); len(b.Names) > 0 {
		t.Errorf("a suggestion took %v", b.Names)
	}
	b := mustAdd(t, s, other, ipfsstore.AddOptions{Name: "m", Replace: true})
	if got, err := s.Open(t.Context(), "m"); err != nil || got.Root != b.Root {
		t.Errorf("%v, %v", got.Root, err)
	}
	if _, err := s.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{Name: "m"}); !errors.Is(err, ipfsstore.ErrNameTaken) {
		t.Errorf("%v, want ErrNameTaken", err)
	}
	if _, err := s.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{Name: "m", Replace: true}); err != nil {
		t.Error(err)
	}
}
