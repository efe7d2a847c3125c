package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestInShell(t *testing.T) {
	for hint, want := range map[string]string{
		`query_results {"run_id":"0193-a"} says how it ended`:         `ipfs-accelerate query --run 0193-a says how it ended`,
		`query_results {} lists the latest runs`:                      `ipfs-accelerate query lists the latest runs`,
		`pass "model": a name from models://, a CID or a path`:        `name the model: a name of ipfs-accelerate models list, a CID or a path`,
		`detect_hardware {"refresh":true} runs the canary again`:      `ipfs-accelerate detect --refresh runs the canary again`,
		`use batch_sizes [1]`:                                         `use --batch 1`,
		`name the "task", or pass raw "tensors"`:                      `name the --task, or pass raw tensors with --tensor`,
		`raise max_bytes, or name only the files you need in "files"`: `raise --max-bytes, or name only the files you need with --files`,
		`check the path`: `check the path`,
	} {
		if got := inShell(hint); got != want {
			t.Errorf("%q became %q; want %q", hint, got, want)
		}
	}
}

// No hint of the engine speaks of tools once it is shown in a shell.
func TestInShell_allHints(t *testing.T) {
	files, err := filepath.Glob("../../engine/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	hints := regexp.MustCompile(`(?:WithHint\(|Hint: +)("(?:[^"\\]|\\.)*")`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range hints.FindAllStringSubmatch(string(text), -1) {
			hint, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatal(err)
			}
			shown := inShell(strings.ReplaceAll(hint, "%q", `"x"`))
			for _, word := range []string{"query_results", "detect_hardware", "run_inference", "run_benchmark", "fetch_model_cid", "models://", `pass "`} {
				if strings.Contains(shown, word) {
					t.Errorf("%s: a person would read %q", filepath.Base(file), shown)
				}
			}
		}
	}
}
