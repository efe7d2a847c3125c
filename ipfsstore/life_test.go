package ipfsstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

const mib = 1 << 20

// lru is a store with models of a mebibyte each, used one after another, the
// first the longest ago.
func lru(t *testing.T, names ...string) *ipfsstore.Store {
	t.Helper()
	s := openStore(t)
	for i, n := range names {
		dir := filepath.Join(t.TempDir(), n)
		writeTree(t, dir, map[string][]byte{"data": stream(n, mib)})
		a := mustAdd(t, s, dir, ipfsstore.AddOptions{Name: n, Copy: true})
		at := time.Now().Add(time.Duration(i-len(names)) * time.Hour)
		if err := os.Chtimes(filepath.Join(ipfsstore.Dir(s), "used", a.Root), at, at); err != nil {
			t.Fatal(err)
		}
	}
	return openStoreIn(t, ipfsstore.Dir(s)) // what the first remembers of their use is newer
}

func namesOf(t *testing.T, s *ipfsstore.Store) []string {
	t.Helper()
	all, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range all {
		out = append(out, a.Name)
	}
	return out
}

func TestGC(t *testing.T) {
	t.Parallel()
	s := lru(t, "a", "b", "c", "d", "e")
	if _, err := s.Pin(t.Context(), "a", true); err != nil {
		t.Fatal(err)
	}
	b, err := s.Info(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other := openStoreIn(t, ipfsstore.Dir(s)) // as another process would
	release, err := other.Lease(t.Context(), b.Model)
	if err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		got, err := s.GC(t.Context(), ipfsstore.GCOptions{MaxBytes: 4 * mib, LowBytes: 3 * mib, DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		if got.Before != 5*mib || got.After != 3*mib || got.Busy != 1 || len(got.Removed) != 2 ||
			got.Removed[0].Name != "c" || got.Removed[1].Name != "d" || got.Removed[0].Bytes != mib {
			t.Errorf("dry run %v: %+v", dry, got)
		}
		want := []string{"a", "b", "e"}
		if dry {
			want = []string{"a", "b", "c", "d", "e"}
		}
		if names := namesOf(t, s); !slices.Equal(names, want) {
			t.Errorf("dry run %v: left %v, want %v", dry, names, want)
		}
	}
	if err := s.Remove(t.Context(), "b", false); !errors.Is(err, ipfsstore.ErrInUse) {
		t.Errorf("%v, want ErrInUse", err)
	}
	release()
	if got, err := s.GC(t.Context(), ipfsstore.GCOptions{}); err != nil || got.After != mib || len(got.Removed) != 2 {
		t.Errorf("all but the pinned one: %+v, %v", got, err)
	}
	if _, err := other.Lease(t.Context(), b.Model); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("lease of what is gone: %v", err)
	}
}

// TestGC_freesWhatItSays leaves alone what would free nothing, and counts what is
// shared only when its last user goes.
func TestGC_freesWhatItSays(t *testing.T) {
	t.Parallel()
	s := lru(t, "twin", "linked", "big")
	root, err := s.Info(t.Context(), "twin")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "second")
	writeTree(t, dir, map[string][]byte{"data": stream("twin", mib), "more": []byte("x")})
	second := mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "second"})
	original := filepath.Join(t.TempDir(), "original")
	if err := os.Link(filepath.Join(root.Dir, "data"), original); err != nil {
		t.Skip("no hard links here:", err)
	}
	got, err := s.GC(t.Context(), ipfsstore.GCOptions{MaxBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got.Removed {
		if r.Bytes == 0 || r.Root == root.Root || r.Root == second.Root {
			t.Errorf("removed %+v, which frees nothing", r)
		}
	}
	if got.Before < 2*mib || got.Before > 2*mib+10 || len(got.Removed) != 2 {
		t.Errorf("%+v", got)
	}
	if err := os.Remove(original); err != nil {
		t.Fatal(err)
	}
	u, err := s.Usage(t.Context())
	if err != nil || u.Owned != mib+u.Models[0].Owned || len(u.Models) != 2 {
		t.Errorf("%+v, %v", u, err)
	}
	got, err = s.GC(t.Context(), ipfsstore.GCOptions{})
	if err != nil || len(got.Removed) != 2 || got.Removed[0].Bytes+got.Removed[1].Bytes != got.Before || got.After != 0 {
		t.Errorf("both twins: %+v, %v", got, err)
	}
}

// What was made of models counts, goes before any model, and goes with its model. It
// stays while a program has the model open.
func TestGC_derived(t *testing.T) {
	t.Parallel()
	derived := t.TempDir()
	s := must(ipfsstore.Open(ipfsstore.Dir(lru(t, "a", "b", "c")), ipfsstore.Options{Derived: derived}))(t)
	roots := map[string]string{"elsewhere": "elsewhere"} // one that no model is known for
	for _, name := range []string{"a", "b", "c"} {
		roots[name] = must(s.Info(t.Context(), name))(t).Root
	}
	for i, name := range []string{"b", "elsewhere", "c", "a"} { // as they were used
		dir := filepath.Join(derived, roots[name])
		writeTree(t, dir, map[string][]byte{"of/model.onnx": stream(name, mib)})
		at := time.Now().Add(time.Duration(i-9) * time.Hour)
		for _, p := range []string{filepath.Join(dir, "of", "model.onnx"), filepath.Join(dir, "of"), dir} {
			if err := os.Chtimes(p, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func() string {
		names, err := filepath.Glob(filepath.Join(derived, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range names {
			for name, root := range roots {
				if filepath.Base(p) == root {
					names[i] = name
				}
			}
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	u := must(s.Usage(t.Context()))(t)
	if u.Owned != 7*mib || u.Derived != 4*mib || u.Models[0].Owned != 2*mib || u.Models[0].Shared != 0 {
		t.Errorf("%+v", u)
	}
	release := must(s.Lease(t.Context(), roots["b"]))(t)
	defer release()
	for _, dry := range []bool{true, false} {
		got := must(s.GC(t.Context(), ipfsstore.GCOptions{MaxBytes: 5 * mib, DryRun: dry}))(t)
		if got.Before != 7*mib || got.After != 5*mib || got.Derived != 2*mib || len(got.Removed) != 0 {
			t.Errorf("dry run %v: %+v", dry, got)
		}
		if want := map[bool]string{true: "a b c elsewhere", false: "a b"}[dry]; left() != want {
			t.Errorf("dry run %v: left %q, want %q", dry, left(), want)
		}
	}
	if err := s.Remove(t.Context(), "a", false); err != nil || left() != "b" {
		t.Errorf("%v, left %q", err, left())
	}
	got := must(s.GC(t.Context(), ipfsstore.GCOptions{}))(t)
	if got.After != 2*mib || got.Busy != 1 || left() != "b" {
		t.Errorf("%+v, left %q", got, left())
	}
}

func TestStore_limit(t *testing.T) {
	t.Parallel()
	s, err := ipfsstore.Open(ipfsstore.Dir(lru(t, "a", "b", "c")), ipfsstore.Options{MaxBytes: 4 * mib})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "d")
	writeTree(t, dir, map[string][]byte{"data": stream("d", mib)})
	mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "d", Copy: true}) // 4 of 4 MiB: over 90 %
	if got := namesOf(t, s); !slices.Equal(got, []string{"b", "c", "d"}) {
		t.Errorf("left %v", got)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	s, dir := openStore(t), modelFolder(t)
	mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "linked"})
	u, err := s.Usage(t.Context())
	if err != nil || u.Owned != 0 || u.Shared == 0 || u.Models[0].Owned != 0 || u.Models[0].Bytes != u.Models[0].Shared {
		t.Errorf("linked: %+v, %v", u, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if u, err = s.Usage(t.Context()); err != nil || u.Shared != 0 || u.Owned < 5*mib || u.Models[0].Owned != u.Owned {
		t.Errorf("the only name left: %+v, %v", u, err)
	}
}

func TestPin(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	mustAdd(t, s, modelFolder(t), ipfsstore.AddOptions{Name: "m"})
	for _, pin := range []bool{true, true, false} {
		if a, err := s.Pin(t.Context(), "m", pin); err != nil || a.Pinned != pin {
			t.Errorf("pinned %v, %v, want %v", a.Pinned, err, pin)
		}
	}
	if _, err := s.Pin(t.Context(), "none", true); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

func TestVerifyAll(t *testing.T) {
	t.Parallel()
	s, dir := openStore(t), modelFolder(t)
	mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "m"})
	whole := openStore(t)
	mustAdd(t, whole, dir, ipfsstore.AddOptions{Copy: true})
	for _, sample := range []float64{0, 10, 100} {
		got, err := s.VerifyAll(t.Context(), ipfsstore.VerifyOptions{Sample: sample})
		if err != nil || len(got) != 1 || got[0].Err != nil {
			t.Errorf("sample %v: %+v, %v", sample, got, err)
		}
	}
	editInPlace(t, filepath.Join(dir, "tokenizer.json"))
	got, err := s.VerifyAll(t.Context(), ipfsstore.VerifyOptions{Sample: 1, Repair: true})
	if err != nil || !errors.Is(got[0].Err, ipfsstore.ErrModelChanged) || got[0].Repaired {
		t.Errorf("no source: %+v, %v", got, err)
	}
	again := openStoreIn(t, ipfsstore.Dir(s), gateway(t, "whole", whole))
	if got, err = again.VerifyAll(t.Context(), ipfsstore.VerifyOptions{Refs: []string{"m"}, Repair: true}); err != nil || got[0].Err != nil || !got[0].Repaired {
		t.Errorf("a source: %+v, %v", got, err)
	}
	a, err := again.Open(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, a, modelFiles())
	for _, bad := range []ipfsstore.VerifyOptions{{Sample: -1}, {Sample: 101}, {Refs: []string{"none"}}} {
		if _, err := s.VerifyAll(t.Context(), bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestExportFiles(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	symlink(t, "onnx/model.onnx", filepath.Join(dir, "model.onnx"))
	for _, profile := range ipfsstore.Profiles() {
		a := mustAdd(t, s, dir, ipfsstore.AddOptions{Profile: profile})
		to := filepath.Join(t.TempDir(), "deep", "out")
		if err := s.ExportFiles(t.Context(), a.Root, to); err != nil {
			t.Fatal(err)
		}
		if b := mustAdd(t, openStore(t), to, ipfsstore.AddOptions{Profile: profile}); b.Root != a.Root {
			t.Errorf("%s: comes back as %s, was %s", profile, b.Root, a.Root)
		}
		if sameFile(t, filepath.Join(to, "config.json"), filepath.Join(dir, "config.json")) {
			t.Error("it is a link")
		}
		if err := s.ExportFiles(t.Context(), a.Root, to); !errors.Is(err, os.ErrExist) {
			t.Errorf("over what is there: %v", err)
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(to), ".export-*")); err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
	}
}

func TestExportV2(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	for _, profile := range ipfsstore.Profiles() {
		a := mustAdd(t, s, dir, ipfsstore.AddOptions{Profile: profile})
		var one, two, again bytes.Buffer
		if err := errors.Join(s.Export(t.Context(), a.Root, &one), s.ExportV2(t.Context(), a.Root, &two), s.ExportV2(t.Context(), a.Root, &again)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(two.Bytes(), again.Bytes()) || !bytes.Equal(two.Bytes()[51:51+one.Len()], one.Bytes()) {
			t.Error("not the same bytes")
		}
		checkIndex(t, one.Bytes(), two.Bytes()[51+one.Len():])
		for _, r := range []io.Reader{bytes.NewReader(two.Bytes()), fileOf(t, two.Bytes())} {
			b, err := openStore(t).Import(t.Context(), r, ipfsstore.AddOptions{})
			if err != nil || b.Root != a.Root || b.Name != a.Root || len(b.Names) > 0 {
				t.Errorf("%s: %s %q %v, %v", profile, b.Root, b.Name, b.Names, err)
			}
		}
		for _, cut := range []int{12, 40, 60, one.Len()} {
			if _, err := openStore(t).Import(t.Context(), bytes.NewReader(two.Bytes()[:cut]), ipfsstore.AddOptions{}); !errors.Is(err, ipfsstore.ErrInvalidCAR) {
				t.Errorf("cut at %d: %v", cut, err)
			}
		}
	}
}

func fileOf(t *testing.T, data []byte) *os.File {
	t.Helper()
	p := filepath.Join(t.TempDir(), "car")
	if err := os.WriteFile(p, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// checkIndex looks every entry of an index up in the CARv1 that it is of.
func checkIndex(t *testing.T, car, index []byte) {
	t.Helper()
	code, n := binary.Uvarint(index)
	head := index[n:]
	size := binary.LittleEndian.Uint64(head[20:])
	if code != 0x0401 || binary.LittleEndian.Uint32(head) != 1 || binary.LittleEndian.Uint64(head[4:]) != 0x12 ||
		binary.LittleEndian.Uint32(head[12:]) != 1 || binary.LittleEndian.Uint32(head[16:]) != 40 || uint64(len(head)-28) != size {
		t.Fatalf("index begins %x", index[:n+28])
	}
	for e := range slices.Chunk(head[28:], 40) {
		at := car[binary.LittleEndian.Uint64(e[32:]):]
		_, n := binary.Uvarint(at)
		_, c, err := cid.CidFromBytes(at[n:])
		if err != nil || !bytes.HasSuffix(c.Hash(), e[:32]) {
			t.Fatalf("entry %x leads to %v, %v", e[:32], c, err)
		}
	}
}

func TestArtifact_about(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		files         map[string][]byte
		license, task string
	}{
		{map[string][]byte{"README.md": []byte("---\nlicense: other\nlicense_name: gemma\n---\nx")}, "gemma", ""},
		{map[string][]byte{"README.md": []byte("---\r\nlicense: [mit, apache-2.0]\r\n---\r\n")}, "mit, apache-2.0", ""},
		{map[string][]byte{"README.md": []byte("# no head\nlicense: mit\n")}, "", ""},
		{map[string][]byte{"README.md": []byte("---\nlicense: mit\npipeline_tag: x\n---\n"), "ipfs-accelerate-model.json": []byte(`{"version":1,"task":"object-detection"}`)}, "mit", "object-detection"},
		{map[string][]byte{"ipfs-accelerate-model.json": []byte(`{"license":"` + string(bytes.Repeat([]byte("x"), 200)) + `"}`)}, "", ""},
	} {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
		writeTree(t, dir, c.files)
		if a := mustAdd(t, openStore(t), dir, ipfsstore.AddOptions{}); a.License != c.license || a.Task != c.task {
			t.Errorf("%d: licence %q, task %q", i, a.License, a.Task)
		}
	}
}
