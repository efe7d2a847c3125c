package ipfsstore_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// stream is the deterministic content of the golden folder: block i is
// sha256("seed:i"). It is made once, and not to be changed.
func stream(seed string, n int) []byte {
	streams.Lock()
	defer streams.Unlock()
	out := streams.known[seed]
	text := []byte(seed + ":")
	for i := len(out) / sha256.Size; len(out) < n; i++ {
		sum := sha256.Sum256(strconv.AppendInt(text, int64(i), 10))
		out = append(out, sum[:]...)
	}
	streams.known[seed] = out
	return out[:n:n]
}

// streams are those that were made so far, by their seeds.
var streams = struct {
	sync.Mutex

	known map[string][]byte
}{known: make(map[string][]byte)}

func writeTree(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// goldenFolder writes the folder whose CIDs stand in testdata/cid_folder.json.
func goldenFolder(t testing.TB, dir string) string {
	const kib = 1024
	files := map[string][]byte{
		"config.json":       []byte("{\"model_type\": \"bert\"}\n"),
		"empty.bin":         {},
		"one.bin":           {0},
		"chunk256.bin":      stream("chunk256", 256*kib),
		"chunk256plus1.bin": stream("chunk256plus1", 256*kib+1),
		"chunk1m.bin":       stream("chunk1m", 1024*kib),
		"chunk1mplus1.bin":  stream("chunk1mplus1", 1024*kib+1),
		"width174.bin":      stream("width174", 174*256*kib),
		"width174plus1.bin": stream("width174plus1", 174*256*kib+1),
		"model.onnx":        stream("model", 50_000_000),
		"größe-模型 ✓.txt":    []byte("naïve\n"),
		"a/b/c/d/deep.bin":  stream("deep", 3_000_000),
		".hidden":           []byte("skipped without --hidden\n"),
	}
	for i := range 6000 {
		files[fmt.Sprintf("many/file-%05d.txt", i)] = fmt.Appendf(nil, "%d\n", i)
	}
	writeTree(t, dir, files)
	return dir
}

// modelFiles is a small model: several leaves, an empty file, a folder.
func modelFiles() map[string][]byte {
	return map[string][]byte{
		"config.json":     []byte("{}\n"),
		"empty":           {},
		"onnx/model.onnx": stream("m", 5<<20+17),
		"onnx/twin.onnx":  stream("m", 5<<20+17),
		"tokenizer.json":  stream("t", 300_000),
	}
}

func modelFolder(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "model")
	writeTree(t, dir, modelFiles())
	return dir
}

// memDir is a folder in memory, where there is such: for tests to which the disk
// means nothing.
func memDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ipfsstore-") //nolint:usetesting // that is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // as much as can be
	return dir
}

// memStore is a store in memory, as far as that goes.
func memStore(t testing.TB) *ipfsstore.Store {
	t.Helper()
	return openStoreIn(t, filepath.Join(memDir(t), "store"))
}

func openStore(t testing.TB, sources ...ipfsstore.Source) *ipfsstore.Store {
	t.Helper()
	return openStoreIn(t, filepath.Join(t.TempDir(), "store"), sources...)
}

func openStoreIn(t testing.TB, dir string, sources ...ipfsstore.Source) *ipfsstore.Store {
	t.Helper()
	s, err := ipfsstore.Open(dir, ipfsstore.Options{Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func mustAdd(t testing.TB, s *ipfsstore.Store, p string, o ipfsstore.AddOptions) ipfsstore.Artifact {
	t.Helper()
	a, err := s.Add(context.Background(), p, o) //nolint:usetesting // a benchmark's context has no deadline either
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// gateway serves a store over loopback, as a source for another.
func gateway(t testing.TB, name string, s *ipfsstore.Store) ipfsstore.Source {
	t.Helper()
	return storetest.Gateway(t, name, s.Gateway())
}

// sameTree checks that the files of a are want, byte for byte, and real files.
func sameTree(t testing.TB, a ipfsstore.Artifact, want map[string][]byte) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(a.Dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(a.Dir, p)
		if err != nil {
			return err
		}
		seen++
		data, ok := want[filepath.ToSlash(rel)]
		got, err := os.ReadFile(p)
		if !ok || err != nil || string(got) != string(data) || !e.Type().IsRegular() {
			t.Errorf("file %s: %v, wanted %v, regular %v, equal %v", rel, err, ok, e.Type().IsRegular(), string(got) == string(data))
		}
		return nil
	})
	if err != nil || seen != len(want) || len(a.Files) != len(want) {
		t.Errorf("%d files on disk, %d listed, want %d; %v", seen, len(a.Files), len(want), err)
	}
}

// seeded returns a random source and prints how to get it again.
func seeded(t testing.TB) *rand.Rand {
	seed := uint64(20261122)
	if v, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// times is how often a repeated test runs: a tenth of whole, or whole with
// STRESS=1.
func times(whole int) int {
	if os.Getenv("STRESS") == "1" {
		return whole
	}
	return max(1, whole/10)
}

func sameFile(t testing.TB, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}
