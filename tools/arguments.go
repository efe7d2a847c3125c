package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// codeUnknownArgument is for a key that the tool does not have.
const codeUnknownArgument engine.Code = "unknown_argument"

// An argumentReader checks and decodes the arguments of one tool.
type argumentReader struct {
	schema   json.RawMessage
	compiled func() *jsonschema.Schema
	fields   map[string]property
}

// A property is what coercion needs to know of a field.
type property struct {
	Type  string    `json:"type"`
	Items *property `json:"items"`
}

func newArgumentReader(schema json.RawMessage) *argumentReader {
	var root struct {
		Properties map[string]property `json:"properties"`
	}
	if err := json.Unmarshal(schema, &root); err != nil {
		panic(fmt.Sprintf("tools: %v", err))
	}
	return &argumentReader{schema: schema, fields: root.Properties, compiled: sync.OnceValue(func() *jsonschema.Schema {
		return mustCompile(schema)
	})}
}

// mustCompile compiles a schema of ours; a test compiles them all.
func mustCompile(schema json.RawMessage) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		panic(fmt.Sprintf("tools: %v", err))
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("tool.json", doc); err != nil {
		panic(fmt.Sprintf("tools: %v", err))
	}
	return c.MustCompile("tool.json")
}

// read decodes args into v: slips that lose nothing are put right, everything
// else that does not fit the schema is an error the caller can correct.
func (a *argumentReader) read(args json.RawMessage, v any) error {
	if len(bytes.TrimSpace(args)) == 0 || string(bytes.TrimSpace(args)) == "null" {
		args = json.RawMessage("{}")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(args))
	if err != nil {
		return engine.Errorf(engine.ErrInvalidArgument, "the arguments are not JSON: %w", err)
	}
	object, ok := doc.(map[string]any)
	if !ok {
		return engine.Errorf(engine.ErrInvalidArgument, "the arguments are not an object").WithHint("pass {} for the defaults")
	}
	coerced := false
	for key, value := range object {
		if p, known := a.fields[key]; known {
			better := p.coerce(value)
			if _, same := better.(unchanged); !same {
				object[key], coerced = better, true
			}
		}
	}
	if err := a.compiled().Validate(object); err != nil {
		return a.explain(err)
	}
	if coerced {
		if args, err = json.Marshal(object); err != nil {
			return err
		}
	}
	if err := json.Unmarshal(args, v); err != nil {
		return engine.Errorf(engine.ErrInvalidArgument, "the arguments can't be read: %w", err)
	}
	return nil
}

// unchanged is coerce's answer for a value that is right or past help.
type unchanged struct{}

// coerce puts right what an agent often gets nearly right: "8" for 8, "x" for
// ["x"], "true" for true.
func (p property) coerce(value any) any {
	text, isText := value.(string)
	switch {
	case p.Type == "array":
		if _, isArray := value.([]any); !isArray && value != nil {
			if p.Items != nil {
				if better := p.Items.coerce(value); better != (unchanged{}) {
					return []any{better}
				}
			}
			return []any{value}
		}
	case (p.Type == "integer" || p.Type == "number") && isText:
		if _, err := strconv.ParseFloat(text, 64); err == nil && json.Valid([]byte(text)) {
			return json.Number(text)
		}
	case p.Type == "boolean" && (text == "true" || text == "false"):
		return text == "true"
	case p.Type == "object" && isText && strings.HasPrefix(strings.TrimSpace(text), "{"):
		if doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text)); err == nil {
			return doc
		}
	case p.Type == "string":
		if n, isNumber := value.(json.Number); isNumber {
			return n.String()
		}
	}
	return unchanged{}
}

// explain says in the agent's words what is wrong with the arguments.
func (a *argumentReader) explain(err error) error {
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return engine.Errorf(engine.ErrInvalidArgument, "the arguments don't fit: %w", err)
	}
	for len(ve.Causes) > 0 {
		ve = ve.Causes[0]
	}
	where := strings.Join(ve.InstanceLocation, ".")
	switch k := ve.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		return a.unknown(where, k.Properties[0])
	case *kind.Required:
		return engine.Errorf(engine.ErrInvalidArgument, "argument %q is missing", joinPath(where, k.Missing[0]))
	case *kind.Enum:
		return enumError(where, k)
	case *kind.Type:
		return engine.Errorf(engine.ErrInvalidArgument, "argument %q is %s, not %s", where, article(k.Got), article(strings.Join(k.Want, " or ")))
	case *kind.Minimum:
		f, _ := k.Want.Float64()
		return engine.Errorf(engine.ErrInvalidArgument, "argument %q must be at least %v", where, f)
	case *kind.Maximum:
		f, _ := k.Want.Float64()
		return engine.Errorf(engine.ErrInvalidArgument, "argument %q must be at most %v", where, f)
	case *kind.MaxLength:
		return engine.Errorf(engine.ErrInvalidArgument, "argument %q is longer than %d characters", where, k.Want)
	}
	return engine.Errorf(engine.ErrInvalidArgument, "argument %q does not fit the tool's schema", where)
}

func (a *argumentReader) unknown(where, key string) error {
	e := engine.Errorf(codeUnknownArgument, "unknown argument %q", joinPath(where, key))
	if where != "" {
		return e
	}
	e.ValidValues = slices.Sorted(maps.Keys(a.fields))
	if s := engine.Suggest(key, e.ValidValues); s != "" {
		return e.WithHint("did you mean %q?", s)
	}
	return e
}

func enumError(where string, k *kind.Enum) error {
	e := engine.Errorf(engine.ErrInvalidArgument, "argument %q is %v", where, k.Got)
	for _, w := range k.Want {
		e.ValidValues = append(e.ValidValues, fmt.Sprint(w))
	}
	if s := engine.Suggest(fmt.Sprint(k.Got), e.ValidValues); s != "" {
		return e.WithHint("did you mean %q?", s)
	}
	return e.WithHint("use one of the valid values")
}

func joinPath(where, key string) string {
	if where == "" {
		return key
	}
	return where + "." + key
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}
