package shape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A compiler makes an expression of a schema.
type compiler struct {
	*language
	char, space *expr // of a string; after a colon or comma

	root    json.RawMessage
	refs    map[string]*expr // that are compiled, by name and by where they are
	open    map[string]int   // how often the compiler is within each
	schemas int              // that were compiled
	cut     bool             // a schema within itself was ended
	foreign bool             // a pattern may need any character
}

func compile(data []byte) (*compiler, *expr, error) {
	if len(data) > maxSchema {
		return nil, nil, &SchemaError{What: fmt.Sprintf("has more than %d bytes", maxSchema), Hint: "ask for less at once"}
	}
	c := &compiler{language: newLanguage(), root: data, refs: map[string]*expr{}, open: map[string]int{}}
	c.char, c.space = c.character(), c.optional(c.text(" "))
	e, err := c.compile(data, "", 0)
	return c, e, err
}

func (c *compiler) compile(data []byte, at string, depth int) (*expr, error) {
	var s schema
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, &SchemaError{at, "can't be read: " + strings.TrimPrefix(err.Error(), "json: "), "write it as JSON Schema has it"}
	}
	if err := keywords(data, s, at); err != nil {
		return nil, err
	}
	if c.schemas++; c.schemas > maxSchemas {
		return nil, &SchemaError{at, fmt.Sprintf("leads to more than %d schemas by its references", maxSchemas), "refer to less"}
	}
	if depth > maxDepth {
		return nil, &SchemaError{at, fmt.Sprintf("is deeper than %d", maxDepth), "make it flatter"}
	}
	if err := s.check(at); err != nil {
		return nil, err
	}
	switch {
	case s.Ref != nil:
		return c.ref(*s.Ref, at, depth)
	case s.Const != nil:
		return c.values([]json.RawMessage{s.Const}, at)
	case s.Enum != nil:
		return c.values(s.Enum, at)
	case s.AnyOf != nil:
		return c.anyOf(s, at, depth)
	case len(s.Type) == 0:
		return nil, &SchemaError{at, "says no type, enum, const, anyOf or $ref", "add \"type\""}
	}
	var all []*expr
	for _, t := range s.Type {
		e, err := c.typed(t, s, at, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return c.alt(all...), nil
}

func (c *compiler) anyOf(s schema, at string, depth int) (*expr, error) {
	var all []*expr
	for i, part := range s.AnyOf {
		e, err := c.compile(part, fmt.Sprintf("%s[%d]", join(at, "anyOf"), i), depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return c.alt(all...), nil
}

func join(at, name string) string { return strings.TrimPrefix(at+"."+name, ".") }

func (c *compiler) typed(t string, s schema, at string, depth int) (*expr, error) {
	digit := c.bytes([2]byte{'0', '9'})
	whole := c.cat(c.optional(c.text("-")), c.alt(c.text("0"), c.cat(c.bytes([2]byte{'1', '9'}), c.repeat(digit, 0, 14))))
	switch t {
	case "null":
		return c.text("null"), nil
	case "boolean":
		return c.alt(c.text("true"), c.text("false")), nil
	case "integer", "number":
		limits, err := s.limits(at)
		if err != nil {
			return nil, err
		}
		if len(limits) > 0 {
			return c.bounded(t, at, limits)
		}
		if t == "integer" {
			return whole, nil
		}
		return c.cat(whole, c.optional(c.cat(c.text("."), c.repeat(digit, 1, 15))),
			c.optional(c.cat(c.alt(c.text("e"), c.text("E")), c.optional(c.alt(c.text("-"), c.text("+"))), c.repeat(digit, 1, 2)))), nil
	case "string":
		if s.Pattern != nil && (s.MinLength > 0 || s.MaxLength != nil) {
			return nil, &SchemaError{at, "has a pattern and a length, which are not known together here", "write the length into the pattern: ^.{1,20}$"}
		}
		if s.Pattern != nil {
			c.foreign = true
			return c.pattern(*s.Pattern, at)
		}
		return c.cat(c.text(`"`), c.repeat(c.char, s.MinLength, most(s.MaxLength)), c.text(`"`)), nil
	case "array":
		return c.array(s, at, depth)
	case "object":
		return c.object(s, at, depth)
	}
	return nil, &SchemaError{at, fmt.Sprintf("has the type %q, which is none", t), "use object, array, string, number, integer, boolean or null"}
}

func most(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

// character is one of a string: a code point that stands for itself, or an
// escape.
func (c *compiler) character() *expr {
	hex := [][2]byte{{'0', '9'}, {'a', 'f'}, {'A', 'F'}}
	tail := c.bytes([2]byte{0x80, 0xbf})
	seq := func(first, second [2]byte, more int) *expr {
		return c.cat(c.bytes(first), c.bytes(second), c.repeat(tail, more, more))
	}
	return c.alt(
		c.bytes([2]byte{0x20, 0x21}, [2]byte{0x23, 0x5b}, [2]byte{0x5d, 0x7f}),
		c.cat(c.bytes([2]byte{0xc2, 0xdf}), tail),
		seq([2]byte{0xe0, 0xe0}, [2]byte{0xa0, 0xbf}, 1), seq([2]byte{0xe1, 0xec}, [2]byte{0x80, 0xbf}, 1),
		seq([2]byte{0xed, 0xed}, [2]byte{0x80, 0x9f}, 1), seq([2]byte{0xee, 0xef}, [2]byte{0x80, 0xbf}, 1),
		seq([2]byte{0xf0, 0xf0}, [2]byte{0x90, 0xbf}, 2), seq([2]byte{0xf1, 0xf3}, [2]byte{0x80, 0xbf}, 2), seq([2]byte{0xf4, 0xf4}, [2]byte{0x80, 0x8f}, 2),
		c.cat(c.text(`\`), c.alt(c.text(`"`), c.text(`\`), c.text("/"), c.text("b"), c.text("f"), c.text("n"), c.text("r"), c.text("t"))),
		c.cat(c.text(`\u`), c.alt( // no half of a surrogate pair
			c.cat(c.bytes([2]byte{'0', '9'}, [2]byte{'a', 'c'}, [2]byte{'A', 'C'}, [2]byte{'e', 'f'}, [2]byte{'E', 'F'}), c.bytes(hex...)),
			c.cat(c.bytes([2]byte{'d', 'd'}, [2]byte{'D', 'D'}), c.bytes([2]byte{'0', '7'}))), c.bytes(hex...), c.bytes(hex...)),
	)
}

// values are those of enum, as they are written without spaces.
func (c *compiler) values(values []json.RawMessage, at string) (*expr, error) {
	var all []*expr
	for _, v := range values {
		var b bytes.Buffer
		if err := json.Compact(&b, v); err != nil {
			return nil, &SchemaError{at, "has a value that can't be read", "write it as JSON"}
		}
		all = append(all, c.text(b.String()))
	}
	if len(all) == 0 {
		return nil, &SchemaError{at, "has an empty enum", "name a value"}
	}
	return c.alt(all...), nil
}

func (c *compiler) array(s schema, at string, depth int) (*expr, error) {
	if s.Items == nil {
		return nil, &SchemaError{at, "says not what its items are", "add \"items\""}
	}
	item, err := c.compile(s.Items, join(at, "items"), depth+1)
	if err != nil {
		return nil, err
	}
	limit := most(s.MaxItems)
	if limit == 0 {
		return c.text("[]"), nil
	}
	more := -1
	if limit > 0 {
		more = limit - 1
	}
	list := c.cat(item, c.repeat(c.cat(c.text(","), c.space, item), max(s.MinItems-1, 0), more))
	if s.MinItems == 0 {
		list = c.optional(list)
	}
	return c.cat(c.text("["), list, c.text("]")), nil
}

// A property is one of an object, in the schema's order.
type property struct {
	name     string
	value    *expr
	required bool
}

// object has its properties in the schema's order, and no others.
func (c *compiler) object(s schema, at string, depth int) (*expr, error) {
	var properties []property
	err := members(s.Properties, func(name string, value json.RawMessage) error {
		e, err := c.compile(value, join(at, "properties."+name), depth+1)
		properties = append(properties, property{name, e, slices.Contains(s.Required, name)})
		return err
	})
	if err != nil {
		if _, ok := errors.AsType[*SchemaError](err); !ok {
			err = &SchemaError{at, "has properties that can't be read", "write them like {\"name\":{\"type\":\"string\"}}"}
		}
		return nil, err
	}
	for _, name := range s.Required {
		if !slices.ContainsFunc(properties, func(p property) bool { return p.name == name }) {
			return nil, &SchemaError{at, fmt.Sprintf("requires %q, which is none of its properties", name), "add it to \"properties\""}
		}
	}
	first, later := c.blank, c.blank // what may follow as the first property, or behind others
	for _, p := range slices.Backward(properties) {
		key, err := json.Marshal(p.name)
		if err != nil {
			return nil, err
		}
		member := c.cat(c.text(string(key)+":"), c.space, p.value)
		asFirst, asLater := c.cat(member, later), c.cat(c.text(","), c.space, member, later)
		if !p.required {
			asFirst, asLater = c.alt(asFirst, first), c.alt(asLater, later)
		}
		first, later = asFirst, asLater
	}
	return c.cat(c.text("{"), first, c.text("}")), nil
}

// members calls f with each member of an object, in order.
func members(data json.RawMessage, f func(name string, value json.RawMessage) error) error {
	if len(data) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return errors.New("no object")
	}
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := name.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if seen[key] {
			return &SchemaError{"", fmt.Sprintf("has the property %q twice", key), "name it once"}
		}
		seen[key] = true
		if err := f(key, value); err != nil {
			return err
		}
	}
	return nil
}
