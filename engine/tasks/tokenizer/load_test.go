package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// small are tokenizers of every kind, small enough to be read.
var small = map[string]string{
	"unigram": `{"model":{"type":"Unigram","unk_id":0,"byte_fallback":false,"vocab":[["<unk>",0],["▁a",-1],["b",-2],["ab",-2.5],["▁",-3]]},
		"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},"decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}}`,
	"bpe": `{"model":{"type":"BPE","unk_token":"?","fuse_unk":true,"vocab":{"?":0,"a":1,"b":2,"ab":3,"abab":4},"merges":["a b",["ab","ab"]]}}`,
	"bytes": `{"model":{"type":"BPE","vocab":{"a":0,"Ġ":1,"Ġa":2},"merges":["Ġ a"]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true},
		"decoder":{"type":"ByteLevel"},"post_processor":{"type":"ByteLevel","trim_offsets":true}}`,
	"fallback": `{"model":{"type":"BPE","byte_fallback":true,"vocab":{"<0xC3>":0,"<0xA9>":1,"a":2},"merges":[]},
		"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]}}`,
	"words": `{"model":{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"a":1,"b":2}},"pre_tokenizer":{"type":"Sequence","pretokenizers":[
		{"type":"Whitespace"},{"type":"Split","pattern":{"Regex":"x+|y"},"behavior":"Removed","invert":false}]},
		"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},{"type":"Replace","pattern":{"String":"."},"content":""},{"type":"Strip","strip_left":true,"strip_right":true}]},
		"added_tokens":[{"id":9,"content":"<s>","special":true,"normalized":false,"lstrip":true},{"id":10,"content":"B","normalized":true,"single_word":true}],
		"post_processor":{"type":"RobertaProcessing","cls":["<s>",9],"sep":["</s>",8]}}`,
	"scripts": `{"model":{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"a":1}},"pre_tokenizer":{"type":"Sequence","pretokenizers":[
		{"type":"UnicodeScripts"},{"type":"Punctuation","behavior":"Contiguous"},{"type":"Digits","individual_digits":false},{"type":"CharDelimiterSplit","delimiter":"-"},{"type":"FixedLength","length":3}]}}`,
}

func loadSmall(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, err := Load([]byte(small[name]))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tok
}

func TestEncode_kinds(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []int64
	}{
		{"unigram", "ab b", []int64{1, 2, 4, 2}},
		{"unigram", "azz", []int64{1, 0}}, // unknown characters are one
		{"bpe", "ababab", []int64{4, 3}},
		{"bpe", "axyb", []int64{1, 0, 2}},
		{"bytes", "a a", []int64{2, 2}},
		{"fallback", "é", []int64{0, 1}},
		{"words", "A  <s> xbx.", []int64{9, 1, 9, 2, 8}},
		{"words", "a B ab", []int64{9, 1, 10, 0, 8}},
	} {
		if got := loadSmall(t, c.name).Encode(c.text, 0).IDs; !slices.Equal(got, c.want) {
			t.Errorf("%s of %q: got %v, want %v", c.name, c.text, got, c.want)
		}
	}
}

func TestDecode_kinds(t *testing.T) {
	for _, c := range []struct {
		name, want string
		ids        []int64
	}{
		{"unigram", "ab b", []int64{1, 2, 4, 2}},
		{"bytes", " a a", []int64{2, 2}},
		{"fallback", "éa\ufffd", []int64{0, 1, 2, 0}},
		{"words", "a b", []int64{9, 1, 2}},
	} {
		if got := loadSmall(t, c.name).Decode(c.ids, false); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestEncode_places(t *testing.T) {
	e := loadSmall(t, "words").EncodeWith(Options{Places: true}, " É<s>b")
	if want := [][2]int{{0, 0}, {1, 2}, {2, 5}, {5, 6}, {0, 0}}; !slices.Equal(e.Offsets, want) {
		t.Errorf("offsets %v, want %v", e.Offsets, want)
	}
	if want := []int{-1, 0, 1, 2, -1}; !slices.Equal(e.Words, want) {
		t.Errorf("words %v, want %v", e.Words, want)
	}
}

// A pair is cut where it is the longest, or where that is asked for.
func TestEncodePair_truncates(t *testing.T) {
	tok := minilm(t)
	long, short := strings.Repeat("hello ", 30), "world world"
	for _, c := range []struct {
		o             Options
		first, second int
	}{
		{Options{Limit: 16}, 11, 2},
		{Options{Limit: 9}, 4, 2},
		{Options{Limit: 6}, 2, 1},
		{Options{Limit: 16, OnlyFirst: true}, 11, 2},
		{Options{Limit: 34, OnlySecond: true}, 30, 1},
	} {
		c.o.Places = true
		e := tok.EncodePair(c.o, long, short)
		count := map[int]int{}
		for _, s := range e.Sequences {
			count[s]++
		}
		if count[0] != c.first || count[1] != c.second || !e.Truncated || len(e.IDs) > c.o.Limit {
			t.Errorf("%+v: %v of %d", c.o, count, len(e.IDs))
		}
	}
}

// FuzzLoad reads files of strangers.
func FuzzLoad(f *testing.F) {
	for _, text := range small {
		f.Add(text, "a B.. <s>é 12-x\u0301")
	}
	f.Add(`{"normalizer":{"type":"Precompiled","precompiled_charsmap":"BAAAAAAAAAAAAAAA"},"model":{"type":"Unigram","vocab":[["a",0]]}}`, "a\u00a0")
	f.Fuzz(func(t *testing.T, file, s string) {
		tok, err := Load([]byte(file))
		if err != nil {
			return
		}
		e := tok.EncodePair(Options{Places: true, Limit: 64}, s, "b")
		if len(e.IDs) != len(e.TypeIDs) || len(e.IDs) != len(e.Offsets) || len(e.IDs) != len(e.Words) {
			t.Errorf("%+v", e)
		}
		for _, o := range e.Offsets {
			if o[0] < 0 || o[1] > len([]rune(s)) && o[1] > 1 {
				t.Errorf("%q: %v", s, o)
			}
		}
		tok.Decode(e.IDs, true)
	})
}
