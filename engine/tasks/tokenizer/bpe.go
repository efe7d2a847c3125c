package tokenizer

import (
	"container/heap"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"
)

// A bpe joins characters, or bytes, to the pairs that were most frequent when
// it was trained, the most frequent first.
type bpe struct {
	vocab        map[string]int32
	merges       map[uint64]merging // by the two ids
	bytes        *[256]int32        // ids of bytes, -1 where there is none; nil unless it is byte-level
	fallback     *[256]int32        // ids of <0x00> and on; nil without byte_fallback
	unknown      int32              // -1 if there is none
	fuseUnknown  bool
	ignoreMerges bool
	prefix       string // of what continues a word
	suffix       string // of what ends it
	cache        wordCache
}

type merging struct{ rank, id int32 }

func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// A symbol is a part of a word on its way to being a token.
type symbol struct {
	id         int32
	from, to   int32
	prev, next int32
}

func (f *modelFile) bpe(byteLevel bool) (*bpe, error) {
	b := &bpe{merges: make(map[uint64]merging, len(f.Merges)), unknown: -1, fuseUnknown: f.FuseUnknown, ignoreMerges: f.IgnoreMerges}
	var err error
	if b.vocab, err = f.vocabulary(); err != nil {
		return nil, err
	}
	if f.Prefix != nil {
		b.prefix = *f.Prefix
	}
	if f.Suffix != nil {
		b.suffix = *f.Suffix
	}
	if id, ok := b.vocab[f.Unknown]; ok && f.Unknown != "" {
		b.unknown = id
	}
	if err := b.addMerges(f.Merges); err != nil {
		return nil, err
	}
	if f.ByteFallback {
		b.fallback = fallbackIDs(b.vocab)
	}
	if byteLevel {
		b.toBytes()
	}
	return b, nil
}

func (b *bpe) addMerges(merges []mergeRule) error {
	for rank, m := range merges {
		left, ok1 := b.vocab[m[0]]
		right, ok2 := b.vocab[m[1]]
		if len(m[1]) < len(b.prefix) {
			return errors.New("a merge is shorter than the prefix of what continues a word")
		}
		id, ok3 := b.vocab[m[0]+m[1][len(b.prefix):]]
		if !ok1 || !ok2 || !ok3 {
			return fmt.Errorf("its merge %q %q is not in the vocabulary", m[0], m[1])
		}
		b.merges[pairKey(left, right)] = merging{int32(rank), id}
	}
	return nil
}

// toBytes makes the vocabulary one of bytes instead of the characters that
// stand for them.
func (b *bpe) toBytes() {
	byBytes := make(map[string]int32, len(b.vocab))
	for token, id := range b.vocab {
		if raw, ok := bytesOf(token); ok {
			byBytes[raw] = id
		}
	}
	b.vocab, b.bytes = byBytes, new([256]int32)
	for i := range b.bytes {
		b.bytes[i] = -1
		if id, ok := byBytes[string([]byte{byte(i)})]; ok {
			b.bytes[i] = id
		}
	}
}

// fallbackIDs are the tokens that stand for bytes, nil if one is missing.
func fallbackIDs(vocab map[string]int32) *[256]int32 {
	var ids [256]int32
	for i := range ids {
		id, ok := vocab[fmt.Sprintf("<0x%02X>", i)]
		if !ok {
			id = -1
		}
		ids[i] = id
	}
	return &ids
}

func (b *bpe) tokens(s string, yield func(id int32, from, to int) bool) {
	if b.ignoreMerges {
		if id, ok := b.vocab[s]; ok {
			yield(id, 0, len(s))
			return
		}
	}
	if cached, ok := b.cache.get(s); ok {
		b.emit(cached, yield)
		return
	}
	symbols := b.merge(b.symbols(s))
	b.cache.put(s, symbols)
	b.emit(symbols, yield)
}

func (*bpe) emit(symbols []symbol, yield func(id int32, from, to int) bool) {
	for _, s := range symbols {
		if !yield(s.id, int(s.from), int(s.to)) {
			return
		}
	}
}

