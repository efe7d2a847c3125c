package packs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// cpu is the pack of this machine's processor.
func cpu(t *testing.T) *packs.Pack {
	t.Helper()
	p, err := packs.CPU(packs.Here())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// archive makes a package with one file of that name.
func archive(t *testing.T, name string, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "package.tgz")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A package that is not the pinned one leaves nothing behind.
func TestInstall_wrongPackage(t *testing.T) {
	for name, from := range map[string]string{
		"no archive":   filepath.Join(t.TempDir(), "text"),
		"wrong file":   archive(t, "package/bin/napi-v6/linux/x64/libonnxruntime.so.1", []byte("evil")),
		"without it":   archive(t, "package/other", []byte("x")),
		"leading out":  archive(t, "../../../../libonnxruntime.so.1", []byte("x")),
		"absent":       filepath.Join(t.TempDir(), "absent"),
		"not readable": t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "no archive" {
				if err := os.WriteFile(from, []byte("text"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			dir := t.TempDir()
			path, err := cpu(t).Install(t.Context(), dir, from, nil)
			if err == nil {
				t.Fatalf("installed %s", path)
			}
			if _, ok := errors.AsType[*engine.Error](err); !ok {
				t.Errorf("got %v; want an error of the engine", err)
			}
			wantNoFiles(t, dir)
			_, err = cpu(t).Library(dir)
			if !errors.Is(err, engine.ErrRuntimeMissing) {
				t.Errorf("Library: %v", err)
			}
		})
	}
}

func wantNoFiles(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestInstall_cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := cpu(t).Install(ctx, dir, archive(t, "package/x", nil), nil); err == nil {
		t.Error("installed although cancelled")
	}
	wantNoFiles(t, dir)
}

// Without the client that fetches packages the error says what to do.
func TestInstall_noClient(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := cpu(t).Install(t.Context(), t.TempDir(), "", nil)
	var e *engine.Error
	if !errors.As(err, &e) || e.Code != engine.ErrRuntimeMissing || e.Hint == "" {
		t.Errorf("got %#v; want runtime_missing with a hint", err)
	}
}
