package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

// Folders with a model of SentencePiece give what transformers makes of them.
func TestSentencePiece_equalsReference(t *testing.T) {
	var goldens []struct {
		Model    string
		Settings json.RawMessage
		Rows     []struct {
			Text, Decoded    string
			IDs, Pair, Types []int64
			Offsets          [][2]int
		}
	}
	readJSON(t, "testdata/pieces/goldens.json", &goldens)
	for _, g := range goldens {
		data, err := os.ReadFile(filepath.Join("testdata/pieces", g.Model))
		must(t, err)
		var s Settings
		must(t, json.Unmarshal(g.Settings, &s))
		tok, err := FromSentencePiece(data, s)
		must(t, err)
		for i, row := range g.Rows {
			got := tok.EncodeWith(Options{Places: true}, row.Text)
			if !slices.Equal(got.IDs, row.IDs) || !slices.Equal(got.Offsets, row.Offsets) {
				t.Errorf("%s %s: %q: %v at %v, want %v at %v", g.Model, g.Settings, row.Text, got.IDs, got.Offsets, row.IDs, row.Offsets)
			}
			if text := tok.Decode(row.IDs, false); text != row.Decoded {
				t.Errorf("%s %s: %q decoded: %q, want %q", g.Model, g.Settings, row.Text, text, row.Decoded)
			}
			before := g.Rows[(i+len(g.Rows)-1)%len(g.Rows)].Text
			if before == "" { // which Python takes for no text
				continue
			}
			if pair := tok.EncodePair(Options{}, row.Text, before); !slices.Equal(pair.IDs, row.Pair) || !slices.Equal(pair.TypeIDs, row.Types) {
				t.Errorf("%s %s: %q with %q: %v of %v, want %v of %v", g.Model, g.Settings, row.Text, before, pair.IDs, pair.TypeIDs, row.Pair, row.Types)
			}
		}
	}
}

// Python makes the same models and goldens today.
func TestSentencePiece_goldensAgain(t *testing.T) {
	program := enginetest.Python(t, "testdata/pieces/requirements.txt", "--no-deps", "--require-hashes", "--only-binary", ":all:")
	script, err := filepath.Abs("testdata/pieces/make.py")
	must(t, err)
	const dir = "testdata/pieces" // which the models hold
	c := exec.CommandContext(t.Context(), program, script, dir)
	c.Dir = t.TempDir()
	must(t, os.MkdirAll(filepath.Join(c.Dir, dir), 0o700))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made, err := os.ReadDir(filepath.Join(c.Dir, dir))
	must(t, err)
	if len(made) < 8 {
		t.Errorf("%d files", len(made))
	}
	for _, f := range made {
		got, err := os.ReadFile(filepath.Join(c.Dir, dir, f.Name()))
		must(t, err)
		want, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is kept", f.Name())
		}
	}
}

func TestSentencePiece_refused(t *testing.T) {
	data, err := os.ReadFile("testdata/pieces/llama.model")
	must(t, err)
	for name, c := range map[string]struct {
		data  []byte
		class string
	}{"class": {data, "SomeTokenizer"}, "empty": {nil, "T5Tokenizer"}, "text": {[]byte("not a model"), "LlamaTokenizer"}, "cut short": {data[:len(data)/2], "LlamaTokenizer"}} {
		if _, err := FromSentencePiece(c.data, Settings{Class: c.class}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzFromSentencePiece(f *testing.F) {
	for _, name := range []string{"t5", "llama"} {
		data, err := os.ReadFile("testdata/pieces/" + name + ".model")
		must(f, err)
		f.Add(data[:400])
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		if tok, err := FromSentencePiece(data, Settings{Class: "LlamaTokenizer"}); err == nil {
			tok.Encode("hello world", 0)
		}
	})
}

// Marian's folders, of two models of SentencePiece and a vocabulary of ids, give
// what transformers' MarianTokenizer does.
func TestMarian_equalsReference(t *testing.T) {
	var goldens struct {
		Rows []struct {
			Text, Decoded string
			IDs           []int64
		}
	}
	readJSON(t, "testdata/pieces/marian_goldens.json", &goldens)
	source, err := os.ReadFile("testdata/pieces/source.spm")
	must(t, err)
	vocab, err := os.ReadFile("testdata/pieces/marian.json")
	must(t, err)
	tok, err := FromMarian(source, vocab, Settings{})
	must(t, err)
	for _, row := range goldens.Rows {
		if got := tok.Encode(row.Text, 0).IDs; !slices.Equal(got, row.IDs) {
			t.Errorf("%q: %v, want %v", row.Text, got, row.IDs)
		}
		if text := strings.TrimSpace(tok.Decode(row.IDs, false)); text != row.Decoded {
			t.Errorf("%q decoded: %q, want %q", row.Text, text, row.Decoded)
		}
	}
	for name, bad := range map[string]string{"no end": `{"a":1}`, "no vocabulary": `[]`, "a bad id": `{"</s>":0,"<unk>":-1}`} {
		if _, err := FromMarian(source, []byte(bad), Settings{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
