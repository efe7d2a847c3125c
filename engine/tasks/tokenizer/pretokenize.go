package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A preTokenizer cuts texts into what the model is given, one by one.
type preTokenizer interface {
	split(in text, track bool, out []text) []text
}

// preTokenizerFile is one of tokenizer.json.
type preTokenizerFile struct {
	Type           string            `json:"type"`
	PreTokenizers  []json.RawMessage `json:"pretokenizers"`
	AddPrefixSpace *bool             `json:"add_prefix_space"`
	UseRegex       *bool             `json:"use_regex"`
	Individual     bool              `json:"individual_digits"`
	Replacement    string            `json:"replacement"`
	PrependScheme  string            `json:"prepend_scheme"`
	Split          *bool             `json:"split"`
	Behavior       behavior          `json:"behavior"`
	Delimiter      string            `json:"delimiter"`
	Pattern        pattern           `json:"pattern"`
	Invert         bool              `json:"invert"`
	Length         int               `json:"length"`
}

func loadPreTokenizer(data json.RawMessage) (preTokenizer, error) {
	if absent(data) {
		return nil, nil //nolint:nilnil // none is what the file says
	}
	var f preTokenizerFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("its pre-tokenizer can't be read: %w", err)
	}
	switch f.Type {
	case "Sequence":
		return f.sequence()
	case "BertPreTokenizer":
		return preTokenizers{runes{isSpace, removed}, runes{isPunctuation, isolated}}, nil
	case "ByteLevel":
		return byteLevel{f.AddPrefixSpace == nil || *f.AddPrefixSpace, f.UseRegex == nil || *f.UseRegex}, nil
	case "Metaspace":
		return f.metaspace()
	case "Split":
		err := errors.Join(f.Behavior.check(), f.Pattern.compile())
		return splitter{f.Pattern, f.Behavior, f.Invert}, err
	case "Punctuation":
		if f.Behavior == "" {
			f.Behavior = isolated
		}
		return runes{isPunctuation, f.Behavior}, f.Behavior.check()
	}
	return f.simple()
}

// simple are those that are one rule.
func (f *preTokenizerFile) simple() (preTokenizer, error) {
	switch f.Type {
	case "Whitespace":
		return words{}, nil
	case "WhitespaceSplit":
		return runes{isSpace, removed}, nil
	case "CharDelimiterSplit":
		r, _ := utf8.DecodeRuneInString(f.Delimiter)
		return runes{func(c rune) bool { return c == r }, removed}, nil
	case "Digits":
		b := contiguous
		if f.Individual {
			b = isolated
		}
		return runes{func(c rune) bool { return unicode.Is(unicode.N, c) }, b}, nil
	case "UnicodeScripts":
		return scripts{}, nil
	case "FixedLength":
		return fixedLength(max(f.Length, 1)), nil
	}
	return nil, fmt.Errorf("its pre-tokenizer is %q, which this version does not know", f.Type)
}

type preTokenizers []preTokenizer

func (f *preTokenizerFile) sequence() (preTokenizer, error) {
	var all preTokenizers
	for _, part := range f.PreTokenizers {
		p, err := loadPreTokenizer(part)
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, p)
		}
	}
	return all, nil
}

func (ps preTokenizers) split(in text, track bool, out []text) []text {
	parts := []text{in}
	for _, p := range ps {
		var next []text
		for _, part := range parts {
			next = p.split(part, track, next)
		}
		parts = next
	}
	return append(out, parts...)
}

// runes splits at single characters.
type runes struct {
	is func(rune) bool
	behavior
}

func (p runes) split(in text, _ bool, out []text) []text {
	return p.behavior.split(in, each(in.s, p.is), false, out)
}

// splitter splits at a pattern.
type splitter struct {
	pattern pattern
	behavior
	invert bool
}

func (p splitter) split(in text, _ bool, out []text) []text {
	return p.behavior.split(in, p.pattern.find(in.s), p.invert, out)
}

// byteLevel leaves nothing out: what its model is given is bytes. Which
// character stands for which is the model's affair, see [bpe].
type byteLevel struct{ prefixSpace, regex bool }

func (p byteLevel) split(in text, track bool, out []text) []text {
	if p.prefixSpace && !strings.HasPrefix(in.s, " ") {
		in = prepend(in, track, " ")
	}
	if !p.regex {
		return isolated.split(in, nil, false, out)
	}
	for at := 0; at < len(in.s); {
		n := splitGPT2(in.s[at:])
		out = append(out, in.sub(at, at+n))
		at += n
	}
	return out
}

// metaspace writes spaces as another character, and splits before it.
type metaspace struct {
	replacement string
	scheme      string // "always", "first" or "never" a space is thought before the text
	cuts        bool
}

func (f *preTokenizerFile) metaspace() (preTokenizer, error) {
	m := metaspace{f.Replacement, f.PrependScheme, f.Split == nil || *f.Split}
	if m.scheme == "" { // as it was written before there were schemes
		m.scheme = "always"
		if f.AddPrefixSpace != nil && !*f.AddPrefixSpace {
			m.scheme = "never"
		}
	}
	if utf8.RuneCountInString(m.replacement) != 1 {
		return nil, fmt.Errorf("its Metaspace has %q for a space", m.replacement)
	}
	return m, nil
}

func (p metaspace) split(in text, track bool, out []text) []text {
	in = replace(in, track, findString(in.s, " "), p.replacement)
	if (p.scheme == "always" || p.scheme == "first" && in.starts()) && !strings.HasPrefix(in.s, p.replacement) {
		in = prepend(in, track, p.replacement)
	}
	if !p.cuts {
		return isolated.split(in, nil, false, out)
	}
	return mergedWithNext.split(in, findString(in.s, p.replacement), false, out)
}

// words splits as \w+|[^\w\s]+ does.
type words struct{}

func (words) split(in text, _ bool, out []text) []text {
	kind := func(r rune) byte {
		switch {
		case isSpace(r):
			return space
		case isWord(r):
			return letter
		}
		return other
	}
	for at := 0; at < len(in.s); {
		end, first := at, byte(0)
		for i, r := range in.s[at:] {
			if k := kind(r); i == 0 {
				first = k
			} else if k != first {
				break
			}
			end = at + i + utf8.RuneLen(r)
		}
		if first != space {
			out = append(out, in.sub(at, end))
		}
		at = end
	}
	return out
}

// isWord is \w of Rust's regex: UTS 18, Annex C.
func isWord(r rune) bool {
	if r < 0x80 {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}

// fixedLength splits into so many characters each.
type fixedLength int

func (p fixedLength) split(in text, _ bool, out []text) []text {
	from, n := 0, 0
	for i := range in.s {
		if n == int(p) {
			out, from, n = append(out, in.sub(from, i)), i, 0
		}
		n++
	}
	if from < len(in.s) {
		out = append(out, in.sub(from, len(in.s)))
	}
	return out
}

// scripts splits where one script ends and the next begins; Japanese is one.
type scripts struct{}

func (scripts) split(in text, _ bool, out []text) []text {
	from, last := 0, ""
	for i, r := range in.s {
		script := scriptOf(r)
		if last != "" && script != "" && script != last {
			out, from = append(out, in.sub(from, i)), i
		}
		if script != "" {
			last = script
		}
	}
	if from < len(in.s) {
		out = append(out, in.sub(from, len(in.s)))
	}
	return out
}

// scriptOf is "" for spaces, which belong to either side.
func scriptOf(r rune) string {
	switch {
	case r == ' ':
		return ""
	case r == 'ー', unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han):
		return "Han"
	case unicode.Is(unicode.Common, r):
		return "Common"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "Unknown"
}
