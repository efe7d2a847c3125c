//go:build unix

// Package stdiopipe tests the shell pipeline beside it.
package stdiopipe

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPipe_answersEverything(t *testing.T) {
	server := filepath.Join(t.TempDir(), "ipfs-accelerate")
	build := exec.Command("go", "build", "-o", server, "../../cmd/ipfs-accelerate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pipe := exec.Command("sh", "pipe.sh", server)
	pipe.Env = append(os.Environ(), "IPFS_ACCELERATE_HOME="+t.TempDir())
	pipe.Stderr = os.Stderr
	out, err := pipe.Output()
	if err != nil {
		t.Fatal(err)
	}
	answered := map[int]bool{}
	for line := range strings.Lines(string(out)) {
		var answer struct {
			JSONRPC string          `json:"jsonrpc"`
			ID      int             `json:"id"`
			Result  json.RawMessage `json:"result"`
		}
		if err := json.Unmarshal([]byte(line), &answer); err != nil || answer.JSONRPC != "2.0" || len(answer.Result) == 0 {
			t.Errorf("not an answer: %s", line)
		}
		answered[answer.ID] = true
	}
	if len(answered) != 3 {
		t.Errorf("answered %v of 3", answered)
	}
}
