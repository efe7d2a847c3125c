package tokenizer

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// A model turns a piece of text into tokens.
type model interface {
	// tokens calls yield for each token: its id and its bytes of s, which
	// several may share. It stops when yield returns false.
	tokens(s string, yield func(id int32, from, to int) bool)
}

// A wordPiece cuts words into the longest pieces that the vocabulary has.
type wordPiece struct {
	vocab    map[string]int32
	rest     map[string]int32 // pieces that continue a word, without the prefix
	unknown  int32
	maxChars int
	longest  int // bytes of the longest piece
}

func (f *modelFile) wordPiece() (*wordPiece, error) {
	w := &wordPiece{rest: map[string]int32{}, maxChars: f.MaxChars}
	var err error
	if w.vocab, err = f.vocabulary(); err != nil {
		return nil, err
	}
	var ok bool
	if w.unknown, ok = w.vocab[f.Unknown]; !ok {
		return nil, fmt.Errorf("its unknown token %q is not in the vocabulary", f.Unknown)
	}
	prefix := "##"
	if f.Prefix != nil && *f.Prefix != "" {
		prefix = *f.Prefix
	}
	if w.maxChars <= 0 {
		w.maxChars = 100
	}
	w.maxChars = min(w.maxChars, maxToken)
	for piece, id := range w.vocab {
		w.longest = max(w.longest, len(piece))
		if len(piece) > len(prefix) && piece[:len(prefix)] == prefix {
			w.rest[piece[len(prefix):]] = id
		}
	}
	return w, nil
}

// tokens of a word that can't be made up of pieces, or is longer than the
// model takes, are the unknown token as a whole.
func (w *wordPiece) tokens(s string, yield func(id int32, from, to int) bool) {
	var ids [16]int32
	var ends [16]int
	found, at := ids[:0], ends[:0]
	if utf8.RuneCountInString(s) > w.maxChars {
		yield(w.unknown, 0, len(s))
		return
	}
	for vocab, from := w.vocab, 0; from < len(s); vocab = w.rest {
		id, n := longestPrefix(vocab, s[from:min(len(s), from+w.longest)])
		if n == 0 {
			yield(w.unknown, 0, len(s))
			return
		}
		from += n
		found, at = append(found, id), append(at, from)
	}
	from := 0
	for i, id := range found {
		if !yield(id, from, at[i]) {
			return
		}
		from = at[i]
	}
}

// longestPrefix finds the longest prefix of s in vocab and its length.
func longestPrefix(vocab map[string]int32, s string) (id int32, n int) {
	for n = len(s); n > 0; n-- {
		if n < len(s) && !utf8.RuneStart(s[n]) {
			continue
		}
		if id, ok := vocab[s[:n]]; ok {
			return id, n
		}
	}
	return 0, 0
}

// A wordLevel has a token for each word.
type wordLevel struct {
	vocab   map[string]int32
	unknown int32
}

func (f *modelFile) wordLevel() (*wordLevel, error) {
	vocab, err := f.vocabulary()
	if err != nil {
		return nil, err
	}
	id, ok := vocab[f.Unknown]
	if !ok {
		return nil, errors.New("its unknown token is not in the vocabulary")
	}
	return &wordLevel{vocab, id}, nil
}

func (w *wordLevel) tokens(s string, yield func(id int32, from, to int) bool) {
	id, ok := w.vocab[s]
	if !ok {
		id = w.unknown
	}
	yield(id, 0, len(s))
}
