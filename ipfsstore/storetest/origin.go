package storetest

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // git's name for a blob
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// RunOrigin runs the suite of [ipfsstore.Origin]. newOrigin returns an origin
// that has exactly one model with the given files, and a reference to it that
// is not fixed; it registers its own clean-up with t.
func RunOrigin(t *testing.T, newOrigin func(t *testing.T, files map[string][]byte) (o ipfsstore.Origin, ref string)) {
	t.Helper()
	s := originSuite{newOrigin}
	t.Run("name", s.name)
	t.Run("canonical", s.canonical)
	t.Run("resolve", s.resolve)
	t.Run("read", s.read)
	t.Run("missing", s.missing)
	t.Run("cancelled", s.cancelled)
	t.Run("concurrent", s.concurrent)
}

type originSuite struct {
	newOrigin func(t *testing.T, files map[string][]byte) (ipfsstore.Origin, string)
}

func originFiles() map[string][]byte {
	return map[string][]byte{
		"README.md": []byte("# model\n"), "empty": {}, ".gitattributes": []byte("*.bin filter=lfs\n"),
		"onnx/a b%#?.bin": bytes.Repeat([]byte{1, 2, 3, 5, 7}, 700_001), "größe/模型.txt": []byte("naïve\n"),
	}
}

func (s originSuite) make(t *testing.T) (ipfsstore.Origin, ipfsstore.Snapshot) {
	t.Helper()
	o, ref := s.newOrigin(t, originFiles())
	snap, err := o.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return o, snap
}

func (s originSuite) name(t *testing.T) {
	o, _ := s.newOrigin(t, originFiles())
	name, scheme := o.Name(), o.Scheme()
	if name == "" || scheme == "" || name != o.Name() || scheme != o.Scheme() {
		t.Errorf("name %q, scheme %q; want the same each time and not empty", name, scheme)
	}
}

func (s originSuite) canonical(t *testing.T) {
	o, ref := s.newOrigin(t, originFiles())
	full, fixed, err := o.Canonical(ref)
	if err != nil || fixed {
		t.Fatalf("%q, fixed %v, %v", full, fixed, err)
	}
	if again, _, err := o.Canonical(full); err != nil || again != full {
		t.Errorf("%q becomes %q, %v", full, again, err)
	}
	snap, err := o.Resolve(t.Context(), full)
	if err != nil {
		t.Fatal(err)
	}
	if at, fixed, err := o.Canonical(snap.Ref); err != nil || !fixed || at != snap.Ref {
		t.Errorf("a snapshot's reference %q becomes %q, fixed %v, %v", snap.Ref, at, fixed, err)
	}
	for _, bad := range []string{"", "/", "../..", ref + "@../x", ref + "\x00", ref + "?x"} {
		if _, _, err := o.Canonical(bad); !errors.Is(err, ipfsstore.ErrInvalidRef) {
			t.Errorf("%q: %v, want ErrInvalidRef", bad, err)
		}
	}
}

func (s originSuite) resolve(t *testing.T) {
	o, snap := s.make(t)
	want := originFiles()
	if len(snap.Files) != len(want) {
		t.Errorf("%d files, want %d: %v", len(snap.Files), len(want), snap.Files)
	}
	for _, f := range snap.Files {
		data, ok := want[f.Name]
		git := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...)) //nolint:gosec // as above
		sum := sha256.Sum256(data)
		if !ok || f.Bytes != int64(len(data)) || f.SHA256 != hex.EncodeToString(sum[:]) && f.Git != hex.EncodeToString(git[:]) {
			t.Errorf("%+v is not the file", f)
		}
	}
	again, err := o.Resolve(t.Context(), snap.Ref)
	if err != nil || again.Ref != snap.Ref || again.Name != snap.Name || len(again.Files) != len(snap.Files) {
		t.Errorf("%+v becomes %+v, %v", snap, again, err)
	}
}

func readAll(ctx context.Context, o ipfsstore.Origin, ref, file string, off, n int64) ([]byte, error) {
	r, err := o.Read(ctx, ref, file, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func (s originSuite) read(t *testing.T) {
	o, snap := s.make(t)
	for name, data := range originFiles() {
		size := int64(len(data))
		for _, r := range [][2]int64{{0, size}, {size / 3, size / 3}, {max(0, size-1), min(1, size)}, {0, 0}} {
			got, err := readAll(t.Context(), o, snap.Ref, name, r[0], r[1])
			if err != nil || !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
				t.Errorf("%s, %d bytes from %d on: %d bytes, %v", name, r[1], r[0], len(got), err)
			}
		}
	}
}

func (s originSuite) missing(t *testing.T) {
	o, snap := s.make(t)
	if _, err := readAll(t.Context(), o, snap.Ref, "not/there", 0, 1); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("a file that is not there: %v, want ErrNotFound", err)
	}
	if _, err := o.Resolve(t.Context(), "nobody/nothing"); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("a model that is not there: %v, want ErrNotFound", err)
	}
}

func (s originSuite) cancelled(t *testing.T) {
	o, snap := s.make(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := o.Read(ctx, snap.Ref, "onnx/a b%#?.bin", 0, 3_500_005)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("read after the end of its context: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := o.Resolve(ctx, snap.Ref); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func (s originSuite) concurrent(t *testing.T) {
	o, snap := s.make(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name, data := range originFiles() {
				if got, err := readAll(t.Context(), o, snap.Ref, name, 0, int64(len(data))); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}
