package config

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	reflector "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// schemaText is what generate makes, kept because to make it takes longer than
// the program may take to start.
//
//go:embed schema.json
var schemaText []byte

// Schema returns the JSON Schema of a file of settings.
func Schema() []byte { return slices.Clone(schemaText) }

// generate makes the schema out of [Config].
func generate() ([]byte, error) {
	r := reflector.Reflector{DoNotReference: true, ExpandedStruct: true, Anonymous: true, RequiredFromJSONSchemaTags: true}
	s := r.Reflect(Config{})
	s.Title = "ipfs-accelerate"
	s.Description = "Settings of ipfs-accelerate. Flags come first, then variables, the user's file, the project's file, defaults."
	s.Properties.Set("$schema", &reflector.Schema{Type: "string", Description: "Where this schema is, for editors."})
	if err := fill(s, "", defaults()); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(s)
	return out.Bytes(), err
}

// fill adds the defaults, and puts what a tag says of a list's values where
// they are.
func fill(s *reflector.Schema, prefix string, values map[string]json.RawMessage) error {
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		name := prefix + p.Key
		if value, ok := values[name]; ok {
			p.Value.Default = value
		}
		if p.Value.Type == "object" {
			if err := fill(p.Value, name+".", values); err != nil {
				return err
			}
		}
	}
	return nil
}

// compiled is the schema, ready to check with.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("config.json")
})

// validate checks a document; where says where a part of it stands.
func validate(value any, where func(location []string) Origin, suggest func(string, []string) string) ([]Problem, error) {
	schema, err := compiled()
	if err != nil {
		return nil, err
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(value); !errors.As(err, &invalid) {
		return nil, err
	}
	var out []Problem
	for _, leaf := range leaves(invalid) {
		out = append(out, explain(leaf, where, suggest)...)
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return a.Origin.Line - b.Origin.Line })
	return out, nil
}

// leaves are the errors that are not made of others. Alternatives count as
// one.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if _, choice := e.ErrorKind.(*kind.AnyOf); choice || len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var out []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		out = append(out, leaves(cause)...)
	}
	return out
}

var english = message.NewPrinter(language.English)

func explain(e *jsonschema.ValidationError, where func([]string) Origin, suggest func(string, []string) string) []Problem {
	at := e.InstanceLocation
	p := Problem{Origin: where(at), Key: strings.Join(at, ".")}
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		var out []Problem
		for _, name := range k.Properties {
			out = append(out, unknownKey(at, name, where, suggest))
		}
		return out
	case *kind.Enum:
		var valid []string
		for _, v := range k.Want {
			valid = append(valid, fmt.Sprint(v))
		}
		p.Message = fmt.Sprintf("%q is none of %s", fmt.Sprint(k.Got), strings.Join(valid, ", "))
		p.Hint = didYouMean(suggest(fmt.Sprint(k.Got), valid))
	case *kind.AnyOf:
		p.Message = "is neither a number nor text such as " + exampleFor(p.Key)
	default:
		p.Message = e.ErrorKind.LocalizedString(english)
	}
	return []Problem{p}
}

// exampleFor is a value that a size or duration may have.
func exampleFor(name string) string {
	if k, ok := keyOf(name); ok && k.Kind == Span {
		return `"30s"`
	}
	return `"8GB"`
}

func didYouMean(word string) string {
	if word == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", word)
}

// unknownKey names a key that there is not, and the one that was meant.
func unknownKey(at []string, name string, where func([]string) Origin, suggest func(string, []string) string) Problem {
	full := strings.Join(append(slices.Clone(at), name), ".")
	p := Problem{Origin: where(append(slices.Clone(at), name)), Key: full, Message: "there is no such key"}
	var siblings []string
	prefix := strings.Join(at, ".")
	for _, k := range Keys() {
		if k.Name[strings.LastIndex(k.Name, ".")+1:] == name {
			p.Hint = didYouMean(k.Name)
			return p
		}
		if rest, ok := strings.CutPrefix(k.Name, dotted(prefix)); ok {
			head, _, _ := strings.Cut(rest, ".")
			siblings = append(siblings, head)
		}
	}
	slices.Sort(siblings)
	if s := suggest(name, slices.Compact(siblings)); s != "" {
		p.Hint = didYouMean(dotted(prefix) + s)
	}
	return p
}

func dotted(prefix string) string {
	if prefix == "" {
		return ""
	}
	return prefix + "."
}
