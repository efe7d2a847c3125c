package tokenizer

import (
	"slices"

	"golang.org/x/text/unicode/norm"
)

// A unicodeForm is one of Unicode's normalization forms.
type unicodeForm struct {
	form, decomposed norm.Form
	compose          bool
}

var unicodeForms = map[string]unicodeForm{
	"NFC": {norm.NFC, norm.NFD, true}, "NFD": {norm.NFD, norm.NFD, false},
	"NFKC": {norm.NFKC, norm.NFKD, true}, "NFKD": {norm.NFKD, norm.NFKD, false},
}

func (f unicodeForm) normalize(in text, track bool) text {
	if f.form.IsNormalString(in.s) {
		return in
	}
	w := rewrite(in, track)
	for at := 0; at < len(in.s); {
		n := f.form.NextBoundaryInString(in.s[at:], true)
		if n <= 0 {
			n = len(in.s) - at
		}
		if f.form.IsNormalString(in.s[at : at+n]) {
			w.keep(at, at+n)
		} else {
			f.segment(w, at, at+n)
		}
		at += n
	}
	return w.text()
}

// A composing character is one on its way through a form.
type composing struct {
	change
	class uint8
}

// segment writes the normal form of bytes from to end of the input, which
// composes with nothing around it.
func (f unicodeForm) segment(w *rewriter, from, end int) {
	var cs []composing
	for _, r := range w.in.s[from:end] {
		for i, d := range []rune(f.decomposed.String(string(r))) {
			cs = append(cs, composing{change{d, min(i, 1)}, norm.NFD.PropertiesString(string(d)).CCC()})
		}
	}
	order(cs)
	if f.compose {
		cs = recompose(cs)
	}
	changes := make([]change, len(cs))
	for i, c := range cs {
		changes[i] = c.change
	}
	w.transform(changes, from, end)
}

// order puts runs of combining marks in their canonical order.
func order(cs []composing) {
	for i := 0; i < len(cs); {
		if cs[i].class == 0 {
			i++
			continue
		}
		j := i
		for j < len(cs) && cs[j].class != 0 {
			j++
		}
		slices.SortStableFunc(cs[i:j], func(a, b composing) int { return int(a.class) - int(b.class) })
		i = j
	}
}

// recompose is Unicode's canonical composition (UAX 15, D117).
func recompose(cs []composing) []composing {
	out := cs[:0:0]
	starter, last := -1, 0 // index of the starter in out; class of what came before, -1 for the starter itself
	for _, c := range cs {
		if starter >= 0 && (last < 0 || last < int(c.class)) {
			if r, ok := composed(out[starter].r, c.r); ok {
				out[starter].r, out[starter].delta = r, out[starter].delta+c.delta-1
				continue
			}
		}
		last = int(c.class)
		if c.class == 0 {
			starter, last = len(out), -1
		}
		out = append(out, c)
	}
	return out
}

// composed is the character that two compose to, if they do.
func composed(a, b rune) (rune, bool) {
	rs := []rune(norm.NFC.String(string(a) + string(b)))
	return rs[0], len(rs) == 1
}
