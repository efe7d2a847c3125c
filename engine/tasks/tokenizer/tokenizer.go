package tokenizer

import (
	"unicode/utf8"
)

// A Tokenizer is a tokenizer.json, ready to use. It is safe for concurrent
// use.
type Tokenizer struct {
	normalizer   normalizer   // nil for none
	preTokenizer preTokenizer // nil for none
	model        model
	post         *postProcessor
	decoder      decoder // nil for none

	plain, normalized *finder // of added tokens, before and after the normalizer
	addedIDs          map[int64]string
	special           map[int64]bool
	ids               map[string]int32 // of the model's tokens
	texts             []string         // of ids
	maxLength         int              // of the file's own truncation; 0 if it has none
	padID             int64
	unknown           int64 // -1 if there is none
	prefixed          bool
}

// Options say how a text is encoded. The zero value is with special tokens and
// without a limit.
type Options struct {
	Limit      int  // most ids, special ones included; 0 is none
	OnlyFirst  bool // cut the first text only; by default the longer one
	OnlySecond bool // cut the second text only
	Plain      bool // no special tokens around
	Places     bool // fill Offsets, Words and Sequences
}

// An Encoding is a text, or two, as a model takes it. The slices that are
// filled are equally long.
type Encoding struct {
	IDs       []int64
	TypeIDs   []int64
	Truncated bool // a text was longer than allowed

	// Offsets are where tokens start and end in their text, in code points;
	// those of special tokens are 0, 0.
	Offsets [][2]int
	// Words number the words that tokens are of, as the pre-tokenizer split
	// them; -1 for special tokens.
	Words []int
	// Sequences say which text tokens are of, 0 or 1; -1 for special ones.
	Sequences []int
}

// PadID is the id that fills a batch.
func (t *Tokenizer) PadID() int64 { return t.padID }

// MaxLength is the most ids that the file's own truncation allows, or 0.
func (t *Tokenizer) MaxLength() int { return t.maxLength }

// ID returns the id of a token, by its text in the vocabulary.
func (t *Tokenizer) ID(token string) (int64, bool) {
	for id, content := range t.addedIDs {
		if content == token {
			return id, true
		}
	}
	id, ok := t.ids[token]
	return int64(id), ok
}

// Token returns the text of an id in the vocabulary, "" if it has none.
func (t *Tokenizer) Token(id int64) string {
	if s, ok := t.addedIDs[id]; ok {
		return s
	}
	if id < 0 || id >= int64(len(t.texts)) {
		return ""
	}
	return t.texts[id]
}

// Special reports whether a token is one that stands for no text.
func (t *Tokenizer) Special(id int64) bool { return t.special[id] }

// UnknownID is the id of what the vocabulary does not have, -1 if it has none.
func (t *Tokenizer) UnknownID() int64 { return t.unknown }

// HasPrefix reports whether tokens that continue a word are marked as such, as
// by ##.
func (t *Tokenizer) HasPrefix() bool { return t.prefixed }

// Size is one more than the highest id.
func (t *Tokenizer) Size() int {
	n := len(t.texts)
	for id := range t.addedIDs {
		n = max(n, int(id)+1)
	}
	return n
}

// Encode returns the ids of text with the special tokens around them, at most
// limit in all; a limit of 0 is none.
func (t *Tokenizer) Encode(s string, limit int) Encoding {
	return t.EncodeWith(Options{Limit: limit}, s)
}

// EncodePair returns the ids of two texts that belong together.
func (t *Tokenizer) EncodePair(o Options, first, second string) Encoding {
	return t.EncodeWith(o, first, second)
}

// EncodeWith returns the ids of one text, or of two as a pair.
func (t *Tokenizer) EncodeWith(o Options, texts ...string) Encoding {
	template := t.post.single
	switch {
	case o.Plain && len(texts) > 1:
		template = plainPair
	case o.Plain:
		template = plainSingle
	case len(texts) > 1:
		template = t.post.pair
	}
	room := -1
	if o.Limit > 0 {
		room = max(o.Limit-specials(template), 0)
	}
	parts := make([]Encoding, len(texts))
	for i, s := range texts {
		most := room
		if o.OnlyFirst && i > 0 || o.OnlySecond && i == 0 {
			most = -1
		}
		parts[i] = t.sequence(valid(s), o.Places, most)
	}
	truncate(parts, o, room)
	return assemble(template, parts, o.Places)
}

// Windows returns the ids of two texts, the second in as many parts as it takes
// to keep to o.Limit; neighbouring parts share stride tokens.
func (t *Tokenizer) Windows(o Options, stride int, first, second string) []Encoding {
	a, b := t.sequence(valid(first), o.Places, -1), t.sequence(valid(second), o.Places, -1)
	room := o.Limit - specials(t.post.pair) - len(a.IDs)
	if o.Limit <= 0 || len(b.IDs) <= room {
		return []Encoding{assemble(t.post.pair, []Encoding{a, b}, o.Places)}
	}
	if room <= stride { // the first leaves no room: it is cut
		a.cut(max(o.Limit-specials(t.post.pair)-stride-1, 0))
		room = stride + 1
	}
	var out []Encoding
	for from := 0; ; from += room - stride {
		part := b.part(from, min(from+room, len(b.IDs)))
		out = append(out, assemble(t.post.pair, []Encoding{a, part}, o.Places))
		if from+room >= len(b.IDs) {
			return out
		}
	}
}

