package tasks

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A folder with source.spm and vocab.json has Marian's tokenizer, unless what it
// writes has ids of its own.
func TestLoadTokenizer_marian(t *testing.T) {
	m := &engine.Model{Dir: t.TempDir()}
	add := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(m.Dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		m.Files = append(m.Files, engine.ModelFile{Name: name})
	}
	for name, from := range map[string]string{"source.spm": "source.spm", "vocab.json": "marian.json"} {
		data, err := os.ReadFile(filepath.Join("tokenizer", "testdata", "pieces", from))
		if err != nil {
			t.Fatal(err)
		}
		add(name, data)
	}
	add("tokenizer_config.json", []byte(`{"tokenizer_class":"MarianTokenizer","source_lang":"en","target_lang":"fr","separate_vocabs":false}`))
	tok, err := loadTokenizer(m)
	if err != nil {
		t.Fatal(err)
	}
	code, _ := tok.ID(">>fr<<")
	end, _ := tok.ID("</s>")
	if ids := tok.Encode(">>fr<< hello", 0).IDs; len(ids) < 3 || ids[0] != code || ids[len(ids)-1] != end {
		t.Errorf("%v, with %d for the language and %d for the end", ids, code, end)
	}
	add("target_vocab.json", []byte("{}"))
	if _, err := loadTokenizer(m); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("with a second vocabulary: %v", err)
	}
}
