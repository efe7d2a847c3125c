package command

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is generated")

// The page of errors is made of the constants in the code, and what is written
// beside them.
func TestErrorsPage(t *testing.T) {
	const path = "../../resources/docs/errors.md"
	var b strings.Builder
	b.WriteString("# Errors\n\nA tool that fails answers `{\"error\":{\"code\",\"message\",\"hint\",\"valid_values\",\"retryable\"}}`, in structured content and text alike.\n" +
		"Branch on `code`; `hint` says what to do next; `retryable` means that the same call may work later.\n\n| code | what it means |\n|---|---|\n")
	found := map[string]string{}
	for _, dir := range []string{"../../engine", "../../tools", "../../mcpserver"} {
		codes(t, dir, found)
	}
	if len(found) < 20 {
		t.Fatalf("only %v", found)
	}
	for _, code := range slices.SortedFunc(keys(found), cmp.Compare) {
		if found[code] == "" {
			t.Errorf("%s is not explained", code)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", code, found[code])
	}
	b.WriteString("\nExit codes of the program: 0 done, 1 it failed, 2 it was called wrongly, 3 slower than the baseline, 4 something it needs is not there, 5 `--timeout` ran out.\n")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || gocmp.Diff(b.String(), string(got)) != "" {
		t.Errorf("%s is not up to date: run go test ./cmd/command -run TestErrorsPage -update: %v\n%s", path, err, gocmp.Diff(b.String(), string(got)))
	}
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// codes finds the constants of type Code in a package, with their comments.
func codes(t *testing.T, dir string, found map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				note(spec.(*ast.ValueSpec), group, found)
			}
		}
	}
}

func note(v *ast.ValueSpec, group *ast.GenDecl, found map[string]string) {
	typ := ""
	switch t := v.Type.(type) {
	case *ast.Ident:
		typ = t.Name
	case *ast.SelectorExpr:
		typ = t.Sel.Name
	}
	if typ != "Code" {
		return
	}
	code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
	if err != nil {
		return
	}
	text := v.Comment.Text()
	if text == "" {
		_, text, _ = strings.Cut(strings.ReplaceAll(cmp.Or(v.Doc.Text(), group.Doc.Text()), "\n", " "), " is ")
	}
	found[code] = strings.TrimSuffix(strings.TrimSpace(text), ".")
}
