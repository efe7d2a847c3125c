package ipfsstore

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The files of a model that say what it is.
const (
	aboutManifest = "ipfs-accelerate-model.json"
	aboutCard     = "README.md"
)

// maxAbout bounds what is read of either, and maxWord what is kept of it, in
// bytes.
const (
	maxAbout = 1 << 20
	maxWord  = 100
)

// describe returns the licence and the task that a model's own files name: its
// manifest, else the head of its model card. They are words of whoever made the
// model; nothing is decided by them. read returns a file by its name; nil if
// there is none.
func describe(read func(name string) []byte) (license, task string) {
	var manifest struct {
		License any `json:"license"`
		Task    any `json:"task"`
	}
	if json.Unmarshal(read(aboutManifest), &manifest) == nil {
		license, task = word(manifest.License), word(manifest.Task)
	}
	var card struct {
		License any `yaml:"license"`
		Name    any `yaml:"license_name"` // of a licence that is "other"
		Task    any `yaml:"pipeline_tag"`
	}
	if yaml.Unmarshal(frontMatter(read(aboutCard)), &card) == nil {
		license, task = cmp.Or(license, word(card.Name), word(card.License)), cmp.Or(task, word(card.Task))
	}
	return license, task
}

// about reads a file of the root that may say what it is.
func (r *rootRecord) about(name string) []byte {
	i := slices.IndexFunc(r.Files, func(f fileRecord) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return about(r.paths[i])
}

// about reads a file that may say what a model is.
func about(p string) []byte {
	file, err := os.Open(p)
	if err != nil {
		return nil
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxAbout))
	if err != nil {
		return nil
	}
	return data
}

// frontMatter is what stands between the two lines of dashes that a file begins
// with.
func frontMatter(data []byte) []byte {
	rest, ok := bytes.CutPrefix(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("---\n"))
	if !ok {
		return nil
	}
	head, _, ok := bytes.Cut(rest, []byte("\n---"))
	if !ok {
		return nil
	}
	return head
}

// word is a value that is a short text, or a list of them.
func word(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) <= maxWord && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' }) {
			return v
		}
	case []any:
		var words []string
		for _, w := range v {
			words = append(words, word(w))
		}
		return word(strings.Join(words, ", "))
	}
	return ""
}
