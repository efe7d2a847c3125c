package ipfsstore

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"os"
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
// model; nothing is decided by them.
func describe(rec *rootRecord) (license, task string) {
	for i, f := range rec.Files {
		switch f.Name {
		case aboutManifest:
			var said struct {
				License any `json:"license"`
				Task    any `json:"task"`
			}
			if json.Unmarshal(about(rec.paths[i]), &said) == nil {
				license, task = cmp.Or(word(said.License), license), cmp.Or(word(said.Task), task)
			}
		case aboutCard:
			var said struct {
				License any `yaml:"license"`
				Name    any `yaml:"license_name"` // of a licence that is "other"
				Task    any `yaml:"pipeline_tag"`
			}
			if yaml.Unmarshal(frontMatter(about(rec.paths[i])), &said) == nil {
				license, task = cmp.Or(license, word(said.Name), word(said.License)), cmp.Or(task, word(said.Task))
			}
		}
	}
	return license, task
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
