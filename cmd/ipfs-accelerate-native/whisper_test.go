//go:build unix

package main_test

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

const sounds = "testdata/sounds"

// Times of words are those of the reference.
func TestWhisper_words(t *testing.T) {
	for _, g := range readGoldenFile(t, sounds+"/words.json") {
		m := folder(t, filepath.Join(sounds, g.Model))
		items := files(t, sounds, g.names(t)...)
		g.compare(t, pipeline(t, tasks.AutomaticSpeechRecognition(), m), items)
		enginetest.TestTask(t, tasks.AutomaticSpeechRecognition(), m, &opener{t: t, p: newProvider(t, runner.Options{}), m: m}, engine.Request{Items: items, Parameters: g.Cases[0].Parameters})
	}
}

// In a sound of several windows, times go on from each to the next.
func TestWhisper_wordsOfLongSounds(t *testing.T) {
	once, err := os.ReadFile(sounds + "/chirps.wav")
	must(t, err)
	const header, times = 44, 30 // of a second and a half
	long := slices.Concat(once[:header], slices.Repeat(once[header:], times))
	binary.LittleEndian.PutUint32(long[40:], uint32(len(long)-header))
	a, err := pipeline(t, tasks.AutomaticSpeechRecognition(), folder(t, sounds+"/words"))(engine.Request{Items: picture(long), Parameters: json.RawMessage(`{"return_timestamps":"word"}`)})
	must(t, err)
	var words []string
	last := 0.0
	for _, c := range a.Outputs[0].Chunks {
		words = append(words, c.Text)
		for _, at := range c.Timestamp {
			if at == nil || *at > 1.5*times {
				t.Fatalf("times %v", plain(t, c))
			}
			last = max(last, *at)
		}
	}
	if last < 30 {
		t.Errorf("the last word ends at %v", last)
	}
	squeezed := func(s string) string { return strings.Join(strings.Fields(s), "") }
	if got, want := squeezed(strings.Join(words, "")), squeezed(*a.Outputs[0].Text); got != want {
		t.Errorf("words say %q, the text %q", got, want)
	}
}

// A model that can't give times of words says what it lacks and what to do.
func TestWhisper_withoutCrossAttentions(t *testing.T) {
	plain := t.TempDir()
	must(t, os.CopyFS(plain, os.DirFS(sounds+"/words")))
	settings, err := os.ReadFile(plain + "/generation_config.json")
	must(t, err)
	var all map[string]any
	must(t, json.Unmarshal(settings, &all))
	without := func(heads any) {
		all["alignment_heads"] = heads
		data, err := json.Marshal(all)
		must(t, err)
		must(t, os.WriteFile(plain+"/generation_config.json", data, 0o600))
	}
	for name, c := range map[string]struct {
		heads    any
		by, says string
		code     engine.Code
	}{
		"none":       {nil, "word", "alignment_heads", engine.ErrUnsupported},
		"no output":  {[][2]int{{7, 0}}, "word", `no cross-attention output "cross_attentions.7"`, engine.ErrUnsupported},
		"no head":    {[][2]int{{1, 2}}, "word", "without head 2", engine.ErrModelInvalid},
		"many heads": {slices.Repeat([][2]int{{1, 1}}, 100), "word", "100 alignment_heads", engine.ErrModelInvalid},
		"letters":    {nil, "char", "sentences and words", engine.ErrUnsupported},
	} {
		without(c.heads)
		_, err := pipeline(t, tasks.AutomaticSpeechRecognition(), folder(t, plain))(engine.Request{Items: files(t, sounds, "chirps.wav"), Parameters: json.RawMessage(`{"return_timestamps":"` + c.by + `"}`)})
		if !isCode(err, c.code) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
