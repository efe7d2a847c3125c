package engine

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPaths_onlyAllowedFolders(t *testing.T) {
	base := t.TempDir()
	allowed, secret := filepath.Join(base, "allowed"), filepath.Join(base, "secret.txt")
	for _, dir := range []string{allowed, filepath.Join(allowed, "sub")} {
		must(t, os.Mkdir(dir, 0o700))
	}
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	inside := filepath.Join(allowed, "sub", "in.txt")
	must(t, os.WriteFile(inside, []byte("inside"), 0o600))
	must(t, os.Symlink(secret, filepath.Join(allowed, "out")))
	must(t, os.Symlink(base, filepath.Join(allowed, "up")))
	must(t, os.Symlink("sub/in.txt", filepath.Join(allowed, "in")))

	alias := filepath.Join(base, "alias")
	must(t, os.Symlink(allowed, alias))

	p := Paths{Allowed: []string{allowed}, Hint: "allow it"}
	for name, want := range map[string]Code{
		filepath.Join(alias, "sub", "in.txt"): "", filepath.Join(alias, "out"): ErrNotAllowed,
		inside: "", filepath.Join(allowed, "in"): "", filepath.Join(allowed, "sub", "..", "in"): "",
		secret: ErrNotAllowed, filepath.Join(allowed, "out"): ErrNotAllowed, filepath.Join(allowed, "up", "secret.txt"): ErrNotAllowed,
		filepath.Join(allowed, "..", "secret.txt"): ErrNotAllowed, "/etc/passwd": ErrNotAllowed, filepath.Join(base, "missing"): ErrNotAllowed,
		filepath.Join(allowed, "missing"): ErrInvalidArgument, "": ErrNotAllowed,
	} {
		f, err := p.Open(name)
		if err == nil {
			data, rerr := io.ReadAll(f)
			must(t, errors.Join(rerr, f.Close()))
			if string(data) != "inside" {
				t.Errorf("open %s read %q", name, data)
			}
		}
		checkCode(t, "open "+name, err, want)
		_, err = p.Resolve(name)
		checkCode(t, "resolve "+name, err, want)
	}
	if _, err := (Paths{Hint: "start it with --allow-path"}).Open(inside); !errors.Is(err, ErrNotAllowed) || !strings.Contains(Explain(err).Hint, "--allow-path") {
		t.Errorf("nothing allowed: %v", err)
	}
	if f, err := (Paths{All: true}).Open(secret); err != nil {
		t.Errorf("a person: %v", err)
	} else {
		must(t, f.Close())
	}
}

func checkCode(t *testing.T, what string, err error, want Code) {
	t.Helper()
	if want == "" && err != nil || want != "" && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