// symbols are what a word is made of before anything is joined.
func (b *bpe) symbols(s string) []symbol {
	out := make([]symbol, 0, len(s))
	if b.bytes != nil {
		for i := range len(s) {
			out = b.add(out, b.bytes[s[i]], 1)
		}
		return out
	}
	for i, r := range s {
		end := i + utf8.RuneLen(r)
		key := s[i:end]
		if i > 0 {
			key = b.prefix + key
		}
		if end == len(s) {
			key += b.suffix
		}
		if id, ok := b.vocab[key]; ok {
			out = b.add(out, id, end-i)
			continue
		}
		if whole := b.fall(out, key); whole != nil {
			out = whole
			continue
		}
		out = b.add(out, -1, end-i)
	}
	return out
}

// fall adds the tokens of single bytes, nil if there are none.
func (b *bpe) fall(out []symbol, s string) []symbol {
	if b.fallback == nil {
		return nil
	}
	for i := range len(s) {
		if b.fallback[s[i]] < 0 {
			return nil
		}
	}
	for i := range len(s) {
		out = b.add(out, b.fallback[s[i]], 1)
	}
	return out
}

// add adds a symbol of so many bytes; what is not known (-1) is the unknown
// token. Without one it is nothing, and what follows takes its place: so says
// the reference.
func (b *bpe) add(out []symbol, id int32, bytes int) []symbol {
	from, n := int32(0), len(out)
	if n > 0 {
		from = out[n-1].to
	}
	switch {
	case id >= 0:
	case b.unknown < 0:
		return out
	case b.fuseUnknown && n > 0 && out[n-1].id == b.unknown:
		out[n-1].to += int32(bytes)
		return out
	default:
		id = b.unknown
	}
	return append(out, symbol{id: id, from: from, to: from + int32(bytes)})
}

// shortWord is up to how many symbols looking at all pairs again after each
// merge is faster than a queue.
const shortWord = 16

func (b *bpe) merge(s []symbol) []symbol {
	if len(s) > shortWord {
		return b.mergeLong(s)
	}
	for len(s) > 1 {
		best, at := merging{rank: -1}, 0
		for i := range len(s) - 1 {
			if m, ok := b.merges[pairKey(s[i].id, s[i+1].id)]; ok && (best.rank < 0 || m.rank < best.rank) {
				best, at = m, i
			}
		}
		if best.rank < 0 {
			break
		}
		s[at].id, s[at].to = best.id, s[at+1].to
		s = append(s[:at+1], s[at+2:]...)
	}
	return s
}

// A candidate is a merge that may be done, unless one of its symbols has
// changed since.
type candidate struct {
	merging
	at, right int32 // index of the left symbol; id of the right one when it was found
	left      int32 // id of the left one
}

type candidates []candidate

func (c candidates) Len() int      { return len(c) }
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].at < c[j].at
}
func (c *candidates) Push(x any) { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// mergeLong is merge in n log n.
func (b *bpe) mergeLong(s []symbol) []symbol {
	var queue candidates
	consider := func(i int32) {
		if i < 0 || s[i].next < 0 {
			return
		}
		right := s[s[i].next].id
		if m, ok := b.merges[pairKey(s[i].id, right)]; ok {
			heap.Push(&queue, candidate{m, i, right, s[i].id})
		}
	}
	for i := range s {
		s[i].prev, s[i].next = int32(i-1), int32(i+1)
	}
	s[len(s)-1].next = -1
	for i := range s {
		consider(int32(i))
	}
	for len(queue) > 0 {
		c := heap.Pop(&queue).(candidate)
		left := &s[c.at]
		if left.id != c.left || left.to < 0 || left.next < 0 || s[left.next].id != c.right {
			continue
		}
		gone := &s[left.next]
		left.id, left.to, left.next = c.id, gone.to, gone.next
		gone.to = -1
		if left.next >= 0 {
			s[left.next].prev = c.at
		}
		consider(left.prev)
		consider(c.at)
	}
	out := s[:0:0]
	for i := int32(0); i >= 0; i = s[i].next {
		out = append(out, s[i])
	}
	return out
}

// A wordCache remembers words: text repeats a few of them.
type wordCache struct {
	mu    sync.RWMutex
	words map[string][]symbol
}

const (
	maxCached = 10_000 // words
	maxWord   = 64     // bytes
)

func (c *wordCache) get(s string) ([]symbol, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	w, ok := c.words[s]
	return w, ok
}

func (c *wordCache) put(s string, w []symbol) {
	if len(s) > maxWord {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.words == nil || len(c.words) >= maxCached {
		c.words = map[string][]symbol{}
	}
	c.words[s] = w
}