// part is the tokens from one to another.
func (e *Encoding) part(from, to int) Encoding {
	p := Encoding{IDs: e.IDs[from:to]}
	if e.Offsets != nil {
		p.Offsets, p.Words = e.Offsets[from:to], e.Words[from:to]
	}
	return p
}

// truncate cuts the texts to room ids together; -1 is no limit.
func truncate(parts []Encoding, o Options, room int) {
	if room < 0 {
		return
	}
	total := 0
	for _, p := range parts {
		total += len(p.IDs)
	}
	over := total - room
	if over <= 0 {
		return
	}
	switch {
	case len(parts) == 1 || o.OnlyFirst:
		parts[0].cut(len(parts[0].IDs) - over)
	case o.OnlySecond:
		parts[1].cut(len(parts[1].IDs) - over)
	default:
		a, b := longestFirst(len(parts[0].IDs), len(parts[1].IDs), room)
		parts[0].cut(a)
		parts[1].cut(b)
	}
}

// longestFirst shares room between two texts: the shorter stays whole if it
// is less than half, and of equals the first has the smaller half.
func longestFirst(a, b, room int) (int, int) {
	short := min(a, b, room/2)
	if a <= b {
		return short, room - short
	}
	return room - short, short
}

// cut leaves the first n tokens.
func (e *Encoding) cut(n int) {
	n = max(n, 0)
	if n >= len(e.IDs) {
		return
	}
	e.IDs, e.Truncated = e.IDs[:n], true
	if e.Offsets != nil {
		e.Offsets, e.Words = e.Offsets[:n], e.Words[:n]
	}
}

// assemble puts texts in their template.
func assemble(template []piece, parts []Encoding, places bool) Encoding {
	n := specials(template)
	for _, p := range parts {
		n += len(p.IDs)
	}
	e := Encoding{IDs: make([]int64, 0, n), TypeIDs: make([]int64, 0, n)}
	for _, p := range template {
		switch {
		case p.sequence < 0:
			e.add(Encoding{IDs: p.ids}, p.typeID, -1, places)
		case p.sequence < len(parts):
			e.add(parts[p.sequence], p.typeID, p.sequence, places)
			e.Truncated = e.Truncated || parts[p.sequence].Truncated
		}
	}
	return e
}

// add appends the tokens of a text, or special ones.
func (e *Encoding) add(part Encoding, typeID int64, sequence int, places bool) {
	e.IDs = append(e.IDs, part.IDs...)
	for i := range part.IDs {
		e.TypeIDs = append(e.TypeIDs, typeID)
		if !places {
			continue
		}
		offset, word := [2]int{}, -1
		if sequence >= 0 {
			offset, word = part.Offsets[i], part.Words[i]
		}
		e.Offsets, e.Words, e.Sequences = append(e.Offsets, offset), append(e.Words, word), append(e.Sequences, sequence)
	}
}

// sequence returns the tokens of one text. With a limit, -1 being none, it
// stops as soon as there is one too many.
func (t *Tokenizer) sequence(s string, places bool, limit int) Encoding {
	var e Encoding
	var starts []span
	add := func(in text, id int64, from, to, word int) bool {
		e.IDs = append(e.IDs, id)
		if places {
			starts, e.Words = append(starts, in.origin(from, to)), append(e.Words, word)
		}
		return limit < 0 || len(e.IDs) <= limit
	}
	word, more := 0, true
	for _, part := range t.parts(s, places) {
		if !more {
			break
		}
		if part.token != nil {
			more = add(part.text, int64(part.token.ID), 0, len(part.s), word)
			word++
			continue
		}
		for _, w := range t.words(part.text, places) {
			t.model.tokens(w.s, func(id int32, from, to int) bool {
				more = add(w, int64(id), from, to, word)
				return more
			})
			word++
			if !more {
				break
			}
		}
	}
	if places {
		e.Offsets = codePoints(s, starts)
		t.post.trimSpaces(&e, t.Token)
	}
	return e
}

// parts are the added tokens in a text, and the normalized text between them.
func (t *Tokenizer) parts(s string, places bool) []found {
	var out []found
	for _, part := range t.plain.cut(text{s: s}, nil) {
		if part.token != nil {
			out = append(out, part)
			continue
		}
		if t.normalizer != nil {
			part.text = t.normalizer.normalize(part.text, places)
		}
		out = t.normalized.cut(part.text, out)
	}
	return out
}

func (t *Tokenizer) words(in text, places bool) []text {
	if t.preTokenizer == nil {
		return []text{in}
	}
	return t.preTokenizer.split(in, places, nil)
}

// codePoints turns ranges of bytes into ranges of code points.
func codePoints(s string, spans []span) [][2]int {
	out := make([][2]int, len(spans))
	if len(s) == utf8.RuneCountInString(s) {
		for i, p := range spans {
			out[i] = [2]int{int(p.start), int(p.end)}
		}
		return out
	}
	index := make([]int32, len(s)+1)
	n := int32(0)
	for i := range len(s) {
		if !utf8.RuneStart(s[i]) {
			index[i] = n
			continue
		}
		index[i] = n
		n++
	}
	index[len(s)] = n
	for i, p := range spans {
		out[i] = [2]int{int(index[p.start]), int(index[p.end])}
	}
	return out
}
