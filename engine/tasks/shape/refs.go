package shape

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What references may lead to is bounded: a schema within itself so many times,
// where a text can't go on deeper, and so many schemas in all.
const (
	maxNested  = 4
	maxSchemas = 2000
)

// ref is the schema that a reference names, within the whole.
func (c *compiler) ref(ref, at string, depth int) (*expr, error) {
	target, ok := c.find(ref)
	if !ok {
		return nil, &SchemaError{at, fmt.Sprintf("refers to %q, which is not there", ref), "refer to \"#/$defs/NAME\", and define it in \"$defs\" of the whole schema"}
	}
	if c.open[ref] == maxNested {
		c.cut = true
		return c.none, nil
	}
	key := ref + c.nesting()
	if known := c.refs[key]; known != nil {
		return known, nil
	}
	c.open[ref]++
	defer func() { c.open[ref]-- }()
	e, err := c.compile(target, at, depth+1)
	if err == nil {
		c.refs[key] = e
	}
	return e, err
}

// nesting is which references the compiler is in, and how often in each: that
// decides where they end.
func (c *compiler) nesting() string {
	var out strings.Builder
	for _, ref := range slices.Sorted(maps.Keys(c.open)) {
		if n := c.open[ref]; n > 0 {
			fmt.Fprintf(&out, "\n%d %s", n, ref)
		}
	}
	return out.String()
}

// find follows a JSON pointer, #/$defs/NAME or such, from the whole schema.
func (c *compiler) find(ref string) (json.RawMessage, bool) {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok || pointer != "" && pointer[0] != '/' {
		return nil, false
	}
	at := c.root
	for _, name := range strings.Split(pointer, "/")[1:] {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		var object map[string]json.RawMessage
		var list []json.RawMessage
		i, notNumber := strconv.Atoi(name)
		switch {
		case json.Unmarshal(at, &object) == nil:
			if at, ok = object[name]; !ok {
				return nil, false
			}
		case json.Unmarshal(at, &list) == nil && notNumber == nil && i >= 0 && i < len(list):
			at = list[i]
		default:
			return nil, false
		}
	}
	return at, true
}
