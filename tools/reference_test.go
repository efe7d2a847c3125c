package tools

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	orderedmap "github.com/pb33f/ordered-map/v2"
)

// shown is what the reference shows of a schema.
type shown struct {
	Type        string                                 `json:"type"`
	Description string                                 `json:"description"`
	Default     json.RawMessage                        `json:"default"`
	Enum        []string                               `json:"enum"`
	Minimum     json.Number                            `json:"minimum"`
	Maximum     json.Number                            `json:"maximum"`
	Items       *shown                                 `json:"items"`
	Properties  *orderedmap.OrderedMap[string, *shown] `json:"properties"`
}

// kind is a schema's type in words.
func (s *shown) kind() string {
	switch {
	case s.Type == "array" && s.Items != nil:
		return "array of " + cmp.Or(s.Items.Type, "any")
	case s.Type == "":
		return "any"
	}
	return s.Type
}

// about is everything that is said of a field.
func (s *shown) about() string {
	parts := []string{s.Description}
	enum := s.Enum
	if s.Items != nil {
		enum = append(enum, s.Items.Enum...)
	}
	if len(enum) > 0 {
		parts = append(parts, "one of "+strings.Join(enum, ", "))
	}
	if s.Minimum != "" || s.Maximum != "" {
		parts = append(parts, fmt.Sprintf("from %s to %s", cmp.Or(s.Minimum, "any"), cmp.Or(s.Maximum, "any")))
	}
	if len(s.Default) > 0 {
		parts = append(parts, "default "+strings.Trim(string(s.Default), `"`))
	}
	return strings.ReplaceAll(strings.Join(without(parts, ""), "; "), "|", "\\|")
}

func without(list []string, word string) []string {
	var out []string
	for _, s := range list {
		if s != word {
			out = append(out, s)
		}
	}
	return out
}

// fields writes a table of a schema's fields, those of nested objects too.
func fields(b *strings.Builder, prefix string, s *shown) {
	if s.Properties == nil {
		return
	}
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, p.Key, p.Value.kind(), p.Value.about())
		fields(b, prefix+p.Key+".", p.Value)
		if p.Value.Items != nil {
			fields(b, prefix+p.Key+"[].", p.Value.Items)
		}
	}
}

// reference is the tool reference, made of what clients are sent.
func reference(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# The five tools\n\nMade from the schemas that clients are sent; `go test ./tools -update` writes it.\n" +
		"Unmeasured is null, never 0. Sizes are bytes, times milliseconds, unless the name says otherwise.\n")
	for _, tool := range All(&fake{}, nil) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", tool.Tool.Name, tool.Tool.Description)
		for _, part := range []struct {
			title  string
			schema json.RawMessage
		}{{"Arguments", tool.Tool.RawInputSchema}, {"Answer", tool.Tool.RawOutputSchema}} {
			var s shown
			if err := json.Unmarshal(part.schema, &s); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "\n### %s\n\n| field | type | |\n|---|---|---|\n", part.title)
			fields(&b, "", &s)
		}
	}
	return b.String()
}

func TestReference_isUpToDate(t *testing.T) {
	const path = "../resources/docs/tools.md"
	want := reference(t)
	if *update {
		if err := os.MkdirAll("../resources/docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("resources/docs/tools.md is not what the schemas say (%v); run go test ./tools -update", err)
	}
}
