package tokenizer

import (
	"slices"
	"strconv"
	"strings"
)

// The characters that stand for bytes in byte-level vocabularies: those that
// can be printed stand for themselves, the others follow from U+0100 on.
var (
	byteRunes = makeByteRunes()
	runeBytes = makeRuneBytes()
)

func makeByteRunes() (table [256]rune) {
	next := rune(256)
	for i := range rune(256) {
		if i >= '!' && i <= '~' || i >= 0xa1 && i <= 0xac || i >= 0xae {
			table[i] = i
			continue
		}
		table[i] = next
		next++
	}
	return table
}

func makeRuneBytes() map[rune]byte {
	m := make(map[rune]byte, len(byteRunes))
	for b, r := range byteRunes {
		m[r] = byte(b)
	}
	return m
}

// bytesOf is what a token of a byte-level vocabulary stands for; false if it
// has a character that stands for no byte.
func bytesOf(token string) (string, bool) {
	raw := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := runeBytes[r]
		if !ok {
			return "", false
		}
		raw = append(raw, b)
	}
	return string(raw), true
}

// Bytes returns the bytes that each token stands for within a text, by id; nil
// for special tokens and those that stand for nothing. It reports whether that
// is known: the tokenizer writes bytes, or pieces with ▁ for a space.
func (t *Tokenizer) Bytes() ([][]byte, bool) {
	level := writesBytes(t.decoder)
	if !level && t.Join([]string{"x", "▁a"}) != "x a" {
		return nil, false
	}
	out := make([][]byte, t.Size())
	for id := range out {
		token, added := t.addedIDs[int64(id)]
		if !added {
			token = t.Token(int64(id))
		}
		switch {
		case token == "" || t.special[int64(id)]:
		case level && !added:
			if raw, ok := bytesOf(token); ok {
				out[id] = []byte(raw)
			}
		default:
			out[id] = pieceBytes(token)
		}
	}
	return out, true
}

func writesBytes(d decoder) bool {
	switch d := d.(type) {
	case byteDecoder:
		return true
	case decoders:
		return slices.ContainsFunc(d, writesBytes)
	}
	return false
}

// pieceBytes is what a piece stands for: <0x41> is a byte.
func pieceBytes(token string) []byte {
	if len(token) == 6 && strings.HasPrefix(token, "<0x") && token[5] == '>' {
		if b, err := strconv.ParseUint(token[3:5], 16, 8); err == nil {
			return []byte{byte(b)}
		}
	}
	return []byte(strings.ReplaceAll(token, "▁", " "))
}
