package ipfsstore_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

func TestAdd_goldenCIDs(t *testing.T) {
	data, err := os.ReadFile("testdata/cids.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	dir, s := goldenFolder(t), openStore(t)
	writeTree(t, filepath.Dir(dir), map[string][]byte{"hello": []byte("hello\n"), "zeros": make([]byte, 3_000_000)})
	for name, c := range map[string]struct {
		path   string
		hidden bool
	}{
		"folder":             {path: dir},
		"folder_with_hidden": {path: dir, hidden: true},
		"many":               {path: filepath.Join(dir, "many")},
		"model.onnx":         {path: filepath.Join(dir, "model.onnx")},
		"empty.bin":          {path: filepath.Join(dir, "empty.bin")},
		"hello":              {path: filepath.Join(filepath.Dir(dir), "hello")},
		"zeros_3000000":      {path: filepath.Join(filepath.Dir(dir), "zeros")},
	} {
		a := mustAdd(t, s, c.path, ipfsstore.AddOptions{Hidden: c.hidden})
		if a.Root != want[name] {
			t.Errorf("%s: root %s, Kubo says %s", name, a.Root, want[name])
		}
		if !a.Complete {
			t.Errorf("%s: not complete", name)
		}
	}
}

func TestAdd_linksInsteadOfCopying(t *testing.T) {
	dir, s := modelFolder(t), openStore(t)
	src := filepath.Join(dir, "tokenizer.json")
	if err := os.Chmod(src, 0o640); err != nil {
		t.Fatal(err)
	}
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "m"})
	sameTree(t, a, modelFiles())
	if !sameFile(t, src, filepath.Join(a.Dir, "tokenizer.json")) {
		t.Error("the store has a second copy")
	}
	for _, f := range a.Files {
		if f.Storage != ipfsstore.HardLink {
			t.Errorf("%s is stored by %s, want hardlink", f.Name, f.Storage)
		}
	}
	if fi, err := os.Stat(src); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o640 {
		t.Errorf("mode is now %v, %v", fi.Mode(), err)
	}
	if again := mustAdd(t, s, dir, ipfsstore.AddOptions{}); again.Root != a.Root || again.Name != "m" {
		t.Errorf("added again: %s %q", again.Root, again.Name)
	}
}

func TestAdd_copies(t *testing.T) {
	dir, s := modelFolder(t), openStore(t)
	src := filepath.Join(dir, "tokenizer.json")
	mustAdd(t, s, dir, ipfsstore.AddOptions{})
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Copy: true})
	if sameFile(t, src, filepath.Join(a.Dir, "tokenizer.json")) || a.Files[0].Storage != ipfsstore.Copy {
		t.Errorf("stored by %s and the same file: %v", a.Files[0].Storage, a.Files)
	}
	if err := os.WriteFile(src, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := s.Open(t.Context(), a.Root)
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, a, modelFiles())
}

func TestAdd_singleFile(t *testing.T) {
	s := openStore(t)
	a := mustAdd(t, s, filepath.Join(modelFolder(t), "onnx", "model.onnx"), ipfsstore.AddOptions{Name: "one:v2", Pin: true})
	sameTree(t, a, map[string][]byte{"model.onnx": modelFiles()["onnx/model.onnx"]})
	if a.Name != "one:v2" || !a.Pinned || a.Bytes != 5<<20+17 {
		t.Errorf("%+v", a)
	}
}

func TestAdd_symlinks(t *testing.T) {
	dir, s := modelFolder(t), openStore(t)
	link := func(name, target string) {
		t.Helper()
		p := filepath.Join(dir, name)
		_ = os.Remove(p)
		if err := os.Symlink(target, p); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	link("model.onnx", "onnx/model.onnx")
	link("same", "onnx")
	link("onnx/back", "../model.onnx")
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	want := modelFiles()
	for _, n := range []string{"model.onnx", "same/model.onnx", "same/twin.onnx", "onnx/back"} {
		want[n] = want["onnx/model.onnx"]
	}
	sameTree(t, a, want)

	other := openStore(t, gateway(t, "first", s))
	f, err := other.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, want)

	for _, target := range []string{"../..", "/etc/passwd", "../../other", filepath.Join(dir, "config.json"), "nowhere", "loop", "onnx/../../../x"} {
		link("loop", target)
		if _, err := s.Add(t.Context(), dir, ipfsstore.AddOptions{}); !errors.Is(err, ipfsstore.ErrLinkOutside) {
			t.Errorf("link to %q: %v, want ErrLinkOutside", target, err)
		}
	}
}

func TestAdd_refuses(t *testing.T) {
	dir := modelFolder(t)
	s := openStoreIn(t, filepath.Join(dir, "store"))
	for name, c := range map[string]struct {
		path, name string
		want       error
	}{
		"absent":      {filepath.Join(dir, "none"), "", os.ErrNotExist},
		"bad name":    {dir, "no spaces", ipfsstore.ErrInvalidRef},
		"CID as name": {dir, "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am", ipfsstore.ErrInvalidRef},
		"store in it": {dir, "", ipfsstore.ErrInvalidRef},
	} {
		if _, err := s.Add(t.Context(), c.path, ipfsstore.AddOptions{Name: c.name}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAdd_changedMeanwhile(t *testing.T) {
	dir, s := t.TempDir(), openStore(t)
	p := filepath.Join(dir, "growing")
	if err := os.WriteFile(p, stream("x", 20<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	progress := func(ipfsstore.Progress) {
		if _, err := f.WriteString("more"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Add(t.Context(), dir, ipfsstore.AddOptions{Progress: progress}); !errors.Is(err, ipfsstore.ErrChangedDuringImport) {
		t.Errorf("%v, want ErrChangedDuringImport", err)
	}
}
