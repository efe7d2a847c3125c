package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// Files that would take all memory, or forever, are refused with their limit.
func TestLoad_hostile(t *testing.T) {
	const model = `"model":{"type":"WordLevel","unk_token":"?","vocab":{"?":0}}`
	many := func(n int, stage string) string { return strings.TrimSuffix(strings.Repeat(stage+",", n), ",") }
	double := `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`
	nested := strings.Repeat(`{"type":"Sequence","normalizers":[`, 4000) + double + strings.Repeat("]}", 4000)
	charsmap := base64.StdEncoding.EncodeToString(append([]byte{4, 0, 0, 0, 0, 0, 0, 0}, strings.Repeat("x", 1000)...))
	for name, c := range map[string]struct{ file, want string }{
		"doubling":     {`"normalizer":{"type":"Sequence","normalizers":[` + many(40, double) + `]}`, "256 times"},
		"by regex":     {`"normalizer":{"type":"Sequence","normalizers":[` + many(9, `{"type":"Replace","pattern":{"Regex":"a|"},"content":"a"}`) + `]}`, "256 times"},
		"long content": {`"normalizer":{"type":"Replace","pattern":{"String":"a"},"content":"` + strings.Repeat("a", 300) + `"}`, "256 times"},
		"charsmap":     {`"normalizer":{"type":"Precompiled","precompiled_charsmap":"` + charsmap + `"}`, "256 times"},
		"bytes":        {`"pre_tokenizer":{"type":"Sequence","pretokenizers":[` + many(40, `{"type":"ByteLevel"}`) + `]}`, "256 times"},
		"decoders":     {`"decoder":{"type":"Sequence","decoders":[` + many(40, `{"type":"Metaspace","replacement":"","prepend_scheme":"never"}`) + `]}`, "256 times"},
		"nested":       {`"normalizer":` + nested, "deeper than 64"},
		"stages":       {`"normalizer":{"type":"Sequence","normalizers":[` + many(300, `{"type":"BertNormalizer"}`) + `]}`, "256 stages"},
		"post":         {`"post_processor":` + strings.Repeat(`{"type":"Sequence","processors":[`, 100) + strings.Repeat("]}", 100), "deeper than 64"},
	} {
		if _, err := Load([]byte("{" + c.file + "," + model + "}")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Merges that make each other end, and texts of one character stay cheap.
func TestLoad_mergesInCircles(t *testing.T) {
	tok, err := Load([]byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"aa":2,"ab":3,"ba":4,"aaa":5},"merges":["a a","a b","b a","aa a","a aa"]}}`))
	must(t, err)
	for text, want := range map[string]int{strings.Repeat("ab", 50_000): 50_000, strings.Repeat("a", 100_000): 50_000} {
		if ids := tok.Encode(text, 0).IDs; len(ids) != want {
			t.Errorf("%d tokens, want %d", len(ids), want)
		}
	}
}

// A million tokens are loaded, in memory that grows with the file.
func TestLoad_million(t *testing.T) {
	const n = 1_000_000
	vocab := make(map[string]int, n)
	for i := range n {
		vocab[fmt.Sprintf("w%d", i)] = i
	}
	data, err := json.Marshal(map[string]any{"model": map[string]any{"type": "WordLevel", "unk_token": "w0", "vocab": vocab}, "pre_tokenizer": map[string]any{"type": "WhitespaceSplit"}})
	must(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tok, err := Load(data)
	must(t, err)
	runtime.ReadMemStats(&after)
	if ids := tok.Encode("w999999 w7 x", 0).IDs; len(ids) != 3 || ids[0] != n-1 || ids[1] != 7 || ids[2] != 0 {
		t.Errorf("%v", ids)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 40*uint64(len(data)) {
		t.Errorf("%d bytes for a file of %d", got, len(data))
	}
	vocab["over"] = maxVocabulary + 1
	data, err = json.Marshal(map[string]any{"model": map[string]any{"type": "WordLevel", "unk_token": "w0", "vocab": vocab}})
	must(t, err)
	if _, err := Load(data); err == nil || !strings.Contains(err.Error(), "4000001") {
		t.Errorf("an id over the limit: %v", err)
	}
}
