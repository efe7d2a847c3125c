package tokenizer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// What the stages of a file may do to a text is bounded: how deep they are
// within one another, how many they are, and how many times as long they can
// make it. Published tokenizers need a tenth of each.
const (
	maxNesting = 64
	maxStages  = 256
	maxGrowth  = 256
)

// bounded refuses stages that are over a limit.
func (f *file) bounded() error {
	for name, data := range map[string]json.RawMessage{
		"normalizer": f.Normalizer, "pre-tokenizer": f.PreTokenizer, "post-processor": f.PostProcessor, "decoder": f.Decoder,
	} {
		if depth(data) > maxNesting {
			return fmt.Errorf("its %s is nested deeper than %d", name, maxNesting)
		}
		n, growth := stages(data)
		if n > maxStages {
			return fmt.Errorf("its %s has more than %d stages", name, maxStages)
		}
		if growth > maxGrowth {
			return fmt.Errorf("its %s can make a text more than %d times as long", name, maxGrowth)
		}
	}
	return nil
}

// depth is how many brackets are open at most, in valid JSON.
func depth(data []byte) int {
	open, most, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			open++
			most = max(most, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return most
}

// A stage is one of any kind, as far as limits go.
type stage struct {
	Type          string            `json:"type"`
	Normalizers   []json.RawMessage `json:"normalizers"`
	PreTokenizers []json.RawMessage `json:"pretokenizers"`
	Decoders      []json.RawMessage `json:"decoders"`
	Pattern       pattern           `json:"pattern"`
	Content       string            `json:"content"`
	Replacement   string            `json:"replacement"`
	Charsmap      []byte            `json:"precompiled_charsmap"`
}

// stages counts the stages, and how many times as long they can make a text; both
// end a little above their limit. What can't be read is for others to refuse.
func stages(data json.RawMessage) (n, growth int) {
	var s stage
	if absent(data) || json.Unmarshal(data, &s) != nil {
		return 0, 1
	}
	n, growth = 1, s.growth()
	for _, parts := range [][]json.RawMessage{s.Normalizers, s.PreTokenizers, s.Decoders} {
		for _, part := range parts {
			if n > maxStages || growth > maxGrowth {
				return n, growth
			}
			more, times := stages(part)
			n, growth = n+more, growth*min(times, maxGrowth+1)
		}
	}
	return n, growth
}

// growth is how many times as long one stage can make a text.
func (s *stage) growth() int {
	switch s.Type {
	case "Replace":
		if s.Pattern.regex != "" || s.Pattern.literal == "" { // which may match nothing at all
			return min(len(s.Content), maxGrowth) + 1
		}
		return max(1, min((len(s.Content)+len(s.Pattern.literal)-1)/len(s.Pattern.literal), maxGrowth+1))
	case "Metaspace", "BPEDecoder", "CTC": // an empty mark is between all characters
		return min(max(len(s.Replacement), 2), maxGrowth+1)
	case "ByteLevel":
		return 2
	case "Precompiled":
		longest := 1
		if len(s.Charsmap) > 4 {
			trie := min(uint64(binary.LittleEndian.Uint32(s.Charsmap))+4, uint64(len(s.Charsmap)))
			for text := range bytes.SplitSeq(s.Charsmap[trie:], []byte{0}) {
				longest = max(longest, len(text))
			}
		}
		return min(longest, maxGrowth+1)
	}
	return 1
}
