package tokenizer

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// An addedToken is text that stands for one id and is never split.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only between what are no letters
	Lstrip     bool   `json:"lstrip"`      // with the white space before it
	Rstrip     bool   `json:"rstrip"`      // and behind it
	Normalized bool   `json:"normalized"`  // looked for in normalized text
	Special    bool   `json:"special"`
}

// A finder finds added tokens, the longest at each place.
type finder struct {
	trie   *trie
	tokens []addedToken
	first  [256]bool // bytes that tokens start with
}

// newFinder looks for the tokens as they are once they are rewritten.
func newFinder(tokens []addedToken, rewritten func(string) string) *finder {
	f := &finder{}
	byText := map[string]int32{}
	for _, t := range tokens {
		if s := rewritten(t.Content); s != "" {
			byText[s] = int32(len(f.tokens))
			f.tokens = append(f.tokens, t)
			f.first[s[0]] = true
		}
	}
	keys := make([]string, 0, len(byText))
	for s := range byText {
		keys = append(keys, s)
	}
	sort.Strings(keys)
	values := make([]int32, len(keys))
	for i, s := range keys {
		values[i] = byText[s]
	}
	f.trie = newTrie(keys, values)
	return f
}

// A found part of a text is an added token, or text between them.
type found struct {
	text
	token *addedToken
}

// cut splits a text at its added tokens.
func (f *finder) cut(in text, out []found) []found {
	last := 0
	for i := 0; i < len(in.s) && len(f.tokens) > 0; {
		if !f.first[in.s[i]] {
			i++
			continue
		}
		n, value := f.trie.longest(in.s[i:])
		if value < 0 {
			i++
			continue
		}
		t := &f.tokens[value]
		start, stop := i, i+n
		i = stop
		if t.SingleWord && (endsWithWord(in.s[:start]) || startsWithWord(in.s[stop:])) {
			continue
		}
		if t.Lstrip {
			start = max(last, len(strings.TrimRightFunc(in.s[:start], isSpace)))
		}
		if t.Rstrip {
			stop = len(in.s) - len(strings.TrimLeftFunc(in.s[stop:], isSpace))
		}
		if start < last {
			continue // an earlier one has taken its start
		}
		if last < start {
			out = append(out, found{in.sub(last, start), nil})
		}
		out = append(out, found{in.sub(start, stop), t})
		last = stop
		i = max(i, last)
	}
	if last < len(in.s) {
		out = append(out, found{in.sub(last, len(in.s)), nil})
	}
	return out
}

func endsWithWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}
