package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A bertNormalizer is the normalizer of BERT's original tokenizer.
type bertNormalizer struct {
	Type          string `json:"type"`
	CleanText     bool   `json:"clean_text"`
	HandleChinese bool   `json:"handle_chinese_chars"`
	StripAccents  *bool  `json:"strip_accents"` // null means as Lowercase
	Lowercase     bool   `json:"lowercase"`
}

func (n *bertNormalizer) normalize(s string) string {
	s = n.clean(s)
	if n.StripAccents != nil && *n.StripAccents || n.StripAccents == nil && n.Lowercase {
		s = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFD.String(s))
	}
	if n.Lowercase {
		s = lower(s)
	}
	return s
}

// clean drops control characters, makes every space plain, and puts spaces
// around Chinese characters, which are words of their own.
func (n *bertNormalizer) clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if n.CleanText {
			if r == 0 || r == utf8.RuneError || isControl(r) {
				continue
			}
			if unicode.Is(unicode.White_Space, r) {
				r = ' '
			}
		}
		if n.HandleChinese && isChinese(r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isControl is the reference's: categories Cc, Cf, Co, Cs and what is not
// assigned, but for the control characters that are spaces.
func isControl(r rune) bool {
	if r < 0x7f {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r'
	}
	return !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z)
}

// isChinese reports whether r is in one of the CJK ideograph blocks that the
// reference names.
func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B73F || r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}

// lower maps each character by itself. U+0130 is the one whose lower case is
// two characters.
func lower(s string) string {
	const dottedI = "\u0130"
	return strings.Map(unicode.ToLower, strings.ReplaceAll(s, dottedI, "i\u0307"))
}

// split calls yield for each run of neither spaces nor punctuation, and for
// each punctuation character, until it returns false.
func split(s string, yield func(string) bool) {
	start := -1
	for i, r := range s {
		space, punct := unicode.Is(unicode.White_Space, r), isPunctuation(r)
		if !space && !punct {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 && !yield(s[start:i]) {
			return
		}
		start = -1
		if punct && !yield(s[i:i+utf8.RuneLen(r)]) {
			return
		}
	}
	if start >= 0 {
		yield(s[start:])
	}
}

// isPunctuation holds for all of ASCII that is neither letter, digit, space
// nor control, and for category P beyond.
func isPunctuation(r rune) bool {
	if r < 0x80 {
		return r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
	}
	return unicode.Is(unicode.P, r)
}
