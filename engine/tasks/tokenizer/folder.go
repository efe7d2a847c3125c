package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Settings are what tokenizer_config.json and special_tokens_map.json say of a
// folder without tokenizer.json. What is nil or empty is what the tokenizer's
// class usually has.
type Settings struct {
	Class        string  `json:"tokenizer_class"`
	LowerCase    *bool   `json:"do_lower_case"`
	StripAccents *bool   `json:"strip_accents"`
	Chinese      *bool   `json:"tokenize_chinese_chars"`
	PrefixSpace  bool    `json:"add_prefix_space"`
	Unknown      Special `json:"unk_token"`
	Separator    Special `json:"sep_token"`
	Pad          Special `json:"pad_token"`
	First        Special `json:"cls_token"`
	Mask         Special `json:"mask_token"`
	Begin        Special `json:"bos_token"`
	End          Special `json:"eos_token"`
	AddBegin     *bool   `json:"add_bos_token"` // LLaMA's
	AddEnd       bool    `json:"add_eos_token"`
	Legacy       *bool   `json:"legacy"`       // SentencePiece's space is put before each part of a text
	Extra        *int    `json:"extra_ids"`    // T5's
	KeepAccents  *bool   `json:"keep_accents"` // ALBERT's
}

// A Special is a token with a meaning of its own; files have it as a string or
// as an object.
type Special string

// UnmarshalJSON reads "x", {"content":"x"} or null.
func (s *Special) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if len(data) > 0 && data[0] == '{' {
		err := json.Unmarshal(data, &object)
		*s = Special(object.Content)
		return err
	}
	return json.Unmarshal(data, (*string)(s))
}

// or is the token, or the usual one.
func (s Special) or(usual string) string {
	if s == "" {
		return usual
	}
	return string(s)
}

// FromWordPiece makes BERT's tokenizer of a vocab.txt, a token a line.
func FromWordPiece(vocab []byte, s Settings) (*Tokenizer, error) {
	ids := map[string]int{}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(vocab), "\r\n", "\n"), "\n"), "\n")
	for i, token := range lines {
		ids[token] = i
	}
	unknown, first, separator := s.Unknown.or("[UNK]"), s.First.or("[CLS]"), s.Separator.or("[SEP]")
	special := []string{unknown, first, separator, s.Pad.or("[PAD]"), s.Mask.or("[MASK]")}
	for _, token := range []string{unknown, first, separator} {
		if _, ok := ids[token]; !ok {
			return nil, fmt.Errorf("vocab.txt has no %s", token)
		}
	}
	yes := func(b *bool) bool { return b == nil || *b }
	return fromParts(ids, special, s.Pad.or("[PAD]"), map[string]any{
		"normalizer":     map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": yes(s.Chinese), "strip_accents": s.StripAccents, "lowercase": yes(s.LowerCase)},
		"pre_tokenizer":  map[string]any{"type": "BertPreTokenizer"},
		"post_processor": map[string]any{"type": "BertProcessing", "sep": []any{separator, ids[separator]}, "cls": []any{first, ids[first]}},
		"decoder":        map[string]any{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model":          map[string]any{"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids},
	})
}

// FromBytePairs makes the tokenizer of GPT-2, or with the class RoBERTa or
// BART theirs, of a vocab.json and a merges.txt.
func FromBytePairs(vocab, merges []byte, s Settings) (*Tokenizer, error) {
	ids := map[string]int{}
	if err := json.Unmarshal(vocab, &ids); err != nil {
		return nil, fmt.Errorf("vocab.json can't be read: %w", err)
	}
	rules := []string{}
	for line := range bytes.Lines(merges) {
		if rule := strings.TrimRight(string(line), "\r\n"); rule != "" && !strings.HasPrefix(rule, "#version") {
			rules = append(rules, rule)
		}
	}
	level := map[string]any{"type": "ByteLevel", "add_prefix_space": s.PrefixSpace, "trim_offsets": true, "use_regex": true}
	parts := map[string]any{
		"pre_tokenizer": level, "decoder": level, "post_processor": map[string]any{"type": "ByteLevel", "trim_offsets": false},
		"model": map[string]any{"type": "BPE", "vocab": ids, "merges": rules},
	}
	switch strings.TrimSuffix(s.Class, "Fast") {
	case "RobertaTokenizer", "BartTokenizer", "LongformerTokenizer":
		first, separator := s.First.or("<s>"), s.Separator.or("</s>")
		if !has(ids, first) || !has(ids, separator) {
			return nil, fmt.Errorf("vocab.json has no %s or %s", first, separator)
		}
		parts["post_processor"] = map[string]any{"type": "RobertaProcessing", "sep": []any{separator, ids[separator]}, "cls": []any{first, ids[first]}, "trim_offsets": true, "add_prefix_space": s.PrefixSpace}
		return fromParts(ids, []string{first, s.Pad.or("<pad>"), separator, s.Unknown.or("<unk>"), s.Mask.or("<mask>")}, s.Pad.or("<pad>"), parts)
	case "GPT2Tokenizer", "":
		return fromParts(ids, []string{s.Begin.or("<|endoftext|>"), s.End.or("<|endoftext|>"), s.Unknown.or("<|endoftext|>")}, string(s.Pad), parts)
	}
	return nil, fmt.Errorf("%w: %s of vocab.json and merges.txt; save the tokenizer as tokenizer.json", errClass, s.Class)
}

var errClass = errors.New("unknown tokenizer_class")

func has(ids map[string]int, token string) bool {
	_, ok := ids[token]
	return ok
}

// fromParts loads what tokenizer.json would be.
func fromParts(ids map[string]int, special []string, pad string, parts map[string]any) (*Tokenizer, error) {
	added := map[int]any{}
	for _, token := range special {
		if id, ok := ids[token]; ok {
			// A mask takes the space before it along, in RoBERTa's way.
			added[id] = map[string]any{"id": id, "content": token, "special": true, "lstrip": token == "<mask>"}
		}
	}
	list := []any{}
	for _, id := range slices.Sorted(maps.Keys(added)) {
		list = append(list, added[id])
	}
	parts["added_tokens"] = list
	if id, ok := ids[pad]; ok {
		parts["padding"] = map[string]any{"pad_id": id, "pad_token": pad}
	}
	data, err := json.Marshal(parts)
	if err != nil {
		return nil, err
	}
	return Load(data)
}
