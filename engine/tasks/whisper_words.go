package tasks

import (
	"math"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// What belongs to the word behind it, and what to the word before, beside a
// language's letters.
const (
	punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	prepended   = "\"'“¡¿([{-"
	appended    = "\"'.。,，!！?？:：”)]}、"
)

// spaceless are the languages without spaces between words.
var spaceless = []string{"zh", "ja", "th", "lo", "my", "yue"}

// A piece is some tokens that are a text together: from the first up to the
// last, which is not among them.
type piece struct {
	text     string
	from, to int
}

// timedWords are the words of an utterance with their times.
func (p *whisper) timedWords(u utterance) []engine.Chunk {
	var words []int64
	var at []int // of each word's token, among all
	for i, id := range u.tokens {
		if id < p.firstTime {
			words, at = append(words, id), append(at, i)
		}
	}
	pieces := p.characters(words)
	if !u.spaceless {
		pieces = joinSubwords(pieces)
	}
	var out []engine.Chunk
	for _, w := range joinPunctuation(pieces) {
		c := engine.Chunk{Text: strings.TrimSpace(w.text)}
		for i, at := range []int{at[w.from], at[w.to-1] + 1} {
			if at < len(u.times) {
				t := math.Round(u.times[at]*100) / 100
				c.Timestamp[i] = &t
			}
		}
		out = append(out, c)
	}
	return out
}

// characters cuts tokens wherever those so far are whole characters.
func (p *whisper) characters(tokens []int64) []piece {
	const broken = '\ufffd'
	all := []rune(p.tok.Decode(tokens, false))
	var out []piece
	done, from := 0, 0 // characters, and tokens
	for i := range tokens {
		text := p.tok.Decode(tokens[from:i+1], false)
		runes := []rune(text)
		if bad := slices.Index(runes, broken); bad >= 0 && (done+bad >= len(all) || all[done+bad] != broken) {
			continue
		}
		out = append(out, piece{text, from, i + 1})
		done, from = done+len(runes), i+1
	}
	return out
}

// joinSubwords joins what goes on with a word: neither a space nor punctuation
// begins it.
func joinSubwords(pieces []piece) []piece {
	var out []piece
	for _, s := range pieces {
		if len(out) == 0 || strings.HasPrefix(s.text, " ") || strings.Contains(punctuation, strings.TrimSpace(s.text)) {
			out = append(out, s)
			continue
		}
		last := &out[len(out)-1]
		last.text, last.to = last.text+s.text, s.to
	}
	return out
}

// joinPunctuation joins marks with the words that they belong to.
func joinPunctuation(pieces []piece) []piece {
	var opened []piece // from the last to the first
	for _, s := range slices.Backward(pieces) {
		if n := len(opened); n > 0 && strings.HasPrefix(s.text, " ") && strings.Contains(prepended, strings.TrimSpace(s.text)) {
			opened[n-1] = piece{s.text + opened[n-1].text, s.from, opened[n-1].to}
			continue
		}
		opened = append(opened, s)
	}
	var out []piece
	for _, s := range slices.Backward(opened) {
		if n := len(out); n > 0 && !strings.HasSuffix(out[n-1].text, " ") && strings.Contains(appended, s.text) {
			out[n-1] = piece{out[n-1].text + s.text, out[n-1].from, s.to}
			continue
		}
		out = append(out, s)
	}
	return out
}
