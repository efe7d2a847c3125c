package command_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What the engine makes of models is counted with them, and goes with them.
func TestModels_derived(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.bin"), make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) map[string]any {
		t.Helper()
		cmd := exec.Command(program, append(args, "--json")...)
		cmd.Env = append(os.Environ(), "IPFS_ACCELERATE_HOME="+home)
		out, err := cmd.Output()
		var answer map[string]any
		if jerr := json.Unmarshal(out, &answer); err != nil || jerr != nil {
			t.Fatalf("%v: %v, %v\n%s", args, err, jerr, out)
		}
		return answer
	}
	root, _ := run("models", "add", dir, "--name", "m")["cid"].(string)
	copied := filepath.Join(home, "engine", "derived", root, "file", "model.onnx")
	put := func() {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(copied), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put()
	if du := run("models", "du"); du["derived_bytes"] != 4096.0 || du["owned_bytes"] != 4096.0 {
		t.Errorf("%v", du)
	}
	if gc := run("models", "gc", "--max", "1KB"); gc["derived_bytes"] != 4096.0 || len(gc["removed"].([]any)) != 0 {
		t.Errorf("%v", gc)
	}
	if _, err := os.Stat(copied); !os.IsNotExist(err) {
		t.Errorf("after gc: %v", err)
	}
	put()
	run("models", "rm", "m", "--force")
	if _, err := os.Stat(copied); !os.IsNotExist(err) {
		t.Errorf("after rm: %v", err)
	}
}
