package tokenizer

import (
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// A piece is one part of a template: a text, or special tokens.
type piece struct {
	sequence int // 0 and 1 are the texts; -1: ids
	ids      []int64
	typeID   int64
}

// A postProcessor says what goes around texts.
type postProcessor struct {
	single, pair []piece
	trim         bool // white space is no part of the place of a token
	prefixSpace  bool // and the first of it was put there
}

// postProcessorFile is one of tokenizer.json.
type postProcessorFile struct {
	Type           string                      `json:"type"`
	Single         []map[string]templateRef    `json:"single"`
	Pair           []map[string]templateRef    `json:"pair"`
	SpecialTokens  map[string]templateSpecials `json:"special_tokens"`
	Sep            bertSpecial                 `json:"sep"`
	Cls            bertSpecial                 `json:"cls"`
	TrimOffsets    *bool                       `json:"trim_offsets"`
	AddPrefixSpace *bool                       `json:"add_prefix_space"`
	Processors     []postProcessorFile         `json:"processors"`
}

type templateRef struct {
	ID     string `json:"id"`
	TypeID int64  `json:"type_id"`
}

type templateSpecials struct {
	IDs []int64 `json:"ids"`
}

// A bertSpecial is a pair of a token and its id.
type bertSpecial struct{ id int64 }

// UnmarshalJSON reads ["[CLS]", 101].
func (b *bertSpecial) UnmarshalJSON(data []byte) error {
	var token string
	pair := [2]any{&token, &b.id}
	return json.Unmarshal(data, &pair)
}

// The templates where a file has none.
var (
	plainSingle = []piece{{sequence: 0}}
	plainPair   = []piece{{sequence: 0}, {sequence: 1, typeID: 1}}
)

func loadPostProcessor(data json.RawMessage) (*postProcessor, error) {
	p := &postProcessor{single: plainSingle, pair: plainPair}
	if absent(data) {
		return p, nil
	}
	var f postProcessorFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("its post-processor can't be read: %w", err)
	}
	return p, f.apply(p)
}

// apply adds what one of the file's processors does.
func (f *postProcessorFile) apply(p *postProcessor) (err error) {
	cls, sep := piece{sequence: -1, ids: []int64{f.Cls.id}}, piece{sequence: -1, ids: []int64{f.Sep.id}}
	isTrue := func(b *bool) bool { return b == nil || *b }
	switch f.Type {
	case "BertProcessing":
		sepB := piece{sequence: -1, ids: sep.ids, typeID: 1}
		p.single, p.pair = []piece{cls, {}, sep}, []piece{cls, {}, sep, {sequence: 1, typeID: 1}, sepB}
	case "RobertaProcessing":
		p.single, p.pair = []piece{cls, {}, sep}, []piece{cls, {}, sep, sep, {sequence: 1}, sep}
		p.trim, p.prefixSpace = isTrue(f.TrimOffsets), isTrue(f.AddPrefixSpace)
	case "ByteLevel":
		p.trim, p.prefixSpace = isTrue(f.TrimOffsets), isTrue(f.AddPrefixSpace)
	case "TemplateProcessing":
		if p.single, err = f.template(f.Single); err != nil {
			return err
		}
		p.pair, err = f.template(f.Pair)
		return err
	case "Sequence":
		for i := range f.Processors {
			if err := f.Processors[i].apply(p); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("its post-processor is %q, which this version does not know", f.Type)
	}
	return nil
}

func (f *postProcessorFile) template(parts []map[string]templateRef) ([]piece, error) {
	var out []piece
	for _, part := range parts {
		if ref, ok := part["Sequence"]; ok {
			out = append(out, piece{sequence: map[string]int{"B": 1}[ref.ID], typeID: ref.TypeID})
			continue
		}
		ref, ok := part["SpecialToken"]
		special, known := f.SpecialTokens[ref.ID]
		if !ok || !known {
			return nil, fmt.Errorf("its template names a token %q that it does not define", ref.ID)
		}
		out = append(out, piece{sequence: -1, ids: special.IDs, typeID: ref.TypeID})
	}
	return out, nil
}

// specials is how many special tokens a template has.
func specials(template []piece) int {
	n := 0
	for _, p := range template {
		n += len(p.ids)
	}
	return n
}

// trimSpaces takes white space off the places of tokens, in code points.
func (p *postProcessor) trimSpaces(e *Encoding, token func(id int64) string) {
	if !p.trim {
		return
	}
	for i, id := range e.IDs {
		leading, trailing := whiteEnds(token(id))
		o := &e.Offsets[i]
		if leading > 0 {
			if p.prefixSpace && (i == 0 || o[0] == 0) {
				leading = 0
			}
			o[0] = min(o[0]+leading, o[1])
		}
		if trailing > 0 && o[1] >= trailing {
			o[1] = max(o[1]-trailing, o[0])
		}
	}
}

// whiteEnds counts the white space at both ends of a token, in characters.
func whiteEnds(token string) (leading, trailing int) {
	white := func(r rune) bool { return r == byteRunes[' '] || unicode.Is(unicode.White_Space, r) }
	for _, r := range token {
		if !white(r) {
			break
		}
		leading++
	}
	for token != "" {
		r, n := utf8.DecodeLastRuneInString(token)
		if !white(r) {
			break
		}
		trailing++
		token = token[:len(token)-n]
	}
	return leading, trailing
}
