package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// What a hostile file can have is bounded: the number of tokens, and the bytes
// of one that is looked for at each place of a text.
const (
	maxVocabulary = 4_000_000
	maxToken      = 1000
)

// file is tokenizer.json.
type file struct {
	Truncation *struct {
		MaxLength int `json:"max_length"`
	} `json:"truncation"`
	Padding *struct {
		PadID    int64  `json:"pad_id"`
		PadToken string `json:"pad_token"`
	} `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         *modelFile      `json:"model"`
}

// modelFile is the model of tokenizer.json, of whichever kind.
type modelFile struct {
	Type         string          `json:"type"`
	Unknown      string          `json:"unk_token"`
	UnknownID    *int            `json:"unk_id"`
	Prefix       *string         `json:"continuing_subword_prefix"`
	Suffix       *string         `json:"end_of_word_suffix"`
	MaxChars     int             `json:"max_input_chars_per_word"`
	FuseUnknown  bool            `json:"fuse_unk"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	Vocab        json.RawMessage `json:"vocab"`
	Merges       []mergeRule     `json:"merges"`
}

// A mergeRule is two tokens that become one.
type mergeRule [2]string

// UnmarshalJSON reads "a b" or ["a", "b"].
func (m *mergeRule) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[2]string)(m))
	}
	var both string
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	var ok bool
	if m[0], m[1], ok = strings.Cut(both, " "); !ok {
		return fmt.Errorf("a merge is two tokens, not %q", both)
	}
	return nil
}

// vocabulary reads a vocabulary of ids.
func (f *modelFile) vocabulary() (map[string]int32, error) {
	var vocab map[string]int32
	if err := json.Unmarshal(f.Vocab, &vocab); err != nil {
		return nil, fmt.Errorf("its vocabulary can't be read: %w", err)
	}
	if len(vocab) == 0 || len(vocab) > maxVocabulary {
		return nil, fmt.Errorf("its vocabulary of %d is not within 1 to %d", len(vocab), maxVocabulary)
	}
	for token, id := range vocab {
		if id < 0 || id > maxVocabulary {
			return nil, fmt.Errorf("its token %q has the id %d", token, id)
		}
	}
	return vocab, nil
}

// kind is the type, which older files leave out.
func (f *modelFile) kind() string {
	switch {
	case f.Type != "":
		return f.Type
	case f.Merges != nil:
		return "BPE"
	case f.MaxChars > 0:
		return "WordPiece"
	}
	return ""
}

// load makes the model; byteLevel is whether it is given bytes. tokens are
// the texts of ids.
func (f *modelFile) load(byteLevel bool) (m model, tokens map[string]int32, err error) {
	switch kind := f.kind(); kind {
	case "BPE":
		var b *bpe
		if b, err = f.bpe(byteLevel); err == nil {
			m = b
			tokens, err = f.vocabulary() // as the file has them
		}
	case "WordPiece":
		var w *wordPiece
		if w, err = f.wordPiece(); err == nil {
			m, tokens = w, w.vocab
		}
	case "WordLevel":
		var w *wordLevel
		if w, err = f.wordLevel(); err == nil {
			m, tokens = w, w.vocab
		}
	case "Unigram":
		var u *unigram
		if u, err = f.unigram(); err == nil {
			m, tokens = u, u.ids
		}
	default:
		err = fmt.Errorf("its model is %q, which this version does not know", kind)
	}
	return m, tokens, err
}

// Load reads a tokenizer.json. A stage that this package does not know is an
// error that names it: leaving it out would give wrong ids in silence.
func Load(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	if f.Model == nil {
		return nil, errors.New("it has no model")
	}
	if err := f.bounded(); err != nil {
		return nil, err
	}
	t := &Tokenizer{}
	var err error
	for _, step := range []func() error{
		func() error { t.normalizer, err = loadNormalizer(f.Normalizer); return err },
		func() error { t.preTokenizer, err = loadPreTokenizer(f.PreTokenizer); return err },
		func() error { t.post, err = loadPostProcessor(f.PostProcessor); return err },
		func() error { t.decoder, err = loadDecoder(f.Decoder); return err },
		func() error { return t.loadModel(f.Model) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	t.loadAdded(f.AddedTokens)
	if f.Truncation != nil {
		t.maxLength = f.Truncation.MaxLength
	}
	if f.Padding != nil {
		t.padID = f.Padding.PadID
	}
	return t, nil
}

func (t *Tokenizer) loadModel(f *modelFile) error {
	m, vocab, err := f.load(hasByteLevel(t.preTokenizer))
	if err != nil {
		return err
	}
	t.model, t.unknown = m, -1
	t.prefixed = f.kind() == "WordPiece" || f.Prefix != nil && *f.Prefix != ""
	if id, ok := vocab[f.Unknown]; ok && f.Unknown != "" {
		t.unknown = int64(id)
	} else if f.UnknownID != nil {
		t.unknown = int64(*f.UnknownID)
	}
	t.setVocabulary(vocab)
	return nil
}

// setVocabulary has the tokens' texts be those of a vocabulary.
func (t *Tokenizer) setVocabulary(vocab map[string]int32) {
	t.ids = vocab
	most := int32(-1)
	for _, id := range vocab {
		most = max(most, id)
	}
	t.texts = make([]string, most+1)
	for token, id := range vocab {
		t.texts[id] = token
	}
}

func hasByteLevel(p preTokenizer) bool {
	switch p := p.(type) {
	case byteLevel:
		return true
	case preTokenizers:
		return slices.ContainsFunc(p, hasByteLevel)
	}
	return false
}

// loadAdded takes the added tokens in, which may be of the vocabulary or not.
func (t *Tokenizer) loadAdded(added []addedToken) {
	t.special = map[int64]bool{}
	t.addedIDs = map[int64]string{}
	var plain, normalized []addedToken
	for _, a := range added {
		if a.Content == "" || len(a.Content) > maxToken || a.ID < 0 || a.ID > maxVocabulary {
			continue
		}
		t.addedIDs[int64(a.ID)] = a.Content
		if a.Special {
			t.special[int64(a.ID)] = true
		}
		if a.Content == "[PAD]" || a.Content == "<pad>" {
			t.padID = int64(a.ID)
		}
		if a.Normalized {
			normalized = append(normalized, a)
		} else {
			plain = append(plain, a)
		}
	}
	t.plain = newFinder(plain, func(s string) string { return s })
	t.normalized = newFinder(normalized, func(s string) string {
		if t.normalizer == nil {
			return s
		}
		return t.normalizer.normalize(text{s: s}, false).s
	})
}

// valid makes text what Unicode allows, as long in code points.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
