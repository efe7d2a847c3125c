package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A Tokenizer is a tokenizer.json, ready to use. It is safe for concurrent
// use.
type Tokenizer struct {
	normalizer   *bertNormalizer
	preTokenizer bool // split at whitespace and punctuation
	model        *wordPiece
	added        []addedToken
	template     []piece
	maxLength    int // of the file's own truncation; 0 if it has none
	padID        int64
}

// An Encoding is a text as a model takes it. The slices are equally long.
type Encoding struct {
	IDs       []int64
	TypeIDs   []int64
	Truncated bool // the text was longer than allowed
}

// file is the part of tokenizer.json that is read.
type file struct {
	Truncation *struct {
		MaxLength int `json:"max_length"`
	} `json:"truncation"`
	Padding *struct {
		PadID int64 `json:"pad_id"`
	} `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    *bertNormalizer `json:"normalizer"`
	PreTokenizer  *typed          `json:"pre_tokenizer"`
	PostProcessor *postProcessor  `json:"post_processor"`
	Model         *wordPiece      `json:"model"`
}

type typed struct {
	Type string `json:"type"`
}

// An addedToken is text that stands for one id and is never split.
type addedToken struct {
	ID      int64  `json:"id"`
	Content string `json:"content"`
}

// Load reads a tokenizer.json. A stage that this package does not know is an
// error that names it: leaving it out would give wrong ids in silence.
func Load(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	t := &Tokenizer{normalizer: f.Normalizer, preTokenizer: f.PreTokenizer != nil, model: f.Model}
	if f.Truncation != nil {
		t.maxLength = f.Truncation.MaxLength
	}
	if f.Padding != nil {
		t.padID = f.Padding.PadID
	}
	for _, a := range f.AddedTokens {
		if a.Content != "" {
			t.added = append(t.added, a)
		}
		if a.Content == "[PAD]" {
			t.padID = a.ID
		}
	}
	if err := t.model.prepare(); err != nil {
		return nil, err
	}
	var err error
	t.template, err = f.PostProcessor.single()
	return t, err
}

func (f *file) check() error {
	switch {
	case f.Model == nil:
		return fmt.Errorf("it has no model")
	case f.Model.Type != "WordPiece" && (f.Model.Type != "" || f.Model.Prefix == ""):
		return fmt.Errorf("its model is %q; this version knows WordPiece", f.Model.Type)
	case f.Normalizer != nil && f.Normalizer.Type != "BertNormalizer":
		return fmt.Errorf("its normalizer is %q; this version knows BertNormalizer", f.Normalizer.Type)
	case f.PreTokenizer != nil && f.PreTokenizer.Type != "BertPreTokenizer":
		return fmt.Errorf("its pre-tokenizer is %q; this version knows BertPreTokenizer", f.PreTokenizer.Type)
	}
	return nil
}

// PadID is the id that fills a batch.
func (t *Tokenizer) PadID() int64 { return t.padID }

// MaxLength is the most ids that the file's own truncation allows, or 0.
func (t *Tokenizer) MaxLength() int { return t.maxLength }

// Encode returns the ids of text with the special tokens around them, at most
// limit in all; a limit of 0 is none.
func (t *Tokenizer) Encode(text string, limit int) Encoding {
	room := -1
	if limit > 0 {
		room = max(limit-t.specials(), 0)
	}
	ids, truncated := t.ids(text, room)
	e := Encoding{Truncated: truncated}
	for _, p := range t.template {
		if p.sequence {
			for _, id := range ids {
				e.IDs, e.TypeIDs = append(e.IDs, id), append(e.TypeIDs, p.typeID)
			}
			continue
		}
		for _, id := range p.ids {
			e.IDs, e.TypeIDs = append(e.IDs, id), append(e.TypeIDs, p.typeID)
		}
	}
	return e
}

func (t *Tokenizer) specials() int {
	n := 0
	for _, p := range t.template {
		n += len(p.ids)
	}
	return n
}

// ids returns the ids of text alone, at most room; room -1 is no limit. It
// stops as soon as it has one too many, so hostile length costs nothing.
func (t *Tokenizer) ids(text string, room int) (ids []int64, truncated bool) {
	full := func() bool { return room >= 0 && len(ids) > room }
	for text != "" && !full() {
		plain, token := t.cutAdded(text)
		t.words(plain, func(word string) bool {
			ids = t.model.append(ids, word)
			return !full()
		})
		text = text[len(plain):]
		if token != nil {
			ids = append(ids, token.ID)
			text = text[len(token.Content):]
		}
	}
	if full() {
		return ids[:room], true
	}
	return ids, false
}

// cutAdded returns the text up to the first added token, and that token.
func (t *Tokenizer) cutAdded(text string) (plain string, token *addedToken) {
	plain = text
	for i := range t.added {
		if n := strings.Index(plain, t.added[i].Content); n >= 0 {
			plain, token = plain[:n], &t.added[i]
		}
	}
	return plain, token
}

// words calls yield for each word of the text, until it returns false.
func (t *Tokenizer) words(text string, yield func(string) bool) {
	if t.normalizer != nil {
		text = t.normalizer.normalize(text)
	}
	if !t.preTokenizer {
		yield(text)
		return
	}
	split(text, yield)
}
