package tokenizer

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

// FromMarian makes the tokenizer of Marian's models of translation: source.spm
// cuts a text into pieces, and vocab.json has the ids of those and of the pieces
// that are written. A language code at the front, >>fr<<, is one token.
func FromMarian(source, vocab []byte, s Settings) (*Tokenizer, error) {
	p, err := readPieces(source)
	if err != nil {
		return nil, err
	}
	ids, err := (&modelFile{Vocab: vocab}).vocabulary()
	if err != nil {
		return nil, err
	}
	last, unknown, pad := s.End.or("</s>"), s.Unknown.or("<unk>"), s.Pad.or("<pad>")
	known := make(map[string]int, len(ids))
	for token, id := range ids {
		known[token] = int(id)
	}
	if !has(known, last) || !has(known, unknown) {
		return nil, errors.New("vocab.json has no " + last + " or " + unknown)
	}
	parts := p.marian()
	parts["post_processor"] = ends{last: last}.template(known)
	parts["added_tokens"] = marianAdded(known, []string{last, unknown, pad})
	if id, ok := known[pad]; ok {
		parts["padding"] = object{"pad_id": id, "pad_token": pad}
	}
	data, err := json.Marshal(parts)
	if err != nil {
		return nil, err
	}
	t, err := Load(data)
	if err != nil {
		return nil, err
	}
	t.model = named{t.model, ids, ids[unknown]}
	t.setVocabulary(ids)
	t.unknown = int64(ids[unknown])
	return t, nil
}

// marian is how SentencePiece itself reads and writes, but for the ids.
func (p *pieceFile) marian() object {
	pieces := slices.Clone(p.pieces)
	for i, piece := range pieces {
		if piece.kind == controlPiece || piece.kind == unknownPiece {
			pieces[i].text = "" // it is in no text
		}
	}
	parts := p.parts(Settings{})
	steps := []object{{"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "Replace", "pattern": object{"Regex": " {2,}"}, "content": " "}}
	if len(p.charsmap) > 0 {
		steps = slices.Insert(steps, 0, object{"type": "Precompiled", "precompiled_charsmap": p.charsmap})
	}
	parts["normalizer"] = object{"type": "Sequence", "normalizers": steps}
	parts["pre_tokenizer"] = object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": false}
	parts["model"] = p.model(pieces, p.unknown, false)
	return parts
}

// marianAdded are the tokens that are found in texts as they are: the special
// ones, and the codes of languages.
func marianAdded(ids map[string]int, special []string) []object {
	var out []object
	for _, token := range slices.SortedFunc(maps.Keys(ids), func(a, b string) int { return ids[a] - ids[b] }) {
		is := slices.Contains(special, token)
		if is || strings.HasPrefix(token, ">>") && strings.HasSuffix(token, "<<") {
			out = append(out, object{"id": ids[token], "content": token, "special": is})
		}
	}
	return out
}

// named are the tokens of a model under the ids that a vocabulary has for their
// texts.
type named struct {
	model
	ids     map[string]int32
	unknown int32
}

func (n named) tokens(s string, yield func(id int32, from, to int) bool) {
	n.model.tokens(s, func(_ int32, from, to int) bool {
		id, ok := n.ids[s[from:to]]
		if !ok {
			id = n.unknown
		}
		return yield(id, from, to)
	})
}
