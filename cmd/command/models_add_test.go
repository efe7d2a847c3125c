//go:build unix

package command_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

// What models add says to try works, for a model of each task.
func TestModelsAdd_tries(t *testing.T) {
	work, bin, models := t.TempDir(), t.TempDir(), "../ipfs-accelerate-native/testdata/"
	env := append(os.Environ(), "HOME="+t.TempDir(), "IPFS_ACCELERATE_HOME="+t.TempDir(), "IPFS_ACCELERATE_NATIVE="+native, "ORT_LIB="+enginetest.Runtime(t), "PATH="+bin+":"+os.Getenv("PATH"))
	noError(t, os.Symlink(program, filepath.Join(bin, "ipfs-accelerate")))
	for name, from := range map[string]string{"photo.jpg": "../../examples/pictures/grace_hopper.jpg", "speech.wav": models + "vision/low.wav"} {
		data, err := os.ReadFile(from)
		noError(t, err)
		noError(t, os.WriteFile(filepath.Join(work, name), data, 0o600))
	}
	tried := map[string]bool{}
	for _, dir := range []string{
		"heads/sentiment", "heads/ner", "heads/answers", "heads/mask", "rewriting/t5", "rewriting/bart", "rewriting/marian", "rewriting/nllb", "generation/gpt2", "generation/merged",
		"vision/vit", "vision/vitmodel", "vision/segformer", "vision/yolos", "vision/glpn", "vision/clip", "vision/ctc", "vision/commands", "tabular/forest",
		"../../../examples/models/blazeface",
	} {
		add := exec.CommandContext(t.Context(), program, "models", "add", models+dir, "--name", filepath.Base(dir), "--json")
		add.Env = env
		out, err := add.Output()
		noError(t, err)
		var added struct {
			Task, Try string
			Warnings  []string
		}
		noError(t, json.Unmarshal(out, &added))
		if added.Try == "" {
			t.Errorf("%s: nothing to try for the task %q: %q", dir, added.Task, added.Warnings)
			continue
		}
		try := exec.CommandContext(t.Context(), "sh", "-c", added.Try)
		try.Env, try.Dir = env, work
		if out, err := try.CombinedOutput(); err != nil {
			t.Errorf("%s: %s: %v\n%s", dir, added.Try, err, out)
		}
		tried[added.Task] = true
		t.Logf("%s: %s", added.Task, added.Try)
	}
	if len(tried) < 14 {
		t.Errorf("only the tasks %v were tried", tried)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
