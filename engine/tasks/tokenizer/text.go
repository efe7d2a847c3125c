package tokenizer

import (
	"unicode/utf8"
)

// A span is a range of bytes of the text that was given.
type span struct{ start, end int32 }

// A text is what is left of the text that was given, as normalizers and
// pre-tokenizers hand it on.
type text struct {
	s    string
	base int    // where s starts in the original, if origin is nil
	from []span // where each byte of s comes from; nil: s is the original from base on, or nobody asks
}

// sub is the part of t between two bytes.
func (t text) sub(i, j int) text {
	if t.from != nil {
		return text{s: t.s[i:j], from: t.from[i:j]}
	}
	return text{s: t.s[i:j], base: t.base + i}
}

// at returns where a byte comes from: the whole character it is of.
func (t text) at(i int) span {
	if t.from != nil {
		return t.from[i]
	}
	start := i
	for start > 0 && !utf8.RuneStart(t.s[start]) {
		start--
	}
	_, n := utf8.DecodeRuneInString(t.s[start:])
	return span{int32(t.base + start), int32(t.base + start + n)}
}

// origin is the range of the original that bytes i to j come from; i < j.
func (t text) origin(i, j int) span { return span{t.at(i).start, t.at(j - 1).end} }

// starts reports whether t is where the original starts.
func (t text) starts() bool { return t.s == "" || t.at(0).start == 0 }

// A rewriter makes a text out of another, piece by piece. Its methods follow
// the rules of the tokenizers library for what comes from where.
type rewriter struct {
	in    text
	track bool // somebody asks where bytes come from
	out   []byte
	from  []span
}

func rewrite(in text, track bool) *rewriter {
	return &rewriter{in: in, track: track, out: make([]byte, 0, len(in.s)+8)}
}

// keep takes bytes i to j over as they are.
func (w *rewriter) keep(i, j int) {
	w.out = append(w.out, w.in.s[i:j]...)
	if !w.track {
		return
	}
	if w.in.from != nil {
		w.from = append(w.from, w.in.from[i:j]...)
		return
	}
	for ; i < j; i++ {
		w.from = append(w.from, w.in.at(i))
	}
}

// put adds s, which comes from where byte i of the input does.
func (w *rewriter) put(s string, i int) {
	w.out = append(w.out, s...)
	if !w.track {
		return
	}
	var at span
	if i >= 0 {
		at = w.in.at(i)
	}
	for range len(s) {
		w.from = append(w.from, at)
	}
}

// A change is a character of the output. Its delta is how many characters of
// the input it stands for less one, negated; 1 is one that came on top.
type change struct {
	r     rune
	delta int
}

// transform puts characters in the place of bytes i to j: each comes from
// where the next character of the input does, or from where the last one did
// if it came on top.
func (w *rewriter) transform(changes []change, i, j int) {
	for _, c := range changes {
		if c.delta > 0 {
			w.put(string(c.r), min(i, j)-1)
			continue
		}
		w.put(string(c.r), min(i, j-1))
		for range 1 - c.delta {
			_, n := utf8.DecodeRuneInString(w.in.s[min(i, j):j])
			i += n
		}
	}
}

// text is what was made.
func (w *rewriter) text() text { return text{s: string(w.out), from: w.from} }

// mapRunes replaces characters: f returns what takes the place of one, and
// false if it stays.
func mapRunes(in text, track bool, f func(r rune) (string, bool)) text {
	var w *rewriter
	kept := 0
	for i, r := range in.s {
		s, ok := f(r)
		if !ok {
			continue
		}
		if w == nil {
			w = rewrite(in, track)
		}
		w.keep(kept, i)
		w.put(s, i)
		kept = i + utf8.RuneLen(r)
	}
	if w == nil {
		return in
	}
	w.keep(kept, len(in.s))
	return w.text()
}

// prepend puts s before a text that is not empty.
func prepend(in text, track bool, s string) text {
	if in.s == "" || s == "" {
		return in
	}
	w := rewrite(in, track)
	w.put(s, 0)
	w.keep(0, len(in.s))
	return w.text()
}

// replace puts content in the place of each of the ranges.
func replace(in text, track bool, ranges [][2]int, content string) text {
	if len(ranges) == 0 {
		return in
	}
	w := rewrite(in, track)
	last := 0
	for _, r := range ranges {
		w.keep(last, r[0])
		w.put(content, r[1]-1)
		last = r[1]
	}
	w.keep(last, len(in.s))
	return w.text()
}
