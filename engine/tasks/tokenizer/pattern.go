package tokenizer

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A pattern is what text is split or replaced at: a string, or a regular
// expression as Oniguruma has them. Those that Go's regexp has too are used in
// linear time; of look-ahead only \s+(?!\S) is known, which is all that
// published tokenizers use.
type pattern struct {
	literal string
	regex   string
	known   func(s string) int // a splitter made for it, or nil
	alts    []alternative      // or its alternatives, the first that matches wins
}

// An alternative matches at the start of a text.
type alternative struct {
	re     *regexp.Regexp
	spaces bool // \s+(?!\S)
}

// UnmarshalJSON reads {"String": …} or {"Regex": …}.
func (p *pattern) UnmarshalJSON(data []byte) error {
	var f struct {
		String string
		Regex  string
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return json.Unmarshal(data, &p.literal)
	}
	p.literal, p.regex = f.String, f.Regex
	return nil
}

func (p *pattern) compile() error {
	if p.regex == "" {
		return nil
	}
	if p.known = splitters[p.regex]; p.known != nil {
		return nil
	}
	for _, alt := range alternatives(p.regex) {
		if alt == `\s+(?!\S)` {
			p.alts = append(p.alts, alternative{spaces: true})
			continue
		}
		re, err := regexp.Compile(`\A(?:` + goSyntax(alt) + `)`)
		if err != nil {
			return fmt.Errorf("its pattern %q is not known to this version: %w", p.regex, err)
		}
		p.alts = append(p.alts, alternative{re: re})
	}
	return nil
}

// alternatives cuts an expression at the bars that are in no group or class.
func alternatives(expr string) []string {
	var out []string
	depth, class, from := 0, 0, 0
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\\':
			i++
		case c == '[':
			class++
		case c == ']' && class > 0:
			class--
		case class > 0:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '|' && depth == 0:
			out, from = append(out, expr[from:i]), i+1
		}
	}
	return append(out, expr[from:])
}

// What Oniguruma's classes hold, in Go's syntax, within a class.
const (
	spaceClass = `\t-\r\x{85}\p{Z}`
	wordClass  = `\p{L}\p{M}\p{N}\p{Pc}`
)

// goSyntax writes an expression as Go has it: there \s and its like are ASCII
// only, and a possessive quantifier is nothing that a greedy one that can't
// backtrack into it isn't.
func goSyntax(expr string) string {
	var b strings.Builder
	class := 0
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		switch {
		case c == '\\' && i+1 < len(expr):
			i++
			b.WriteString(escape(expr[i], class > 0))
			continue
		case c == '[':
			class++
		case c == ']' && class > 0:
			class--
		case c == '+' && class == 0 && i > 0 && strings.IndexByte("?*+}", expr[i-1]) >= 0 && (i < 2 || expr[i-2] != '\\'):
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func escape(c byte, inClass bool) string {
	sets := map[byte]string{'s': spaceClass, 'w': wordClass, 'd': `\p{Nd}`, 'h': `0-9a-fA-F`}
	set, ok := sets[c|0x20]
	switch {
	case !ok || c == 'W' && inClass || c == 'S' && inClass || c == 'D' && inClass:
		return `\` + string(c)
	case inClass:
		return set
	case c&0x20 == 0:
		return `[^` + set + `]`
	}
	return `[` + set + `]`
}

// find returns the ranges of s that match, from left to right.
func (p *pattern) find(s string) [][2]int {
	if p.regex == "" {
		return findString(s, p.literal)
	}
	var out [][2]int
	for at := 0; at < len(s); {
		if n := p.match(s[at:]); n > 0 {
			out = append(out, [2]int{at, at + n})
			at += n
			continue
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		at += n
	}
	return out
}

func findString(s, literal string) [][2]int {
	if literal == "" {
		return nil
	}
	var out [][2]int
	for at := 0; ; {
		i := strings.Index(s[at:], literal)
		if i < 0 {
			return out
		}
		out = append(out, [2]int{at + i, at + i + len(literal)})
		at += i + len(literal)
	}
}

// match returns how many bytes at the start of s match, 0 if none do.
func (p *pattern) match(s string) int {
	if p.known != nil {
		return p.known(s)
	}
	for _, alt := range p.alts {
		n := 0
		if alt.spaces {
			n = spacesBefore(s)
		} else if loc := alt.re.FindStringIndex(s); loc != nil {
			n = loc[1]
		}
		if n > 0 {
			return n
		}
	}
	return 0
}

// spacesBefore matches \s+(?!\S): white space, but for the last of it if
// something else follows.
func spacesBefore(s string) int {
	end, last := 0, 0
	for i, r := range s {
		if !isSpace(r) {
			return last
		}
		last, end = i, i+utf8.RuneLen(r)
	}
	return end
}
