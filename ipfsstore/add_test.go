package ipfsstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// TestAdd_goldenCIDs adds single files; the folder is in
// [TestAdd_bothProfilesAsKubo].
func TestAdd_goldenCIDs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/cids.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	dir, s := t.TempDir(), openStore(t)
	writeTree(t, dir, map[string][]byte{"hello": []byte("hello\n"), "zeros_3000000": make([]byte, 3_000_000)})
	for _, name := range []string{"hello", "zeros_3000000"} {
		a := mustAdd(t, s, filepath.Join(dir, name), ipfsstore.AddOptions{})
		if a.Root != want[name] || !a.Complete {
			t.Errorf("%s: root %s, complete %v, Kubo says %s", name, a.Root, a.Complete, want[name])
		}
	}
}

func TestAdd_linksInsteadOfCopying(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	s := openStore(t)
	a := mustAdd(t, s, filepath.Join(modelFolder(t), "onnx", "model.onnx"), ipfsstore.AddOptions{Name: "one:v2", Pin: true})
	sameTree(t, a, map[string][]byte{"model.onnx": modelFiles()["onnx/model.onnx"]})
	if a.Name != "one:v2" || !a.Pinned || a.Bytes != 5<<20+17 {
		t.Errorf("%+v", a)
	}
}

func TestAdd_symlinks(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// shm is a folder on another file system, if there is one.
func shm(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ipfsstore") //nolint:usetesting // it must be on another file system
	if err != nil {
		t.Skip("no second file system:", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Link(filepath.Join(modelFolder(t), "config.json"), filepath.Join(dir, "probe")) == nil {
		t.Skip("/dev/shm is the same file system")
	}
	return dir
}

func TestAdd_otherFileSystem(t *testing.T) {
	t.Parallel()
	dir, s := shm(t), openStore(t)
	writeTree(t, dir, map[string][]byte{"small": []byte("x")})
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	if a.Files[0].Storage != ipfsstore.Copy {
		t.Errorf("stored by %s, want copy", a.Files[0].Storage)
	}
	f, err := os.Create(filepath.Join(dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(1<<30+1), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), dir, ipfsstore.AddOptions{}); !errors.Is(err, ipfsstore.ErrCopyNeeded) {
		t.Errorf("%v, want ErrCopyNeeded", err)
	}
	if left, err := os.ReadDir(filepath.Join(ipfsstore.Dir(s), "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

func TestAdd_renamesASingleFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeTree(t, dir, map[string][]byte{"one": []byte("x"), "two": []byte("x")})
	from := openStore(t)
	root := mustAdd(t, from, filepath.Join(dir, "one"), ipfsstore.AddOptions{}).Root
	s := openStore(t, gateway(t, "first", from))
	f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, map[string][]byte{root: []byte("x")})
	sameTree(t, mustAdd(t, s, filepath.Join(dir, "two"), ipfsstore.AddOptions{}), map[string][]byte{"two": []byte("x")})
	if info, err := s.Info(t.Context(), root); err != nil || info.Name != "two" {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestAdd_sweepsLeftovers finds what a killed process may have left.
func TestAdd_sweepsLeftovers(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	left := map[string][]byte{
		"blobs/bafkx":     {},
		"tmp/123/0":       []byte("half a file"),
		"models/bafyx/a":  []byte("x"),
		"nodes/bafyx.car": []byte("x"),
	}
	writeTree(t, ipfsstore.Dir(s), left)
	mustAdd(t, s, modelFolder(t), ipfsstore.AddOptions{})
	for name := range left {
		if _, err := os.Stat(filepath.Join(ipfsstore.Dir(s), name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

func TestAdd_atOnce(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	other := openStoreIn(t, ipfsstore.Dir(s))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			a, err := []*ipfsstore.Store{s, other}[i%2].Add(t.Context(), dir, ipfsstore.AddOptions{Name: fmt.Sprintf("n%d", i)})
			if err != nil {
				t.Error(err)
				return
			}
			sameTree(t, a, modelFiles())
		})
	}
	wg.Wait()
	a, err := s.Open(t.Context(), "n7")
	if err != nil || len(a.Names) != 8 {
		t.Errorf("%v, %v", a.Names, err)
	}
}
