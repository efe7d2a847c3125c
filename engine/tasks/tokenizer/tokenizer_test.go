package tokenizer

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func minilm(t testing.TB) *Tokenizer {
	t.Helper()
	data, err := os.ReadFile("../../../examples/models/minilm/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// The ids in testdata are those of the tokenizers library for Rust, 0.23.3.
func TestEncode_sameIDsAsReference(t *testing.T) {
	data, err := os.ReadFile("testdata/minilm.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		Texts []string  `json:"texts"`
		IDs   [][]int64 `json:"ids"`
	}
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	tok := minilm(t)
	for i, text := range ref.Texts {
		if got := tok.Encode(text, 0); !slices.Equal(got.IDs, ref.IDs[i]) || got.Truncated {
			t.Errorf("%q:\ngot  %v\nwant %v", text, got.IDs, ref.IDs[i])
		}
	}
}

func TestEncode_specialTokensInText(t *testing.T) {
	got := minilm(t).Encode("a [MASK] b[SEP]", 0).IDs
	if want := []int64{101, 1037, 103, 1038, 102, 102}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEncode_truncates(t *testing.T) {
	tok := minilm(t)
	long := strings.Repeat("hello world ", 1000)
	for _, limit := range []int{2, 3, 8, 256} {
		e := tok.Encode(long, limit)
		if len(e.IDs) != limit || !e.Truncated || e.IDs[0] != 101 || e.IDs[limit-1] != 102 {
			t.Errorf("limit %d: %d ids, truncated %v", limit, len(e.IDs), e.Truncated)
		}
	}
	if e := tok.Encode("hello", 3); e.Truncated || len(e.IDs) != 3 {
		t.Errorf("a text that just fits: %+v", e)
	}
}

func TestLoad_refusesWhatItDoesNotKnow(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "not json": "{", "no model": "{}", "array": "[]",
		"kind":            `{"model":{"type":"Neural","vocab":{"a":1}}}`,
		"merge":           `{"model":{"type":"BPE","vocab":{"a":1},"merges":["a b"]}}`,
		"no vocabulary":   `{"model":{"type":"WordPiece","unk_token":"[UNK]"}}`,
		"no unknown":      `{"model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"a":1}}}`,
		"normalizer":      `{"normalizer":{"type":"Bogus"},"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":1}}}`,
		"pre-tokenizer":   `{"pre_tokenizer":{"type":"Bogus"},"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":1}}}`,
		"post-processor":  `{"post_processor":{"type":"Bogus"},"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":1}}}`,
		"unknown special": `{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}}]},"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":1}}}`,
		"huge number":     `{"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":1e400}}}`,
	} {
		if _, err := Load([]byte(text)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "hello", "Ünï\u0301", "\xff\xfe", "机器", strings.Repeat("x", 300), "[CLS][CLS]", "\u0130"} {
		f.Add(s)
	}
	tok := minilm(f)
	f.Fuzz(func(t *testing.T, s string) {
		e := tok.Encode(s, 16)
		if len(e.IDs) > 16 || len(e.IDs) != len(e.TypeIDs) || e.IDs[0] != 101 || e.IDs[len(e.IDs)-1] != 102 {
			t.Errorf("%q: %+v", s, e)
		}
		for _, id := range e.IDs {
			if id < 0 || id >= 30522 {
				t.Errorf("%q: id %d", s, id)
			}
		}
	})
}

// BenchmarkEncode_hostile shows that a long word costs no more than its length.
func BenchmarkEncode_hostile(b *testing.B) {
	tok := minilm(b)
	text := strings.Repeat("a", 1<<20)
	b.SetBytes(int64(utf8.RuneCountInString(text)))
	for b.Loop() {
		tok.Encode(text, 0)
	}
}
