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

// errUnknownArgument is for a key that the tool does not have.
const errUnknownArgument engine.Code = "unknown_argument"

// An argumentReader checks and decodes the arguments of one tool.
type argumentReader struct {
	root     *property
	compiled func() *jsonschema.Schema
}

func newArgumentReader(schema json.RawMessage) *argumentReader {
	var root property
	if err := json.Unmarshal(schema, &root); err != nil {
		panic(fmt.Sprintf("tools: %v", err))
	}
	return &argumentReader{root: &root, compiled: sync.OnceValue(func() *jsonschema.Schema { return mustCompile(schema) })}
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
	if trimmed := bytes.TrimSpace(args); len(trimmed) == 0 || string(trimmed) == "null" {
		args = json.RawMessage("{}")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(args))
	if err != nil {
		return engine.Errorf(engine.ErrInvalidArgument, "the arguments are not JSON: %w", err)
	}
	if _, ok := doc.(map[string]any); !ok {
		return engine.Errorf(engine.ErrInvalidArgument, "the arguments are not an object").WithHint("pass {} for the defaults")
	}
	doc, mended := a.root.mend(doc)
	if err := a.compiled().Validate(doc); err != nil {
		return a.explain(err)
	}
	if mended {
		if args, err = json.Marshal(doc); err != nil {
			return err
		}
	}
	var wrongType *json.UnmarshalTypeError
	switch err := json.Unmarshal(args, v); {
	case errors.As(err, &wrongType): // the schema has no bounds for it, but a Go number has
		return &engine.Error{Code: engine.ErrInvalidArgument, Message: fmt.Sprintf("argument %q is out of range", wrongType.Field), Err: err}
	case err != nil:
		return &engine.Error{Code: engine.ErrInvalidArgument, Message: "the arguments can't be read", Err: err}
	}
	return nil
}

// explain says in the agent's words what is wrong with the arguments. Of
// several mistakes it names one, always the same.
func (a *argumentReader) explain(err error) error {
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return &engine.Error{Code: engine.ErrInvalidArgument, Message: "the arguments don't fit the tool's schema", Err: err}
	}
	ve = slices.MinFunc(leaves(ve), func(x, y *jsonschema.ValidationError) int {
		return strings.Compare(rank(x), rank(y))
	})
	where := strings.Join(ve.InstanceLocation, ".")
	switch k := ve.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		return a.unknown(ve.InstanceLocation, slices.Min(k.Properties))
	case *kind.Required:
		return engine.Errorf(engine.ErrInvalidArgument, "argument %q is missing", joinPath(where, slices.Min(k.Missing)))
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

// leaves returns the causes that have no cause of their own.
func leaves(ve *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(ve.Causes) == 0 {
		return []*jsonschema.ValidationError{ve}
	}
	var all []*jsonschema.ValidationError
	for _, cause := range ve.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

// rank orders mistakes: a key that the tool does not have comes first, for it
// explains what is missing elsewhere.
func rank(ve *jsonschema.ValidationError) string {
	where := strings.Join(ve.InstanceLocation, ".")
	if _, ok := ve.ErrorKind.(*kind.AdditionalProperties); ok {
		return "0" + where
	}
	return "1" + where
}

func (a *argumentReader) unknown(location []string, key string) error {
	e := engine.Errorf(errUnknownArgument, "unknown argument %q", joinPath(strings.Join(location, "."), key))
	e.ValidValues = slices.Sorted(maps.Keys(a.root.at(location).Properties))
	if s := engine.Suggest(key, e.ValidValues); s != "" {
		return e.WithHint("did you mean %q?", s)
	}
	return e.WithHint("use one of the valid values")
}

func enumError(where string, k *kind.Enum) error {
	got := fmt.Sprint(k.Got)
	e := engine.Errorf(engine.ErrInvalidArgument, "argument %q is %q", where, got)
	for _, w := range k.Want {
		e.ValidValues = append(e.ValidValues, fmt.Sprint(w))
	}
	if s := engine.Suggest(got, e.ValidValues); s != "" {
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
	switch {
	case noun == "null":
		return noun
	case strings.ContainsAny(noun[:1], "aeiou"):
		return "an " + noun
	}
	return "a " + noun
}

// A property is what mending needs to know of a schema.
type property struct {
	Type       string               `json:"type"`
	Items      *property            `json:"items"`
	Properties map[string]*property `json:"properties"`
}

// at returns the property at a place in the arguments; an unknown place is a
// property that nothing is known of.
func (p *property) at(location []string) *property {
	for _, step := range location {
		next := p.Properties[step]
		if next == nil {
			next = p.Items // the step is an index
		}
		if next == nil {
			return &property{}
		}
		p = next
	}
	return p
}

// mend puts right what an agent often gets nearly right, and nothing is lost
// by: "8" for 8, 8.0 for 8, "x" for ["x"], "true" for true, 8 for "8", null
// for a field left out. It reports whether it did; a value that is right or
// past help stays as it is.
func (p *property) mend(value any) (any, bool) {
	text, isText := value.(string)
	switch p.Type {
	case "object":
		if isText && strings.HasPrefix(strings.TrimSpace(text), "{") {
			return p.mendText(text)
		}
		return p.mendObject(value)
	case "array":
		if isText && p.Items != nil && p.Items.Type != "string" && strings.HasPrefix(strings.TrimSpace(text), "[") {
			return p.mendText(text)
		}
		return p.mendArray(value)
	case "integer", "number":
		return p.mendNumber(value)
	case "boolean":
		if text == "true" || text == "false" {
			return text == "true", true
		}
	case "string":
		if n, ok := value.(json.Number); ok {
			return n.String(), true
		}
	}
	return value, false
}

// mendText reads an object or array that was passed as the text of one.
func (p *property) mendText(text string) (any, bool) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return text, false
	}
	if _, again := doc.(string); !again {
		doc, _ = p.mend(doc)
	}
	return doc, true
}

func (p *property) mendObject(value any) (any, bool) {
	object, ok := value.(map[string]any)
	if !ok {
		return value, false
	}
	mended := false
	for key, v := range object {
		field := p.Properties[key]
		switch {
		case field == nil:
		case v == nil:
			delete(object, key)
			mended = true
		default:
			better, did := field.mend(v)
			object[key], mended = better, mended || did
		}
	}
	return object, mended
}

func (p *property) mendArray(value any) (any, bool) {
	array, ok := value.([]any)
	if value == nil || p.Items == nil {
		return value, false
	}
	mended := !ok
	if !ok {
		array = []any{value}
	}
	for i, v := range array {
		better, did := p.Items.mend(v)
		array[i], mended = better, mended || did
	}
	return array, mended
}

// exact is the largest magnitude below which every whole float64 is exact.
const exact = 1 << 53

func (p *property) mendNumber(value any) (any, bool) {
	number, ok := value.(json.Number)
	text, isText := value.(string)
	if isText && json.Valid([]byte(text)) {
		number, ok = json.Number(strings.TrimSpace(text)), true
	}
	if !ok {
		return value, false
	}
	f, err := number.Float64()
	if err != nil {
		return value, false
	}
	if _, err := number.Int64(); err != nil && p.Type == "integer" && f == float64(int64(f)) && f > -exact && f < exact {
		return json.Number(strconv.FormatInt(int64(f), 10)), true
	}
	return number, isText
}
