package shape

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An expr is a set of byte strings. Equal ones are the same pointer, within a
// language.
type expr struct {
	id       int
	kind     kind
	set      [4]uint64 // of a class, the bytes
	parts    []*expr   // of cat, alt and repeat
	min, max int       // of repeat; max is negative if there is none
	empty    bool      // the empty string is in it
	least    int       // bytes of the shortest string

	next map[byte]*expr // derivatives that are known
}

type kind byte

const (
	nothing kind = iota // no string at all
	class               // one byte of a set
	cat                 // one part behind the other
	alt                 // either part
	repeat              // a part several times
)

// A language makes expressions.
type language struct {
	all   map[string]*expr
	none  *expr
	blank *expr // the empty string only
}

// never is the length of the shortest string where there is none.
const never = 1 << 40

// maxStates bounds the expressions that a schema and a text may lead to.
const maxStates = 1 << 20

func newLanguage() *language {
	l := &language{all: map[string]*expr{}}
	l.none = l.intern(expr{kind: nothing, least: never})
	l.blank = l.intern(expr{kind: cat, empty: true})
	return l
}

// intern returns the expression that is equal to e.
func (l *language) intern(e expr) *expr {
	var key strings.Builder
	fmt.Fprintf(&key, "%d:%d:%d:", e.kind, e.min, e.max)
	if e.kind == class {
		fmt.Fprint(&key, e.set)
	}
	for _, p := range e.parts {
		fmt.Fprintf(&key, "%d,", p.id)
	}
	if known := l.all[key.String()]; known != nil {
		return known
	}
	e.id = len(l.all)
	e.next = map[byte]*expr{}
	l.all[key.String()] = &e
	return &e
}

// bytes is one byte of a set.
func (l *language) bytes(ranges ...[2]byte) *expr {
	e := expr{kind: class, least: 1}
	for _, r := range ranges {
		for b := int(r[0]); b <= int(r[1]); b++ {
			e.set[b>>6] |= 1 << (b & 63)
		}
	}
	return l.intern(e)
}

// text is one string.
func (l *language) text(s string) *expr {
	parts := make([]*expr, len(s))
	for i := range len(s) {
		parts[i] = l.bytes([2]byte{s[i], s[i]})
	}
	return l.cat(parts...)
}

// cat is one after the other.
func (l *language) cat(parts ...*expr) *expr {
	out := l.blank
	for _, p := range slices.Backward(parts) {
		out = l.pair(p, out)
	}
	return out
}

// pair keeps its first part from being another pair, so that equal sequences
// look equal.
func (l *language) pair(a, b *expr) *expr {
	switch {
	case a == l.none || b == l.none:
		return l.none
	case a == l.blank:
		return b
	case b == l.blank:
		return a
	case a.kind == cat:
		return l.pair(a.parts[0], l.pair(a.parts[1], b))
	}
	return l.intern(expr{kind: cat, parts: []*expr{a, b}, empty: a.empty && b.empty, least: min(a.least+b.least, never)})
}

// alt is either of them.
func (l *language) alt(parts ...*expr) *expr {
	var flat []*expr
	for _, p := range parts {
		if p.kind == alt {
			flat = append(flat, p.parts...)
		} else if p != l.none {
			flat = append(flat, p)
		}
	}
	slices.SortFunc(flat, func(a, b *expr) int { return cmp.Compare(a.id, b.id) })
	flat = slices.Compact(flat)
	switch len(flat) {
	case 0:
		return l.none
	case 1:
		return flat[0]
	}
	e := expr{kind: alt, parts: flat, least: never}
	for _, p := range flat {
		e.empty, e.least = e.empty || p.empty, min(e.least, p.least)
	}
	return l.intern(e)
}

// repeat is so many times; most is negative if there is no end to it.
func (l *language) repeat(p *expr, least, most int) *expr {
	if most == 0 || p == l.blank {
		return l.blank
	}
	if p == l.none || most > 0 && least > most {
		if least == 0 {
			return l.blank
		}
		return l.none
	}
	return l.intern(expr{kind: repeat, parts: []*expr{p}, min: least, max: max(most, -1), empty: least == 0 || p.empty, least: min(p.least*least, never)})
}

func (l *language) optional(p *expr) *expr { return l.alt(p, l.blank) }

// derive is what may follow a byte.
func (l *language) derive(e *expr, b byte) *expr {
	if d, ok := e.next[b]; ok {
		return d
	}
	out := l.none
	switch e.kind {
	case class:
		if e.set[b>>6]>>(b&63)&1 == 1 {
			out = l.blank
		}
	case cat:
		if e != l.blank {
			out = l.pair(l.derive(e.parts[0], b), e.parts[1])
			if e.parts[0].empty {
				out = l.alt(out, l.derive(e.parts[1], b))
			}
		}
	case alt:
		each := make([]*expr, len(e.parts))
		for i, p := range e.parts {
			each[i] = l.derive(p, b)
		}
		out = l.alt(each...)
	case repeat:
		out = l.pair(l.derive(e.parts[0], b), l.repeat(e.parts[0], max(e.min-1, 0), max(e.max, 0)-1))
	}
	e.next[b] = out
	return out
}
