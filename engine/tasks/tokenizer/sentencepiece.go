package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A pieceFile is what of SentencePiece's .model the tokenizer needs.
type pieceFile struct {
	pieces   []scoredPiece
	kind     uint64 // 1 Unigram, 2 BPE
	unknown  int
	charsmap []byte // of the normalizer
}

type scoredPiece struct {
	text  string
	score float64
	kind  uint64 // 0 or 1 is one of texts
}

// Kinds of pieces that are in no text.
const (
	unknownPiece = 2
	controlPiece = 3
)

// MarshalJSON writes [text, score], as a Unigram vocabulary has it.
func (p scoredPiece) MarshalJSON() ([]byte, error) { return json.Marshal([]any{p.text, p.score}) }

var errPieces = errors.New("it is no model of SentencePiece")

// fields calls f with each field of a message of Protocol Buffers: the number
// of a varint or fixed field, or the bytes of another.
func fields(data []byte, f func(field protowire.Number, n uint64, b []byte) error) error {
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errPieces
		}
		data = data[n:]
		var number uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			number = uint64(v)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(field, kind, data)
		}
		if n < 0 {
			return errPieces
		}
		if err := f(field, number, b); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// readPieces reads a ModelProto.
func readPieces(data []byte) (*pieceFile, error) {
	p := &pieceFile{kind: 1}
	err := fields(data, func(field protowire.Number, _ uint64, b []byte) error {
		switch field {
		case 1:
			return p.readPiece(b)
		case 2: // TrainerSpec
			return fields(b, func(field protowire.Number, n uint64, _ []byte) error {
				switch field {
				case 3:
					p.kind = n
				case 40:
					p.unknown = int(int32(uint32(n)))
				}
				return nil
			})
		case 3: // NormalizerSpec
			return fields(b, func(field protowire.Number, _ uint64, b []byte) error {
				if field == 2 {
					p.charsmap = b
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && (len(p.pieces) == 0 || p.unknown < 0 || p.unknown >= len(p.pieces)) {
		err = errPieces
	}
	return p, err
}

func (p *pieceFile) readPiece(b []byte) error {
	var piece scoredPiece
	err := fields(b, func(field protowire.Number, n uint64, b []byte) error {
		switch field {
		case 1:
			piece.text = string(b)
		case 2:
			piece.score = float64(math.Float32frombits(uint32(n)))
		case 3:
			piece.kind = n
		}
		return nil
	})
	if len(p.pieces) == maxVocabulary || !utf8.ValidString(piece.text) || len(piece.text) > maxToken || math.IsNaN(piece.score) || math.IsInf(piece.score, 0) {
		return errPieces
	}
	p.pieces = append(p.pieces, piece)
	return err
}

// FromSentencePiece makes the tokenizer that transformers does of a .model
// file of SentencePiece, for the class of tokenizers that s names: those of
// T5, LLaMA, XLM-RoBERTa and ALBERT, and their likes.
func FromSentencePiece(model []byte, s Settings) (*Tokenizer, error) {
	p, err := readPieces(model)
	if err != nil {
		return nil, err
	}
	switch class := strings.TrimSuffix(s.Class, "Fast"); class {
	case "T5Tokenizer", "MT5Tokenizer":
		return p.t5(s)
	case "LlamaTokenizer", "CodeLlamaTokenizer":
		return p.llama(s)
	case "XLMRobertaTokenizer":
		return p.xlmRoberta(s)
	case "AlbertTokenizer":
		return p.albert(s)
	}
	return nil, fmt.Errorf("%w: %q of a SentencePiece model; save the tokenizer as tokenizer.json", errClass, s.Class)
}

// An object is one of tokenizer.json.
type object = map[string]any

// parts are what most classes have in common.
func (p *pieceFile) parts(s Settings) object {
	scheme := "always"
	if s.Legacy != nil && !*s.Legacy {
		scheme = "first"
	}
	steps := []object{
		{"type": "Strip", "strip_left": false, "strip_right": true},
		{"type": "Replace", "pattern": object{"Regex": " {2,}"}, "content": "▁"},
	}
	if len(p.charsmap) > 0 {
		steps = slices.Insert(steps, 0, object{"type": "Precompiled", "precompiled_charsmap": p.charsmap})
	}
	space := object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true}
	return object{"normalizer": object{"type": "Sequence", "normalizers": steps}, "pre_tokenizer": space, "decoder": space}
}

// model is the vocabulary as transformers converts it.
func (p *pieceFile) model(pieces []scoredPiece, unknown int, fallback bool) object {
	if p.kind != 2 {
		return object{"type": "Unigram", "vocab": pieces, "unk_id": unknown, "byte_fallback": fallback}
	}
	ids := make(map[string]int, len(pieces))
	for i, piece := range pieces {
		ids[piece.text] = i
	}
	return object{"type": "BPE", "vocab": ids, "merges": p.merges(pieces, fallback), "unk_token": pieces[unknown].text, "fuse_unk": true, "byte_fallback": fallback}
}

// maxSplit bounds the bytes of a piece that is taken apart: what that takes
// grows with their square.
const maxSplit = 256

// merges are all pairs of pieces that make up another: the piece with the
// highest score first, or where scores are not followed that which came first.
func (p *pieceFile) merges(pieces []scoredPiece, byScore bool) [][2]string {
	ids := make(map[string]int, len(p.pieces))
	for i, piece := range p.pieces {
		ids[piece.text] = i
	}
	type merge struct {
		pair        [2]string
		left, right int
		rank        float64
	}
	var all []merge
	for i, piece := range pieces {
		if len(piece.text) > maxSplit {
			continue
		}
		rank, at := float64(i), len(all)
		if byScore {
			rank = -piece.score
		}
		for cut := range piece.text {
			left, okLeft := ids[piece.text[:cut]]
			right, okRight := ids[piece.text[cut:]]
			if cut > 0 && okLeft && okRight {
				all = append(all, merge{[2]string{piece.text[:cut], piece.text[cut:]}, left, right, rank})
			}
		}
		slices.SortFunc(all[at:], func(a, b merge) int { return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right)) })
	}
	slices.SortStableFunc(all, func(a, b merge) int { return cmp.Compare(a.rank, b.rank) })
	out := make([][2]string, len(all))
	for i, m := range all {
		out[i] = m.pair
	}
	return out
}

// extraIDs is how many tokens T5 has for what is to be filled in.
const extraIDs = 100

func (p *pieceFile) t5(s Settings) (*Tokenizer, error) {
	extra := extraIDs
	if s.Extra != nil {
		extra = min(max(*s.Extra, 0), 10*extraIDs)
	}
	pieces := slices.Clone(p.pieces)
	var added []object
	for i := extra - 1; i >= 0; i-- {
		token := fmt.Sprintf("<extra_id_%d>", i)
		added = append(added, object{"id": len(pieces), "content": token, "special": true})
		pieces = append(pieces, scoredPiece{text: token})
	}
	parts := p.parts(s)
	parts["model"] = p.model(pieces, p.unknown, false)
	return finishPieces(parts, pieces, added, ends{last: s.End.or("</s>")}, []string{s.End.or("</s>"), s.Unknown.or("<unk>"), s.Pad.or("<pad>")}, s.Pad.or("<pad>"))
}

func (p *pieceFile) llama(s Settings) (*Tokenizer, error) {
	unknown, first, last := s.Unknown.or("<unk>"), s.Begin.or("<s>"), s.End.or("</s>")
	if len(p.pieces) < 4 {
		return nil, errPieces
	}
	pieces := slices.Clone(p.pieces)
	for i := range 3 {
		pieces[i].score = 0
	}
	parts := object{
		"normalizer": object{"type": "Sequence", "normalizers": []object{{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": object{"String": " "}, "content": "▁"}}},
		"decoder": object{"type": "Sequence", "decoders": []object{
			{"type": "Replace", "pattern": object{"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0},
		}},
		"model": p.model(pieces, 0, true),
	}
	e := ends{first: first, types: true}
	if s.AddBegin != nil && !*s.AddBegin {
		e.first = ""
	}
	if s.AddEnd {
		e.last = last
	}
	return finishPieces(parts, pieces, nil, e, []string{unknown, first, last}, string(s.Pad))
}

func (p *pieceFile) xlmRoberta(s Settings) (*Tokenizer, error) {
	first, last, pad, unknown, mask := s.First.or("<s>"), s.Separator.or("</s>"), s.Pad.or("<pad>"), s.Unknown.or("<unk>"), s.Mask.or("<mask>")
	if len(p.pieces) < 4 {
		return nil, errPieces
	}
	pieces := []scoredPiece{{text: first}, {text: pad}, {text: last}, {text: unknown}}
	pieces = append(append(pieces, p.pieces[3:]...), scoredPiece{text: mask})
	parts := p.parts(s)
	parts["model"] = p.model(pieces, 3, false)
	return finishPieces(parts, pieces, nil, ends{first: first, last: last, between: 2}, []string{first, pad, last, unknown, mask}, pad)
}

func (p *pieceFile) albert(s Settings) (*Tokenizer, error) {
	first, last, pad := s.First.or("[CLS]"), s.Separator.or("[SEP]"), s.Pad.or("<pad>")
	pieces := slices.Clone(p.pieces)
	for i, piece := range pieces {
		if n := len(piece.text); n >= 2 && piece.text[n-1] == ',' && piece.text[n-2] >= '0' && piece.text[n-2] <= '9' {
			pieces[i].score -= 100 // a number does not take a comma along
		}
	}
	steps := []object{{"type": "Replace", "pattern": object{"String": "``"}, "content": "\""}, {"type": "Replace", "pattern": object{"String": "''"}, "content": "\""}}
	if s.KeepAccents == nil || !*s.KeepAccents {
		steps = append(steps, object{"type": "NFKD"}, object{"type": "StripAccents"})
	}
	if s.LowerCase == nil || *s.LowerCase {
		steps = append(steps, object{"type": "Lowercase"})
	}
	if len(p.charsmap) > 0 {
		steps = append(steps, object{"type": "Precompiled", "precompiled_charsmap": p.charsmap})
	}
	parts := p.parts(s)
	parts["normalizer"] = object{"type": "Sequence", "normalizers": append(steps, object{"type": "Replace", "pattern": object{"Regex": " {2,}"}, "content": " "})}
	parts["model"] = p.model(pieces, p.unknown, false)
	return finishPieces(parts, pieces, nil, ends{first: first, last: last, between: 1, types: true}, []string{first, last, s.Unknown.or("<unk>"), pad, s.Mask.or("[MASK]")}, pad)
}

// ends are what stands around texts: a token before, one behind, and how many
// of the latter between two.
type ends struct {
	first, last string
	between     int
	types       bool // the second text has the type 1
}

// template is the post-processor.
func (e ends) template(ids map[string]int) object {
	special := object{}
	token := func(s string, kind int) object {
		special[s] = object{"id": s, "ids": []int{ids[s]}, "tokens": []string{s}}
		return object{"SpecialToken": object{"id": s, "type_id": kind}}
	}
	around := func(name string, kind, last int) []object {
		out := []object{{"Sequence": object{"id": name, "type_id": kind}}}
		for range last {
			if e.last != "" {
				out = append(out, token(e.last, kind))
			}
		}
		return out
	}
	second := 0
	if e.types {
		second = 1
	}
	single, pair, behind := around("A", 0, 1), around("A", 0, 1), around("B", second, 1)
	if e.between == 2 {
		behind = append([]object{token(e.last, 0)}, behind...)
	}
	if e.first != "" {
		single, pair = append([]object{token(e.first, 0)}, single...), append([]object{token(e.first, 0)}, pair...)
		if e.between == 0 { // each text has its own
			behind = append([]object{token(e.first, second)}, behind...)
		}
	}
	return object{"type": "TemplateProcessing", "single": single, "pair": append(pair, behind...), "special_tokens": special}
}

// finishPieces loads what tokenizer.json would be.
func finishPieces(parts object, pieces []scoredPiece, added []object, e ends, special []string, pad string) (*Tokenizer, error) {
	ids := make(map[string]int, len(pieces))
	for i, piece := range pieces {
		ids[piece.text] = i
	}
	for _, token := range special {
		id, ok := ids[token]
		if !ok {
			id = len(ids)
			ids[token] = id
		}
		added = append(added, object{"id": id, "content": token, "special": true, "lstrip": strings.EqualFold(strings.Trim(token, "<[]>"), "mask")})
	}
	slices.SortFunc(added, func(a, b object) int { return cmp.Compare(a["id"].(int), b["id"].(int)) }) //nolint:forcetypeassert // made above
	parts["added_tokens"], parts["post_processor"] = added, e.template(ids)
	if id, ok := ids[pad]; ok {
		parts["padding"] = object{"pad_id": id, "pad_token": pad}
	}
	data, err := json.Marshal(parts)
	if err != nil {
		return nil, err
	}
	return Load(data)
}
