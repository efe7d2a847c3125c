package shape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// What a schema may have is bounded.
const (
	maxSchema = 64 << 10 // bytes
	maxDepth  = 32
	maxCount  = 100_000 // of minItems, maxLength and their like
)

// A SchemaError says what of a schema is not known, and what to do.
type SchemaError struct {
	Where string // such as properties.name
	What  string
	Hint  string
}

func (e *SchemaError) Error() string {
	if e.Where == "" {
		return "the schema " + e.What
	}
	return "the schema at " + e.Where + " " + e.What
}

// A schema is a part of JSON Schema.
type schema struct {
	Type       types           `json:"type"`
	Properties json.RawMessage `json:"properties"`
	Required   []string        `json:"required"`
	More       *bool           `json:"additionalProperties"`
	Items      json.RawMessage `json:"items"`
	MinItems   int             `json:"minItems"`
	MaxItems   *int            `json:"maxItems"`
	MinLength  int             `json:"minLength"`
	MaxLength  *int            `json:"maxLength"`
	Enum       []json.RawMessage
	Const      json.RawMessage
	AnyOf      []json.RawMessage `json:"anyOf"`
	Ref        *string           `json:"$ref"`
	Pattern    *string           `json:"pattern"`
	Minimum    json.Number       `json:"minimum"`
	Maximum    json.Number       `json:"maximum"`
	Above      json.Number       `json:"exclusiveMinimum"`
	Below      json.Number       `json:"exclusiveMaximum"`
}

// types is one type or several.
type types []string

func (t *types) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// known are the keywords that are kept to, and by which types; notes are
// keywords that say nothing of a value's form.
var (
	known = map[string][]string{
		"type": nil, "enum": nil, "const": nil, "anyOf": nil, "$ref": nil,
		"properties": {"object"}, "required": {"object"}, "additionalProperties": {"object"},
		"items": {"array"}, "minItems": {"array"}, "maxItems": {"array"}, "minLength": {"string"}, "maxLength": {"string"}, "pattern": {"string"},
		"minimum": {"integer", "number"}, "maximum": {"integer", "number"}, "exclusiveMinimum": {"integer", "number"}, "exclusiveMaximum": {"integer", "number"},
	}
	notes = []string{"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema", "$id", "$comment", "$defs", "definitions"}
)

// keywords refuses what is not known, by name.
func keywords(data []byte, s schema, at string) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return &SchemaError{at, "is no object", "write it like {\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}},\"required\":[\"name\"]}"}
	}
	for key := range all {
		of, ok := known[key]
		switch {
		case slices.Contains(notes, key):
		case !ok:
			return &SchemaError{at, fmt.Sprintf("has %q, which is not known here", key), "leave it out; known are " + strings.Join(names(), ", ")}
		case len(of) > 0 && len(s.Type) > 0 && !slices.ContainsFunc(of, func(t string) bool { return slices.Contains(s.Type, t) }):
			return &SchemaError{at, fmt.Sprintf("has %q, which is for the type %s", key, of[0]), "leave it out"}
		case s.Ref != nil && key != "$ref":
			return &SchemaError{at, fmt.Sprintf("has %q beside \"$ref\"", key), "put it where the reference leads to"}
		}
	}
	return nil
}

func names() []string {
	var out []string
	for key := range known {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// check refuses counts that nothing can be, and combinations that are not
// kept to.
func (s schema) check(at string) error {
	for name, n := range map[string]int{"minItems": s.MinItems, "minLength": s.MinLength, "maxItems": count(s.MaxItems), "maxLength": count(s.MaxLength)} {
		if n < 0 || n > maxCount {
			return &SchemaError{at, fmt.Sprintf("has a %s of %d, which is not within 0 to %d", name, n, maxCount), "use another"}
		}
	}
	if s.MaxItems != nil && s.MinItems > *s.MaxItems || s.MaxLength != nil && s.MinLength > *s.MaxLength {
		return &SchemaError{at, "asks for more than it allows", "let the least be at most the most"}
	}
	one := 0
	for _, there := range []bool{s.Const != nil, s.Enum != nil, s.AnyOf != nil} {
		if there {
			one++
		}
	}
	if one > 1 || s.AnyOf != nil && len(s.Type) > 0 {
		return &SchemaError{at, "has several of const, enum, anyOf and type, which are not known together here", "keep one"}
	}
	return s.checkValues(at)
}

// checkValues has the values of enum be of the type, and nothing else asked of
// them.
func (s schema) checkValues(at string) error {
	values := s.Enum
	if s.Const != nil {
		values = []json.RawMessage{s.Const}
	}
	if values == nil {
		return nil
	}
	if s.MinLength > 0 || s.MaxLength != nil || s.MinItems > 0 || s.MaxItems != nil || s.Items != nil || s.Properties != nil || s.Required != nil || s.Pattern != nil || s.Minimum+s.Maximum+s.Above+s.Below != "" {
		return &SchemaError{at, "has const or enum and more than a type beside it", "keep the values only"}
	}
	for _, v := range values {
		if len(s.Type) > 0 && !slices.ContainsFunc(typesOf(v), func(t string) bool { return slices.Contains(s.Type, t) }) {
			return &SchemaError{at, fmt.Sprintf("has the value %s, which is no %s", v, strings.Join(s.Type, " or ")), "leave it out"}
		}
	}
	return nil
}

// typesOf are the types that a value has.
func typesOf(value json.RawMessage) []string {
	switch c := bytes.TrimSpace(value)[0]; {
	case c == '{':
		return []string{"object"}
	case c == '[':
		return []string{"array"}
	case c == '"':
		return []string{"string"}
	case c == 'n':
		return []string{"null"}
	case c == 't' || c == 'f':
		return []string{"boolean"}
	case bytes.ContainsAny(value, ".eE"):
		return []string{"number"}
	}
	return []string{"number", "integer"}
}

func count(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
