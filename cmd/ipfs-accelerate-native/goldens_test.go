//go:build unix

package main_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goldenFolders are those of goldens with the scripts that made them.
var goldenFolders = []string{"generation", "heads", "real", "rewriting", "sounds", "tabular", "vision"}

// Goldens, what they were made of, and the scripts that made them are the ones
// of one time: who changes any of them makes them again, and the sums by
//
//	cd testdata && find generation heads real rewriting sounds tabular vision -type f | LC_ALL=C sort | xargs sha256sum > goldens.sha256
func TestGoldens_sums(t *testing.T) {
	f, err := os.Open("testdata/goldens.sha256")
	must(t, err)
	defer f.Close()
	var listed, found []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		listed = append(listed, name)
		data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
		must(t, err)
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s is another than the goldens were made with", name)
		}
	}
	must(t, lines.Err())
	for _, dir := range goldenFolders {
		must(t, filepath.WalkDir(filepath.Join("testdata", dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.Contains(path, "__pycache__") {
				found = append(found, strings.TrimPrefix(filepath.ToSlash(path), "testdata/"))
			}
			return err
		}))
	}
	slices.Sort(listed)
	slices.Sort(found)
	if !slices.Equal(listed, found) {
		t.Errorf("listed are %d files, there are %d: %q", len(listed), len(found), found)
	}
}
