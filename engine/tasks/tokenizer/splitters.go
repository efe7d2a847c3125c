package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// The patterns of published tokenizers that have splitters of their own: those
// take a tenth of the time, and no text makes them slow.
const (
	gpt2Pattern  = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llamaPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwenPattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var splitters = map[string]func(string) int{
	gpt2Pattern:  splitGPT2,
	llamaPattern: func(s string) int { return splitLlama(s, 3) },
	qwenPattern:  func(s string) int { return splitLlama(s, 1) },
}

// The kinds of characters that the patterns tell apart.
const (
	other byte = iota
	letter
	number
	space
)

// kinds of the characters of the basic plane, made when they are first needed.
var kinds = sync.OnceValue(func() *[1 << 16]byte {
	var table [1 << 16]byte
	for r := range rune(len(table)) {
		table[r] = slowKind(r)
	}
	return &table
})

func slowKind(r rune) byte {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.Is(unicode.N, r):
		return number
	case isSpace(r):
		return space
	}
	return other
}

func kindOf(r rune) byte {
	if r < 1<<16 {
		return kinds()[r]
	}
	return slowKind(r)
}

// run returns where the characters of a kind end that start at byte i, at most
// so many of them.
func run(s string, i int, kind byte, most int) int {
	for ; i < len(s) && most != 0; most-- {
		r, n := utf8.DecodeRuneInString(s[i:])
		if kindOf(r) != kind {
			break
		}
		i += n
	}
	return i
}

// contraction matches 's, 't, 're, 've, 'm, 'll and 'd.
func contraction(s string, fold func(rune) rune) int {
	if s == "" || s[0] != '\'' || len(s) < 2 {
		return 0
	}
	a, n := utf8.DecodeRuneInString(s[1:])
	switch a = fold(a); a {
	case 's', 't', 'm', 'd':
		return 1 + n
	}
	b, m := utf8.DecodeRuneInString(s[1+n:])
	switch b = fold(b); {
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 1 + n + m
	}
	return 0
}

func asIs(r rune) rune { return r }

// foldCase is what (?i:…) makes of the letters of contractions. The long s is
// an s.
func foldCase(r rune) rune {
	if r == 'ſ' {
		return 's'
	}
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// splitGPT2 matches gpt2Pattern at the start of s.
func splitGPT2(s string) int {
	if n := contraction(s, asIs); n > 0 {
		return n
	}
	from := 0
	if len(s) > 1 && s[0] == ' ' {
		from = 1
	}
	r, _ := utf8.DecodeRuneInString(s[from:])
	if kind := kindOf(r); kind != space {
		return run(s, from, kind, -1)
	}
	return spaces(s)
}

// spaces matches \s+(?!\S)|\s+.
func spaces(s string) int {
	if n := spacesBefore(s); n > 0 {
		return n
	}
	return run(s, 0, space, -1)
}

// splitLlama matches llamaPattern at the start of s, with so many digits to a
// number.
func splitLlama(s string, digits int) int {
	if n := contraction(s, foldCase); n > 0 {
		return n
	}
	r, n := utf8.DecodeRuneInString(s)
	kind := kindOf(r)
	switch {
	case kind == letter:
		return run(s, 0, letter, -1)
	case kind == number:
		return run(s, 0, number, digits)
	case r != '\r' && r != '\n': // one other character may lead letters
		if end := run(s, n, letter, -1); end > n {
			return end
		}
	}
	from := 0
	if s[0] == ' ' {
		from = 1
	}
	if end := run(s, from, other, -1); end > from {
		for end < len(s) && (s[end] == '\r' || s[end] == '\n') {
			end++
		}
		return end
	}
	return newlines(s)
}

// newlines matches \s*[\r\n]+|\s+(?!\S)|\s+: white space up to its last line
// break.
func newlines(s string) int {
	last := 0
	for i, r := range s {
		if !isSpace(r) {
			break
		}
		if r == '\r' || r == '\n' {
			last = i + 1
		}
	}
	if last > 0 {
		return last
	}
	return spaces(s)
}
