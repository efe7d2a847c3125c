package ipfsstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// editInPlace flips a byte of a file without changing its size.
func editInPlace(t *testing.T, p string) {
	t.Helper()
	f, err := os.OpenFile(p, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, 100); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x80
	if _, err := f.WriteAt(b, 100); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_changedFile(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "m"})
	whole := gateway(t, "whole", func() *ipfsstore.Store {
		o := openStore(t)
		mustAdd(t, o, dir, ipfsstore.AddOptions{Copy: true})
		return o
	}())
	src := filepath.Join(dir, "tokenizer.json")
	editInPlace(t, src)
	for range 2 { // the second time the file is gone from the store, and it is still said
		_, err := s.Open(t.Context(), "m")
		var mc *ipfsstore.ModelChangedError
		if !errors.As(err, &mc) || !errors.Is(err, ipfsstore.ErrModelChanged) || mc.File != "tokenizer.json" || mc.Root != a.Root {
			t.Fatalf("%v, want ModelChangedError for tokenizer.json", err)
		}
	}
	if _, err := os.Stat(src); err != nil {
		t.Error("the user's file is gone:", err)
	}
	if _, err := os.Stat(filepath.Join(a.Dir, "tokenizer.json")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the changed file is still in the model:", err)
	}
	again, err := ipfsstore.Open(filepath.Dir(filepath.Dir(a.Dir)), ipfsstore.Options{Sources: []ipfsstore.Source{whole}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := again.Fetch(t.Context(), "m", ipfsstore.FetchOptions{})
	if err != nil || f.Level != "L4" || !f.Complete {
		t.Fatalf("level %q, complete %v, %v", f.Level, f.Complete, err)
	}
	sameTree(t, f.Artifact, modelFiles())
	if f.Sources[0].Bytes != int64(len(modelFiles()["tokenizer.json"])) {
		t.Errorf("fetched %d bytes, want the changed file's only", f.Sources[0].Bytes)
	}
	if a, err = s.Open(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	sameTree(t, a, modelFiles())
}

func TestOpen_harmlessChanges(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "m"})
	src := filepath.Join(dir, "tokenizer.json")
	for _, c := range []struct {
		name   string
		change func() error
	}{
		{"touched", func() error { return os.Chtimes(src, time.Now(), time.Now().Add(time.Hour)) }},
		{"chmod", func() error { return os.Chmod(src, 0o600) }},
		{"linked", func() error { return os.Link(src, src+".2") }},
		{"removed", func() error { return os.Remove(src) }},
	} {
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		a, err := s.Open(t.Context(), "m")
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		sameTree(t, a, modelFiles())
	}
}

func TestOpen_sharedFilesNeedNoSecondHash(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "a"})
	part := mustAdd(t, s, filepath.Join(dir, "onnx"), ipfsstore.AddOptions{Name: "b"})
	if err := s.Remove(t.Context(), "b", false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), part.Root); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
	defer ipfsstore.ForbidHashing(t, s)()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	got, err := s.Open(ctx, "a")
	if err != nil {
		t.Fatalf("files of %s were hashed again though only links changed: %v", a.Root, err)
	}
	sameTree(t, got, modelFiles())
}

func TestOpen_path(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	a := mustAdd(t, s, modelFolder(t), ipfsstore.AddOptions{})
	d, err := s.Open(t.Context(), "/ipfs/"+a.Root+"/onnx")
	if err != nil {
		t.Fatal(err)
	}
	twin := modelFiles()["onnx/twin.onnx"]
	sameTree(t, d, map[string][]byte{"model.onnx": twin, "twin.onnx": twin})
	f, err := s.Open(t.Context(), "ipfs://"+a.Root+"/onnx/twin.onnx")
	if err != nil || len(f.Files) != 1 || f.Files[0].Name != "twin.onnx" || f.Files[0].CID != f.Root {
		t.Fatalf("%+v, %v", f, err)
	}
	if _, err := s.Open(t.Context(), "/ipfs/"+a.Root+"/none"); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("no such file: %v", err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "m"})
	if err := s.Verify(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(dir, "tokenizer.json")
	fi, err := os.Stat(src)
	if err != nil {
		t.Fatal(err)
	}
	editInPlace(t, src)
	if err := os.Chtimes(src, fi.ModTime(), fi.ModTime()); err != nil { // a forger's work: only the change time tells
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), a.Root); !errors.Is(err, ipfsstore.ErrModelChanged) {
		t.Errorf("%v, want ErrModelChanged", err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "one", Pin: true})
	mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "two"})
	b := mustAdd(t, s, filepath.Join(dir, "onnx"), ipfsstore.AddOptions{})
	if err := s.Remove(t.Context(), "two", false); err != nil {
		t.Fatal(err) // a name of several: the model stays
	}
	if err := s.Remove(t.Context(), "one", false); !errors.Is(err, ipfsstore.ErrPinned) {
		t.Errorf("%v, want ErrPinned", err)
	}
	if err := s.Remove(t.Context(), "one", true); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"one", "two", a.Root} {
		if _, err := s.Open(t.Context(), ref); !errors.Is(err, ipfsstore.ErrNotFound) {
			t.Errorf("Open(%s): %v, want ErrNotFound", ref, err)
		}
	}
	twin := modelFiles()["onnx/twin.onnx"]
	got, err := s.Open(t.Context(), b.Root)
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, got, map[string][]byte{"model.onnx": twin, "twin.onnx": twin})
	blobs, err := os.ReadDir(filepath.Join(filepath.Dir(filepath.Dir(a.Dir)), "blobs"))
	if err != nil || len(blobs) != 1 {
		t.Errorf("%d blobs left, want the shared one; %v", len(blobs), err)
	}
	if all, err := s.List(t.Context()); err != nil || len(all) != 1 || all[0].Root != b.Root {
		t.Errorf("List: %v, %v", all, err)
	}
	sameTree(t, ipfsstore.Artifact{Dir: dir, Files: a.Files}, modelFiles())
}

func TestStore_openWhileRemoved(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	other := openStoreIn(t, ipfsstore.Dir(s))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := other.Open(t.Context(), "m")
				if err != nil && !errors.Is(err, ipfsstore.ErrNotFound) && !errors.Is(err, ipfsstore.ErrModelChanged) {
					t.Error(err)
				}
			}
		})
	}
	for range times(100) {
		mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "m"})
		if err := s.Remove(t.Context(), "m", false); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	sameTree(t, mustAdd(t, s, dir, ipfsstore.AddOptions{}), modelFiles())
}
