package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// A normalizer rewrites text before it is split.
type normalizer interface {
	normalize(in text, track bool) text
}

// loadNormalizer reads one; null is none.
func loadNormalizer(data json.RawMessage) (normalizer, error) {
	var head struct {
		Type        string            `json:"type"`
		Normalizers []json.RawMessage `json:"normalizers"`
		Pattern     pattern           `json:"pattern"`
		Content     string            `json:"content"`
		Prepend     string            `json:"prepend"`
		Left        bool              `json:"strip_left"`
		Right       bool              `json:"strip_right"`
		Charsmap    []byte            `json:"precompiled_charsmap"`
	}
	if absent(data) {
		return nil, nil //nolint:nilnil // none is what the file says
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("its normalizer can't be read: %w", err)
	}
	if f, ok := unicodeForms[head.Type]; ok {
		return f, nil
	}
	switch head.Type {
	case "Sequence":
		return loadSequence(head.Normalizers)
	case "BertNormalizer":
		n := &bertNormalizer{}
		return n, json.Unmarshal(data, n)
	case "Lowercase":
		return lowercase{}, nil
	case "StripAccents":
		return stripAccents{unicode.M}, nil
	case "Strip":
		return strip{head.Left, head.Right}, nil
	case "Nmt":
		return nmt{}, nil
	case "Replace":
		err := head.Pattern.compile()
		return replacer{head.Pattern, head.Content}, err
	case "Prepend":
		return prepender(head.Prepend), nil
	case "Precompiled":
		return loadPrecompiled(head.Charsmap)
	case "ByteLevel":
		return nil, fmt.Errorf("its normalizer ByteLevel is not known to this version, but the pre-tokenizer of that name is")
	}
	return nil, fmt.Errorf("its normalizer is %q, which this version does not know", head.Type)
}

func absent(data json.RawMessage) bool { return len(data) == 0 || string(data) == "null" }

type normalizers []normalizer

func loadSequence(parts []json.RawMessage) (normalizer, error) {
	var all normalizers
	for _, part := range parts {
		n, err := loadNormalizer(part)
		if err != nil {
			return nil, err
		}
		if n != nil {
			all = append(all, n)
		}
	}
	return all, nil
}

func (ns normalizers) normalize(in text, track bool) text {
	for _, n := range ns {
		in = n.normalize(in, track)
	}
	return in
}

// lowercase maps each character by itself. U+0130 is the one whose lower case
// is two characters.
type lowercase struct{}

func (lowercase) normalize(in text, track bool) text {
	return mapRunes(in, track, func(r rune) (string, bool) {
		if r == '\u0130' {
			return "i\u0307", true
		}
		l := unicode.ToLower(r)
		return string(l), l != r
	})
}

// stripAccents drops combining marks, all of them or only those that take no
// space, as BERT has it.
type stripAccents struct{ marks *unicode.RangeTable }

func (n stripAccents) normalize(in text, track bool) text {
	return mapRunes(in, track, func(r rune) (string, bool) { return "", r >= 0x300 && unicode.Is(n.marks, r) })
}

// strip drops white space at the ends.
type strip struct{ left, right bool }

func (n strip) normalize(in text, _ bool) text {
	i, j := 0, len(in.s)
	if n.left {
		i = j - len(strings.TrimLeftFunc(in.s, isSpace))
	}
	if n.right {
		j = max(i, len(strings.TrimRightFunc(in.s, isSpace)))
	}
	return in.sub(i, j)
}

// nmt drops control characters and makes odd spaces plain, as the reference
// lists them.
type nmt struct{}

func (nmt) normalize(in text, track bool) text {
	return mapRunes(in, track, func(r rune) (string, bool) {
		switch {
		case r >= 0x1 && r <= 0x8, r == 0xb, r >= 0xe && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
			return "", true
		case r == 0x9, r == 0xa, r == 0xc, r == 0xd, r == 0x1680, r >= 0x200b && r <= 0x200f, r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
			return " ", true
		}
		return "", false
	})
}

type replacer struct {
	pattern pattern
	content string
}

func (n replacer) normalize(in text, track bool) text {
	return replace(in, track, n.pattern.find(in.s), n.content)
}

type prepender string

func (n prepender) normalize(in text, track bool) text { return prepend(in, track, string(n)) }

// isSpace is Unicode's White_Space.
func isSpace(r rune) bool {
	if r < 0x80 {
		return r == ' ' || r >= '\t' && r <= '\r'
	}
	return unicode.Is(unicode.White_Space, r)
}
