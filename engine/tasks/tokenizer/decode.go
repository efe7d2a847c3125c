package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A decoder turns the texts of tokens into those that are joined.
type decoder interface {
	decode(tokens []string) []string
}

// decoderFile is one of tokenizer.json.
type decoderFile struct {
	Type           string            `json:"type"`
	Decoders       []json.RawMessage `json:"decoders"`
	Prefix         string            `json:"prefix"`
	Suffix         string            `json:"suffix"`
	Cleanup        bool              `json:"cleanup"`
	Replacement    string            `json:"replacement"`
	PrependScheme  string            `json:"prepend_scheme"`
	AddPrefixSpace *bool             `json:"add_prefix_space"`
	Pattern        pattern           `json:"pattern"`
	Content        string            `json:"content"`
	Start          int               `json:"start"`
	Stop           int               `json:"stop"`
	PadToken       string            `json:"pad_token"`
	Delimiter      string            `json:"word_delimiter_token"`
}

func loadDecoder(data json.RawMessage) (decoder, error) {
	if absent(data) {
		return nil, nil //nolint:nilnil // none is what the file says
	}
	var f decoderFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("its decoder can't be read: %w", err)
	}
	switch f.Type {
	case "Sequence":
		var all decoders
		for _, part := range f.Decoders {
			d, err := loadDecoder(part)
			if err != nil {
				return nil, err
			}
			all = append(all, d)
		}
		return all, nil
	case "Replace":
		return decodeEach(func(_, _ int, s string) string { return f.replaced(s) }), f.Pattern.compile()
	}
	if d := f.decoder(); d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("its decoder is %q, which this version does not know", f.Type)
}

func (f *decoderFile) decoder() decoder {
	switch f.Type {
	case "ByteLevel":
		return byteDecoder{}
	case "ByteFallback":
		return fallbackDecoder{}
	case "Fuse":
		return decodeAll(func(tokens []string) []string { return []string{strings.Join(tokens, "")} })
	case "WordPiece":
		return decodeEach(f.wordPiece)
	case "Metaspace":
		return decodeEach(f.metaspace)
	case "BPEDecoder":
		return decodeEach(f.bpe)
	case "Strip":
		return decodeEach(f.strip)
	case "CTC":
		return decodeAll(f.ctc)
	}
	return nil
}

type decoders []decoder

func (ds decoders) decode(tokens []string) []string {
	for _, d := range ds {
		if d != nil {
			tokens = d.decode(tokens)
		}
	}
	return tokens
}

// decodeAll is a decoder that sees all tokens.
type decodeAll func(tokens []string) []string

func (d decodeAll) decode(tokens []string) []string { return d(tokens) }

// decodeEach is a decoder that sees a token, which one it is and of how many.
type decodeEach func(i, of int, token string) string

func (d decodeEach) decode(tokens []string) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = d(i, len(tokens), t)
	}
	return out
}

func (f *decoderFile) replaced(s string) string {
	var b strings.Builder
	last := 0
	for _, m := range f.Pattern.find(s) {
		b.WriteString(s[last:m[0]])
		b.WriteString(f.Content)
		last = m[1]
	}
	b.WriteString(s[last:])
	return b.String()
}

func (f *decoderFile) wordPiece(i, _ int, s string) string {
	if i > 0 {
		if rest, ok := strings.CutPrefix(s, f.Prefix); ok {
			s = rest
		} else {
			s = " " + s
		}
	}
	if f.Cleanup {
		s = cleanup(s)
	}
	return s
}

// cleanup takes out the spaces that the tokenization of English puts in, in
// the reference's order.
func cleanup(s string) string {
	for _, r := range [][2]string{
		{" .", "."},
		{" ?", "?"},
		{" !", "!"},
		{" ,", ","},
		{" ' ", "'"},
		{" n't", "n't"},
		{" 'm", "'m"},
		{" do not", " don't"},
		{" 's", "'s"},
		{" 've", "'ve"},
		{" 're", "'re"},
	} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
}

