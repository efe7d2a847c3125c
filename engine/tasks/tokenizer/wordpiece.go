package tokenizer

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// A wordPiece cuts words into the longest pieces that the vocabulary has.
type wordPiece struct {
	Type     string           `json:"type"`
	Unknown  string           `json:"unk_token"`
	Prefix   string           `json:"continuing_subword_prefix"`
	MaxChars int              `json:"max_input_chars_per_word"`
	Vocab    map[string]int64 `json:"vocab"`

	unknown int64
	longest int              // bytes of the longest piece
	rest    map[string]int64 // pieces that continue a word, without the prefix
}

// prepare checks the model and splits the vocabulary.
func (w *wordPiece) prepare() error {
	if len(w.Vocab) == 0 {
		return errors.New("its vocabulary is empty")
	}
	id, ok := w.Vocab[w.Unknown]
	if !ok {
		return fmt.Errorf("its unknown token %q is not in the vocabulary", w.Unknown)
	}
	if w.Prefix == "" {
		w.Prefix = "##"
	}
	if w.MaxChars <= 0 {
		w.MaxChars = 100
	}
	w.unknown, w.rest = id, map[string]int64{}
	for piece, id := range w.Vocab {
		w.longest = max(w.longest, len(piece))
		if len(piece) > len(w.Prefix) && piece[:len(w.Prefix)] == w.Prefix {
			w.rest[piece[len(w.Prefix):]] = id
		}
	}
	return nil
}

// append adds the ids of one word. A word that can't be made up of pieces, or
// is longer than the model takes, is the unknown token as a whole.
func (w *wordPiece) append(ids []int64, word string) []int64 {
	if utf8.RuneCountInString(word) > w.MaxChars {
		return append(ids, w.unknown)
	}
	before := len(ids)
	for vocab, at := w.Vocab, 0; at < len(word); vocab = w.rest {
		id, n := longestPrefix(vocab, word[at:min(len(word), at+w.longest)])
		if n == 0 {
			return append(ids[:before], w.unknown)
		}
		ids = append(ids, id)
		at += n
	}
	return ids
}

// longestPrefix finds the longest prefix of s in vocab and its length.
func longestPrefix(vocab map[string]int64, s string) (id int64, n int) {
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
