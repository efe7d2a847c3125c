package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSource(t *testing.T) {
	for in, want := range map[string]Source{
		"http://127.0.0.1:8080":       {"127.0.0.1:8080", "http://127.0.0.1:8080"},
		"lab=https://gw.example/x":    {"lab", "https://gw.example/x"},
		"https://gw.example/ipfs?a=b": {"gw.example", "https://gw.example/ipfs?a=b"},
	} {
		got, err := ParseSource(in)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "gw.example", "ftp://gw.example", "lab=", "http://", "https://u:secret@gw.example"} {
		if got, err := ParseSource(in); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func TestLoad(t *testing.T) {
	home := t.TempDir()
	if c, err := Load(home); err != nil || len(c.Sources) != 0 {
		t.Errorf("no file: %+v, %v", c, err)
	}
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(home, FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"sources":[{"name":"lab","url":"http://10.0.0.1"}],"allow_paths":["/data"]}`)
	want := Config{Sources: []Source{{"lab", "http://10.0.0.1"}}, AllowPaths: []string{"/data"}}
	if c, err := Load(home); err != nil || cmp.Diff(want, c) != "" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{`{"source":[]}`, `{`, `{"sources":[{"name":"x","url":"gw"}]}`, `{"allow_paths":["data"]}`} {
		write(bad)
		if _, err := Load(home); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestHome_environmentFirst(t *testing.T) {
	t.Setenv(EnvHome, "/somewhere")
	if Home() != "/somewhere" {
		t.Error(Home())
	}
	t.Setenv(EnvHome, "")
	if !strings.HasSuffix(Home(), "ipfs-accelerate") {
		t.Error(Home())
	}
}