func (f *decoderFile) metaspace(i, _ int, s string) string {
	keeps := f.PrependScheme == "never" || f.PrependScheme == "" && f.AddPrefixSpace != nil && !*f.AddPrefixSpace
	if i == 0 && !keeps {
		return strings.ReplaceAll(s, f.Replacement, "")
	}
	return strings.ReplaceAll(s, f.Replacement, " ")
}

func (f *decoderFile) bpe(i, of int, s string) string {
	if i == of-1 {
		return strings.ReplaceAll(s, f.Suffix, "")
	}
	return strings.ReplaceAll(s, f.Suffix, " ")
}

func (f *decoderFile) strip(_, _ int, s string) string {
	for range f.Start {
		rest, ok := strings.CutPrefix(s, f.Content)
		if !ok || f.Content == "" {
			break
		}
		s = rest
	}
	for range f.Stop {
		rest, ok := strings.CutSuffix(s, f.Content)
		if !ok || f.Content == "" {
			break
		}
		s = rest
	}
	return s
}

// ctc joins what is repeated and drops the padding.
func (f *decoderFile) ctc(tokens []string) []string {
	var out []string
	for i, s := range tokens {
		if i > 0 && tokens[i-1] == s {
			continue
		}
		s = strings.ReplaceAll(s, f.PadToken, "")
		if f.Cleanup {
			s = strings.ReplaceAll(cleanup(s), f.Delimiter, " ")
		}
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// byteDecoder turns characters back into the bytes that they stand for.
type byteDecoder struct{}

func (byteDecoder) decode(tokens []string) []string {
	var all strings.Builder
	for _, t := range tokens {
		if raw, ok := bytesOf(t); ok {
			t = raw
		}
		all.WriteString(t)
	}
	return []string{lossy(all.String())}
}

// lossy writes U+FFFD for each part that is no UTF-8: as Unicode recommends,
// one for the longest start of a character.
func lossy(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			n = invalid(s)
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

// invalid returns how long the broken character is that s starts with.
func invalid(s string) int {
	for n := 1; n < min(len(s), 4); n++ {
		if utf8.FullRuneInString(s[:n]) { // it is known by now to be broken
			return n
		}
		if next, _ := utf8.DecodeRuneInString(s[:n+1]); next != utf8.RuneError {
			return n
		}
		if utf8.FullRuneInString(s[:n+1]) {
			return n
		}
	}
	return len(s[:min(len(s), 4)])
}

// fallbackDecoder turns <0xE2> and its like back into characters.
type fallbackDecoder struct{}

func (fallbackDecoder) decode(tokens []string) []string {
	var out []string
	var raw []byte
	flush := func() {
		if utf8.Valid(raw) && len(raw) > 0 {
			out = append(out, string(raw))
		} else {
			for range raw {
				out = append(out, string(utf8.RuneError))
			}
		}
		raw = nil
	}
	for _, t := range tokens {
		if len(t) == 6 && strings.HasPrefix(t, "<0x") && t[5] == '>' {
			if b, err := strconv.ParseUint(t[3:5], 16, 8); err == nil {
				raw = append(raw, byte(b))
				continue
			}
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out
}

// Decode returns the text of ids. Special tokens are left out unless they are
// wanted; so are ids that the vocabulary does not have.
func (t *Tokenizer) Decode(ids []int64, special bool) string {
	var tokens []string
	for _, id := range ids {
		_, added := t.addedIDs[id]
		if !added && (id < 0 || id >= int64(len(t.texts))) || t.special[id] && !special {
			continue
		}
		tokens = append(tokens, t.Token(id))
	}
	return t.Join(tokens)
}

// Join makes a text of tokens, as they stand in the vocabulary.
func (t *Tokenizer) Join(tokens []string) string {
	if t.decoder == nil {
		return strings.Join(tokens, " ")
	}
	return strings.Join(t.decoder.decode(tokens), "")
}
