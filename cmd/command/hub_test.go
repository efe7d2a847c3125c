package command_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// A model is fetched by its name on a hub, by a command and by the tool.
func TestModels_hub(t *testing.T) {
	h := storetest.NewHub(t, storetest.HubOptions{Token: "hf_secret"})
	files := map[string][]byte{"config.json": []byte("{}\n"), "model.bin": make([]byte, 5000), "README.md": []byte("---\nlicense: mit\n---\n")}
	first := h.Put("org/model", files)
	home := t.TempDir()
	run := func(env string, args ...string) (map[string]any, error) {
		t.Helper()
		cmd := exec.Command(program, append(args, "--json")...)
		cmd.Env = append(os.Environ(), "IPFS_ACCELERATE_HOME="+home, "HF_ENDPOINT="+h.URL, "HF_TOKEN=hf_secret", "HF_HOME="+home, env)
		out, err := cmd.Output()
		var answer map[string]any
		if jerr := json.Unmarshal(out, &answer); jerr != nil {
			t.Fatalf("%v: %v\n%s", args, jerr, out)
		}
		return answer, err
	}
	code := func(answer map[string]any) string {
		e, _ := answer["error"].(map[string]any)
		c, _ := e["code"].(string)
		return c
	}
	plan, err := run("", "models", "fetch", "hf://org/model", "--dry-run", "--exclude", "*.json")
	if err != nil || plan["to_fetch"] != 5021.0 || plan["license"] != "mit" || plan["cid"] != nil || len(plan["files"].([]any)) != 2 {
		t.Errorf("dry run: %v, %v", plan, err)
	}
	got, err := run("", "models", "fetch", "hf://org/model", "--include", "*.*", "--exclude", "*.json")
	if err != nil || got["name"] != "org/model" || got["origin"] != "hf://org/model@"+first || got["license"] != "mit" || got["files_total"] != 2.0 {
		t.Fatalf("%v, %v", got, err)
	}
	if again, err := run("HF_HUB_OFFLINE=1", "call", "fetch_model_cid", `{"model":"org/model"}`); err != nil || again["cid"] != got["cid"] {
		t.Errorf("by name: %v, %v", again, err)
	}
	if whole, err := run("", "call", "fetch_model_cid", `{"model":"hf://org/model@`+first+`","files":["config.json"],"name":"other"}`); err != nil || whole["name"] != "other" {
		t.Errorf("the tool: %v, %v", whole, err)
	}
	if e, err := run("HF_HUB_OFFLINE=1", "models", "fetch", "hf://org/model"); err == nil || code(e) != "not_allowed" {
		t.Errorf("offline: %v, %v", e, err)
	}
	if e, err := run("HF_TOKEN=wrong", "models", "fetch", "hf://org/model"); err == nil || code(e) != "not_allowed" || strings.Contains(mustJSON(t, e), "wrong") {
		t.Errorf("denied: %v, %v", e, err)
	}
	if e, err := run("", "models", "fetch", "hf://org/none"); err == nil || code(e) != "model_not_found" {
		t.Errorf("not there: %v, %v", e, err)
	}
	outdated := func() (n int) {
		t.Helper()
		list, err := run("", "models", "outdated")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list["models"].([]any) {
			if m.(map[string]any)["outdated"] == true {
				n++
			}
		}
		return n
	}
	if n := outdated(); n != 0 {
		t.Errorf("%d models are outdated", n)
	}
	files["new"] = []byte("x")
	h.Put("org/model", files)
	if n := outdated(); n != 2 {
		t.Errorf("%d models are outdated, want both", n)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
