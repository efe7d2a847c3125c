package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// A precompiled normalizer is SentencePiece's: a double array (darts-clone)
// that finds the replacement of a character or a cluster in a list of strings.
type precompiled struct {
	array        []uint32
	replacements []byte // each ended by a 0
}

func loadPrecompiled(data []byte) (normalizer, error) {
	if len(data) == 0 {
		return nil, nil //nolint:nilnil // an empty map changes nothing
	}
	if len(data) < 4 {
		return nil, errors.New("its precompiled normalizer is too short")
	}
	n := uint64(binary.LittleEndian.Uint32(data))
	if n%4 != 0 || n == 0 || n > uint64(len(data)-4) {
		return nil, errors.New("its precompiled normalizer is cut short")
	}
	p := &precompiled{array: make([]uint32, n/4), replacements: data[4+n:]}
	for i := range p.array {
		p.array[i] = binary.LittleEndian.Uint32(data[4+4*i:])
	}
	return p, nil
}

// lookup returns what the shortest prefix of key that is in the map is
// replaced by: the reference takes the first that it finds.
func (p *precompiled) lookup(key string) (string, bool) {
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	at := offset(p.array[0])
	for i := 0; i < len(key) && key[i] != 0; i++ {
		at ^= uint32(key[i])
		if int64(at) >= int64(len(p.array)) {
			return "", false
		}
		unit := p.array[at]
		if unit&(1<<31|0xff) != uint32(key[i]) {
			return "", false
		}
		at ^= offset(unit)
		if unit>>8&1 == 1 {
			return p.replacement(at)
		}
	}
	return "", false
}

// replacement is what a leaf of the array leads to.
func (p *precompiled) replacement(leaf uint32) (string, bool) {
	if int64(leaf) >= int64(len(p.array)) {
		return "", false
	}
	from := int64(p.array[leaf] & (1<<31 - 1))
	if from > int64(len(p.replacements)) {
		return "", false
	}
	rest := p.replacements[from:]
	if end := bytes.IndexByte(rest, 0); end >= 0 {
		rest = rest[:end]
	}
	return string(rest), true
}

// normalize looks up short clusters as a whole, the others character by
// character.
func (p *precompiled) normalize(in text, track bool) text {
	const maxCluster = 6 // bytes, as the reference has it
	changes, changed, state := make([]change, 0, len(in.s)), false, -1
	for rest := in.s; rest != ""; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if s, ok := p.lookup(cluster); ok && len(cluster) < maxCluster {
			changes, changed = swap(changes, cluster, s), true
			continue
		}
		for i, r := range cluster {
			old := cluster[i : i+utf8.RuneLen(r)]
			if s, ok := p.lookup(old); ok {
				changes, changed = swap(changes, old, s), true
			} else {
				changes = append(changes, change{r: r})
			}
		}
	}
	if !changed {
		return in
	}
	w := rewrite(in, track)
	w.transform(changes, 0, len(in.s))
	return w.text()
}

// swap adds what takes the place of old. What is longer by some characters has
// the last of them come on top; what is shorter has the last one, be it of
// what came before, stand for the rest. At the start of a text there is none,
// and all that follows is thought to come from earlier than it does: so says
// the reference.
func swap(changes []change, old, s string) []change {
	extra := utf8.RuneCountInString(s) - utf8.RuneCountInString(old)
	for _, r := range s {
		changes = append(changes, change{r: r})
	}
	last := len(changes) - 1
	for i := range extra {
		changes[last-i].delta = 1
	}
	if extra < 0 && last >= 0 {
		changes[last].delta += extra
	}
	return changes
}
