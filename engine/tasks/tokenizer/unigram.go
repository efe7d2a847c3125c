package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"unicode/utf8"
)

// A unigram cuts text into the tokens that are together the most likely.
type unigram struct {
	trie     *trie
	scores   []float64
	ids      map[string]int32
	unknown  int32 // -1 if there is none
	least    float64
	fallback *[256]int32
}

// unknownPenalty is how much less likely than the least likely token an
// unknown character is, as logarithms.
const unknownPenalty = 10

// A scored token is a pair of text and logarithm.
type scored struct {
	token string
	score float64
}

// UnmarshalJSON reads ["▁the", -3.5].
func (s *scored) UnmarshalJSON(data []byte) error {
	pair := [2]any{&s.token, &s.score}
	return json.Unmarshal(data, &pair)
}

func (f *modelFile) unigram() (*unigram, error) {
	var vocab []scored
	if err := json.Unmarshal(f.Vocab, &vocab); err != nil {
		return nil, fmt.Errorf("its vocabulary can't be read: %w", err)
	}
	if len(vocab) == 0 || len(vocab) > maxVocabulary {
		return nil, fmt.Errorf("its vocabulary of %d is not within 1 to %d", len(vocab), maxVocabulary)
	}
	u := &unigram{scores: make([]float64, len(vocab)), ids: make(map[string]int32, len(vocab)), unknown: -1, least: math.Inf(1)}
	for i, v := range vocab {
		u.ids[v.token], u.scores[i] = int32(i), v.score
		u.least = min(u.least, v.score)
	}
	if f.UnknownID != nil {
		if *f.UnknownID < 0 || *f.UnknownID >= len(vocab) {
			return nil, errors.New("its unknown token is not in the vocabulary")
		}
		u.unknown = int32(*f.UnknownID)
	}
	if f.ByteFallback {
		u.fallback = fallbackIDs(u.ids)
	}
	u.index()
	return u, nil
}

func (u *unigram) index() {
	keys := make([]string, 0, len(u.ids))
	for token := range u.ids {
		if token != "" && len(token) <= maxToken {
			keys = append(keys, token)
		}
	}
	sort.Strings(keys)
	values := make([]int32, len(keys))
	for i, k := range keys {
		values[i] = u.ids[k]
	}
	u.trie = newTrie(keys, values)
}

// A reached place is an end of tokens in the text, with the best way there.
type reached struct {
	score float64
	from  int32 // where the last token starts; -1: not reached
	id    int32
}

func (u *unigram) tokens(s string, yield func(id int32, from, to int) bool) {
	way := u.best(s)
	for i := range way {
		from, to := way[i][0], way[i][1]
		if id, ok := u.ids[s[from:to]]; ok {
			if !yield(id, from, to) {
				return
			}
		} else if !u.unknownTokens(s, from, to, yield) {
			return
		}
	}
}

// unknownTokens are the bytes of what is not known, or the unknown token.
func (u *unigram) unknownTokens(s string, from, to int, yield func(id int32, from, to int) bool) bool {
	whole := u.fallback != nil
	for i := from; i < to && whole; i++ {
		whole = u.fallback[s[i]] >= 0
	}
	if !whole {
		return u.unknown < 0 || yield(u.unknown, from, to)
	}
	for i := from; i < to; i++ {
		if !yield(u.fallback[s[i]], from, to) {
			return false
		}
	}
	return true
}

// best returns the likeliest way through the text (Viterbi), with neighbouring
// unknown characters as one.
func (u *unigram) best(s string) [][2]int {
	ends := make([]reached, len(s)+1)
	for i := range ends {
		ends[i].from = -1
	}
	for at, r := range s {
		u.reach(s, at, utf8.RuneLen(r), ends)
	}
	var out [][2]int
	fused := false
	for end := len(s); end > 0; {
		e := ends[end]
		unknown := u.unknown >= 0 && e.id == u.unknown
		if unknown && fused {
			out[len(out)-1][0] = int(e.from)
		} else {
			out = append(out, [2]int{int(e.from), end})
		}
		fused, end = unknown, int(e.from)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// reach notes where the tokens lead to that start at a byte; n is the length
// of the character there.
func (u *unigram) reach(s string, at, n int, ends []reached) {
	here, single := ends[at].score, false
	node := int32(0)
	for i := at; i < len(s); i++ {
		if node = u.trie.next(node, s[i]); node < 0 {
			break
		}
		id := u.trie.nodes[node].value
		if id < 0 {
			continue
		}
		single = single || i+1-at == n
		if e := &ends[i+1]; e.from < 0 || here+u.scores[id] > e.score {
			*e = reached{here + u.scores[id], int32(at), id}
		}
	}
	if single {
		return
	}
	if e := &ends[at+n]; e.from < 0 || here+u.least-unknownPenalty > e.score {
		*e = reached{here + u.least - unknownPenalty, int32(at), u.unknown}
	}
}
