package config

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is generated")

// The schema and the reference are what is made of Config now.
func TestGenerated(t *testing.T) {
	schema, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"schema.json": string(schema), "../../../resources/docs/configuration.md": Reference()} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not up to date: run go test ./cmd/internal/config -run TestGenerated -update\n%s", path, diff)
		}
	}
}
