package tokenizer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A referenceRow is what the reference makes of a text.
type referenceRow struct {
	IDs     []int64 `json:"ids"`
	Types   []int64 `json:"types"`
	Offsets []int   `json:"offsets"`
	Words   []int   `json:"words"`
	Text    string  `json:"text"`
	Special string  `json:"special"`
}

type reference struct {
	Rows  []referenceRow `json:"rows"`
	Pairs []referenceRow `json:"pairs"`
}

func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func flat(offsets [][2]int) []int {
	out := make([]int, 0, 2*len(offsets))
	for _, o := range offsets {
		out = append(out, o[0], o[1])
	}
	return out
}

// otherUnicode are the characters that this program and the reference take for
// different things, for their tables are of different versions of Unicode:
// those that only one of them takes for a mark, punctuation or control.
func otherUnicode(t *testing.T, dir string) map[rune]bool {
	var theirs struct{ Accents, Controls, Punctuation, Reordered []rune }
	readJSON(t, filepath.Join(dir, "unicode.json"), &theirs)
	other := map[rune]bool{}
	compare := func(list []rune, ours func(rune) bool) {
		for r := range rune(unicode.MaxRune + 1) {
			if _, has := slices.BinarySearch(list, r); has != ours(r) && !unicode.In(r, unicode.Co, unicode.Cs) && unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf) {
				other[r] = true
			}
		}
	}
	compare(theirs.Accents, func(r rune) bool { return r >= 0x300 && unicode.Is(unicode.Mn, r) })
	compare(theirs.Controls, func(r rune) bool { return r == 0 || r == unicode.ReplacementChar || isControl(r) })
	compare(theirs.Punctuation, isPunctuation)
	compare(theirs.Reordered, func(r rune) bool {
		return r != 0x334 && norm.NFD.PropertiesString(string(r)).CCC() > 1 && strings.HasPrefix(norm.NFD.String(string(r)+"\u0334"), "\u0334")
	})
	var list []rune
	for r := range other {
		list = append(list, r)
	}
	slices.Sort(list)
	t.Logf("Unicode %s here has %d characters that the reference's versions do not take for the same: %U", unicode.Version, len(list), list)
	return other
}

// Ids, types, offsets, words and decoded texts are those of the tokenizers
// library for Rust, for every real vocabulary.
func TestTokenizer_equalsReference(t *testing.T) {
	dir := referenceFor(t, 2000)
	other := otherUnicode(t, dir)
	if len(other) > 1000 {
		t.Fatal("these are too many to be left out")
	}
	var texts []string
	readJSON(t, filepath.Join(dir, "texts.json"), &texts)
	for _, v := range vocabularies {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			c := comparison{t: t, dir: dir, name: v.name, texts: texts, other: other}
			c.run()
		})
	}
}

// A comparison is of one vocabulary.
type comparison struct {
	t         *testing.T
	dir, name string
	texts     []string
	other     map[rune]bool
	left      int // texts left out
	wrong     int
}

func (c *comparison) run() {
	var ref reference
	readJSON(c.t, filepath.Join(c.dir, c.name+".json"), &ref)
	tok := loadFile(c.t, filepath.Join(c.dir, c.name+".tokenizer.json"))
	for i, s := range c.texts {
		want := ref.Rows[i]
		if got := tok.Decode(want.IDs, false); got != want.Text {
			c.differs("decoded", s, got, want.Text)
		}
		if got := tok.Decode(want.IDs, true); got != want.Special {
			c.differs("decoded with special tokens", s, got, want.Special)
		}
		if strings.ContainsFunc(s, func(r rune) bool { return c.other[r] }) {
			c.left++
			continue
		}
		c.encoded(s, tok.EncodeWith(Options{Places: true}, s), want)
		if plain := tok.Encode(s, 0); !slices.Equal(plain.IDs, want.IDs) {
			c.differs("ids without places", s, plain.IDs, want.IDs)
		}
	}
	for i, want := range ref.Pairs {
		a, b := c.texts[2*i], c.texts[2*i+1]
		if !strings.ContainsFunc(a+b, func(r rune) bool { return c.other[r] }) {
			got := tok.EncodePair(Options{}, a, b)
			c.same("ids of a pair", a+" | "+b, got.IDs, want.IDs)
			c.same("types of a pair", a+" | "+b, got.TypeIDs, want.Types)
		}
	}
	c.t.Logf("%d texts compared, %d left out for their characters", len(c.texts)-c.left, c.left)
	if c.left*10 > len(c.texts)*3 {
		c.t.Error("too many were left out")
	}
}

func (c *comparison) encoded(s string, got Encoding, want referenceRow) {
	c.same("ids", s, got.IDs, want.IDs)
	c.same("types", s, got.TypeIDs, want.Types)
	same(c, "offsets", s, flat(got.Offsets), want.Offsets)
	same(c, "words", s, got.Words, want.Words)
}

func (c *comparison) same(what, s string, got, want []int64) { same(c, what, s, got, want) }

func same[T comparable](c *comparison, what, s string, got, want []T) {
	if !slices.Equal(got, want) {
		c.differs(what, s, got, want)
	}
}

func (c *comparison) differs(what, s string, got, want any) {
	if c.wrong++; c.wrong <= 5 {
		c.t.Errorf("%s of %+q:\n got %v\nwant %v", what, s, fmt.Sprintf("%+q", got), fmt.Sprintf("%+q", want))
	}
	if c.wrong == 6 {
		c.t.Error("and more")
	}
}

func loadFile(t testing.TB, path string) *Tokenizer {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
