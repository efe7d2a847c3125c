package shape

import (
	"fmt"
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// maxPattern bounds the bytes of a pattern.
const maxPattern = 1000

// pattern is the strings that a regular expression, in Go's syntax, finds
// something in.
func (c *compiler) pattern(pattern, at string) (*expr, error) {
	refuse := func(what string) error {
		return &SchemaError{at, fmt.Sprintf("has the pattern %.100q, %s", pattern, what), "write one that ^ begins and $ ends, of characters, classes, groups, | and counts"}
	}
	if len(pattern) > maxPattern {
		return nil, refuse(fmt.Sprintf("which has more than %d bytes", maxPattern))
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, refuse("which is not known here: " + err.Error())
	}
	e, err := c.found(tree)
	if err != nil {
		return nil, refuse("with " + err.Error() + ", which is not known here")
	}
	return c.cat(c.text(`"`), e, c.text(`"`)), nil
}

// anything is any characters, as they are written in a pattern's string.
func (c *compiler) anything() *expr {
	return c.repeat(c.runes([]rune{0, unicode.MaxRune}), 0, -1)
}

// found are the strings in which a tree finds something: what is before it is
// free unless the tree begins with ^, and so is what is behind.
func (c *compiler) found(tree *syntax.Regexp) (*expr, error) {
	parts := []*syntax.Regexp{tree}
	switch tree.Op {
	case syntax.OpAlternate:
		var all []*expr
		for _, sub := range tree.Sub {
			e, err := c.found(sub)
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
		return c.alt(all...), nil
	case syntax.OpCapture:
		return c.found(tree.Sub[0])
	case syntax.OpConcat:
		parts = tree.Sub
	}
	before, behind := c.anything(), c.anything()
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		before, parts = c.blank, parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		behind, parts = c.blank, parts[:n-1]
	}
	body, err := c.trees(parts)
	if err != nil {
		return nil, err
	}
	return c.cat(before, c.cat(body...), behind), nil
}

func (c *compiler) trees(subs []*syntax.Regexp) ([]*expr, error) {
	var out []*expr
	for _, sub := range subs {
		e, err := c.tree(sub)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// tree is what a part of a pattern stands for.
func (c *compiler) tree(t *syntax.Regexp) (*expr, error) {
	subs, err := c.trees(t.Sub)
	if err != nil {
		return nil, err
	}
	switch t.Op {
	case syntax.OpEmptyMatch:
		return c.blank, nil
	case syntax.OpLiteral:
		return c.literal(t.Rune, t.Flags&syntax.FoldCase != 0), nil
	case syntax.OpCharClass:
		return c.runes(t.Rune), nil
	case syntax.OpAnyChar:
		return c.runes([]rune{0, unicode.MaxRune}), nil
	case syntax.OpAnyCharNotNL: // nor the other ends of lines of JavaScript
		return c.runes([]rune{0, '\n' - 1, '\n' + 1, '\r' - 1, '\r' + 1, '\u2027', '\u202a', unicode.MaxRune}), nil
	case syntax.OpCapture, syntax.OpConcat:
		return c.cat(subs...), nil
	case syntax.OpAlternate:
		return c.alt(subs...), nil
	case syntax.OpStar:
		return c.repeat(subs[0], 0, -1), nil
	case syntax.OpPlus:
		return c.repeat(subs[0], 1, -1), nil
	case syntax.OpQuest:
		return c.optional(subs[0]), nil
	case syntax.OpRepeat:
		return c.repeat(subs[0], t.Min, t.Max), nil
	case syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine:
		return nil, fmt.Errorf("%s within it", t)
	}
	return nil, fmt.Errorf("%s", t)
}

// literal is a text, in either case if fold is true.
func (c *compiler) literal(text []rune, fold bool) *expr {
	var parts []*expr
	for _, r := range text {
		set := []rune{r, r}
		for other := unicode.SimpleFold(r); fold && other != r; other = unicode.SimpleFold(other) {
			set = append(set, other, other)
		}
		parts = append(parts, c.runes(set))
	}
	return c.cat(parts...)
}

// shortEscapes are the characters that have an escape of their own.
var shortEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}

// runes is one character of ranges, each from one to another, as it is written
// in a string: as itself where it may be.
func (c *compiler) runes(ranges []rune) *expr {
	var all []*expr
	for i := 0; i+1 < len(ranges); i += 2 {
		from, to := ranges[i], ranges[i+1]
		for r := from; r <= min(to, '\\'); r++ {
			if escape, ok := shortEscapes[r]; ok {
				all = append(all, c.text(escape))
			} else if r < ' ' {
				all = append(all, c.text(fmt.Sprintf(`\u%04x`, r)))
			}
		}
		for _, plain := range [][2]rune{{' ', '!'}, {'#', '['}, {']', 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, unicode.MaxRune}} {
			if a, b := max(from, plain[0]), min(to, plain[1]); a <= b {
				all = append(all, c.encoded(a, b))
			}
		}
	}
	return c.alt(all...)
}

// encoded are the characters from one to another, of equally many bytes.
func (c *compiler) encoded(from, to rune) *expr {
	return c.sequence(utf8.AppendRune(nil, from), utf8.AppendRune(nil, to))
}

// sequence is the bytes from one string to another of the same length, all but
// the first from 0x80 to 0xbf.
func (c *compiler) sequence(a, b []byte) *expr {
	if len(a) == 0 {
		return c.blank
	}
	if a[0] == b[0] {
		return c.cat(c.bytes([2]byte{a[0], a[0]}), c.sequence(a[1:], b[1:]))
	}
	rest := func(with byte) []byte {
		out := make([]byte, len(a)-1)
		for i := range out {
			out[i] = with
		}
		return out
	}
	first, last := a[0], b[0]
	all := []*expr{c.cat(c.bytes([2]byte{first, first}), c.sequence(a[1:], rest(0xbf))), c.cat(c.bytes([2]byte{last, last}), c.sequence(rest(0x80), b[1:]))}
	if first+1 < last {
		n := len(a) - 1
		all = append(all, c.cat(c.bytes([2]byte{first + 1, last - 1}), c.repeat(c.bytes([2]byte{0x80, 0xbf}), n, n)))
	}
	return c.alt(all...)
}
