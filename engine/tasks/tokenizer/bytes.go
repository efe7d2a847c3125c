package tokenizer

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
