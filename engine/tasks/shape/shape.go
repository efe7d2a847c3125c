package shape

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A Vocabulary is what tokens stand for, ready to be searched.
type Vocabulary struct {
	tokens [][]byte // by id; nil stands for nothing
	order  []int    // ids, by their bytes
	shared []int    // how many bytes one has in common with the one before
	ascii  bool     // every character of ASCII that is printed has a token of its own
	bytes  bool     // every byte has
}

// NewVocabulary prepares tokens, by id.
func NewVocabulary(tokens [][]byte) *Vocabulary {
	v := &Vocabulary{tokens: tokens}
	var single [256]bool
	for id, t := range tokens {
		if len(t) > 0 {
			v.order = append(v.order, id)
		}
		if len(t) == 1 {
			single[t[0]] = true
		}
	}
	v.ascii, v.bytes = !slices.Contains(single[' ':127], false), !slices.Contains(single[:], false)
	slices.SortStableFunc(v.order, func(a, b int) int { return bytes.Compare(tokens[a], tokens[b]) })
	v.shared = make([]int, len(v.order))
	for i := 1; i < len(v.order); i++ {
		a, b := tokens[v.order[i-1]], tokens[v.order[i]]
		for n := min(len(a), len(b)); v.shared[i] < n && a[v.shared[i]] == b[v.shared[i]]; {
			v.shared[i]++
		}
	}
	return v
}

// Errors of texts that can't be kept in shape.
var (
	ErrVocabulary = errors.New("the tokenizer has no token for each character of JSON")
	ErrTooMuch    = errors.New("the schema leads to too many states")
)

// A Text is one as it is written within a schema. It is not safe for
// concurrent use.
type Text struct {
	v     *Vocabulary
	l     *language
	at    *expr
	masks map[*expr]*mask
	bytes []byte
}

// A mask is which tokens may come at a place.
type mask struct {
	ids   []int32
	after []*expr // of each, where it leads
	most  int     // the longest that a text must still be after one of them
}

// New begins a text that fits a schema. The error is a *SchemaError or
// ErrVocabulary.
func New(schema []byte, v *Vocabulary) (*Text, error) {
	c, e, err := compile(schema)
	if err != nil {
		return nil, err
	}
	foreign := c.foreign || bytes.ContainsFunc(schema, func(r rune) bool { return r >= utf8.RuneSelf }) || bytes.Contains(schema, []byte(`\u`))
	if !v.ascii || foreign && !v.bytes {
		return nil, ErrVocabulary
	}
	if e.least >= never && c.cut {
		return nil, &SchemaError{What: fmt.Sprintf("is one that no value fits within which a reference leads to itself at most %d times", maxNested), Hint: "let what refers to itself be optional"}
	}
	if e.least >= never {
		return nil, &SchemaError{What: "is one that no value fits", Hint: "loosen it"}
	}
	return &Text{v: v, l: c.language, at: e, masks: map[*expr]*mask{}}, nil
}

// Bytes is what was written.
func (t *Text) Bytes() []byte { return t.bytes }

// Least is how many tokens at most are needed for the shortest text that fits.
func (t *Text) Least() int { return t.at.least }

// MayEnd reports whether the text fits as it is.
func (t *Text) MayEnd() bool { return t.at.empty }

// Done reports whether nothing can follow.
func (t *Text) Done() bool { return t.at == t.l.blank }

// Allowed calls yield with each token after which the text can still be ended
// within so many more tokens.
func (t *Text) Allowed(left int, yield func(id int)) error {
	m, err := t.mask()
	if err != nil {
		return err
	}
	for i, id := range m.ids {
		if m.most <= left || m.after[i].least <= left {
			yield(int(id))
		}
	}
	return nil
}

// mask finds the tokens that may come: those that share a beginning that can't
// be are passed over together.
func (t *Text) mask() (*mask, error) {
	if m := t.masks[t.at]; m != nil {
		return m, nil
	}
	m := &mask{}
	path := []*expr{t.at} // after so many bytes of the token
	dead := 0             // the token's bytes up to here can't be; 0 if they can
	for i, id := range t.v.order {
		shared, token := t.v.shared[i], t.v.tokens[id]
		if dead > 0 && shared >= dead {
			continue
		}
		dead, path = 0, path[:min(shared, len(path)-1)+1]
		for n := len(path) - 1; n < len(token); n++ {
			next := t.l.derive(path[n], token[n])
			if next == t.l.none {
				dead = n + 1
				break
			}
			path = append(path, next)
		}
		if dead == 0 {
			end := path[len(token)]
			m.ids, m.after, m.most = append(m.ids, int32(id)), append(m.after, end), max(m.most, end.least)
		}
		if len(t.l.all) > maxStates {
			return nil, ErrTooMuch
		}
	}
	t.masks[t.at] = m
	return m, nil
}

// Write goes on with a token that is allowed.
func (t *Text) Write(id int) {
	for _, b := range t.v.tokens[id] {
		t.at = t.l.derive(t.at, b)
	}
	t.bytes = append(t.bytes, t.v.tokens[id]...)
}
