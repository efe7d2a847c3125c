package tokenizer

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// A behavior says what becomes of the matches that a text is split at.
type behavior string

// The behaviors, as tokenizer.json has them.
const (
	removed            behavior = "Removed"
	isolated           behavior = "Isolated"
	mergedWithPrevious behavior = "MergedWithPrevious"
	mergedWithNext     behavior = "MergedWithNext"
	contiguous         behavior = "Contiguous"
)

func (b behavior) check() error {
	if slices.Contains([]behavior{removed, isolated, mergedWithPrevious, mergedWithNext, contiguous}, b) {
		return nil
	}
	return fmt.Errorf("its splits are %q, which this version does not know", b)
}

// A cut is a part of a text, which matched or did not.
type cut struct {
	from, to int
	match    bool
}

// cuts covers n bytes with what matched and what lies between.
func cuts(n int, matches [][2]int, invert bool) []cut {
	var out []cut
	last := 0
	for _, m := range matches {
		if m[0] > last {
			out = append(out, cut{last, m[0], invert})
		}
		out = append(out, cut{m[0], m[1], !invert})
		last = m[1]
	}
	if last < n {
		out = append(out, cut{last, n, invert})
	}
	return out
}

// apply joins or leaves out parts.
func (b behavior) apply(parts []cut) []cut {
	switch b {
	case removed:
		return slices.DeleteFunc(parts, func(c cut) bool { return c.match })
	case mergedWithPrevious:
		return merge(parts, func(last, c cut) bool { return c.match && !last.match })
	case mergedWithNext:
		return mergeBack(parts)
	case contiguous:
		return merge(parts, func(last, c cut) bool { return c.match == last.match })
	case isolated:
	}
	return parts
}

// merge joins a part to the one before it where that is asked for. What it is
// joined to is as the part that came last.
func merge(parts []cut, joins func(last, c cut) bool) []cut {
	var out []cut
	for i, c := range parts {
		if i > 0 && joins(parts[i-1], c) {
			out[len(out)-1].to = c.to
			continue
		}
		out = append(out, c)
	}
	return out
}

// mergeBack joins each match to what follows it, unless that is a match too.
func mergeBack(parts []cut) []cut {
	var out []cut
	for i, c := range slices.Backward(parts) {
		if c.match && i+1 < len(parts) && !parts[i+1].match {
			out[len(out)-1].from = c.from
			continue
		}
		out = append(out, c)
	}
	slices.Reverse(out)
	return out
}

// split cuts a text at matches and hands on what is left of it.
func (b behavior) split(in text, matches [][2]int, invert bool, out []text) []text {
	for _, c := range b.apply(cuts(len(in.s), matches, invert)) {
		if c.from < c.to {
			out = append(out, in.sub(c.from, c.to))
		}
	}
	return out
}

// each returns the characters for which f holds, each a match.
func each(s string, f func(rune) bool) [][2]int {
	var out [][2]int
	for i, r := range s {
		if f(r) {
			out = append(out, [2]int{i, i + utf8.RuneLen(r)})
		}
	}
	return out
}
