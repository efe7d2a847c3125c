package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// A bertNormalizer is the normalizer of BERT's original tokenizer.
type bertNormalizer struct {
	CleanText     bool  `json:"clean_text"`
	HandleChinese bool  `json:"handle_chinese_chars"`
	StripAccents  *bool `json:"strip_accents"` // null means as Lowercase
	Lowercase     bool  `json:"lowercase"`
}

func (n *bertNormalizer) normalize(in text, track bool) text {
	if n.CleanText {
		in = clean(in, track)
	}
	if n.HandleChinese {
		in = mapRunes(in, track, func(r rune) (string, bool) {
			return " " + string(r) + " ", isChinese(r)
		})
	}
	if n.StripAccents != nil && *n.StripAccents || n.StripAccents == nil && n.Lowercase {
		in = stripAccents{unicode.Mn}.normalize(unicodeForms["NFD"].normalize(in, track), track)
	}
	if n.Lowercase {
		in = lowercase{}.normalize(in, track)
	}
	return in
}

// clean drops control characters and makes every space plain.
func clean(in text, track bool) text {
	return mapRunes(in, track, func(r rune) (string, bool) {
		if r > ' ' && r < 0x7f {
			return "", false
		}
		if r == 0 || r == utf8.RuneError || isControl(r) {
			return "", true
		}
		return " ", r != ' ' && isSpace(r)
	})
}

// isControl is the reference's: categories Cc, Cf, Co and Cs, but for the
// control characters that are spaces.
func isControl(r rune) bool {
	if r < 0x7f {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r'
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs)
}

// isChinese reports whether r is in one of the CJK ideograph blocks that the
// reference names.
func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B73F || r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}

// isPunctuation holds for all of ASCII that is neither letter, digit, space
// nor control, and for category P beyond.
func isPunctuation(r rune) bool {
	if r < 0x80 {
		return r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
	}
	return unicode.Is(unicode.P, r)
}
