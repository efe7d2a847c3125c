package tools

import (
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

// inputSchema describes a request: unknown keys are refused, and a field is
// required only if its tag says so.
func inputSchema(v any) json.RawMessage { return encode(schemaOf(v, false)) }

// outputSchema describes an answer. Nothing is required of it and more may be
// added, for clients validate answers against it, errors too.
func outputSchema(v any) json.RawMessage {
	s := schemaOf(v, true)
	shorten(s, outputDepth)
	return encode(s)
}

// outputDepth is how many levels of objects an output schema spells out. The
// list of tools is read in every conversation, and an answer explains itself.
const outputDepth = 1

// schemaOf describes v in full.
func schemaOf(v any, output bool) *jsonschema.Schema {
	r := jsonschema.Reflector{
		DoNotReference: true, Anonymous: true, AllowAdditionalProperties: output, RequiredFromJSONSchemaTags: true,
	}
	s := r.Reflect(v)
	s.Version = ""
	clean(s)
	return s
}

func encode(s *jsonschema.Schema) json.RawMessage {
	data, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("tools: %v", err))
	}
	return data
}

// clean takes out what some clients refuse. A value that may be null has no
// type then: a union with null is not portable.
func clean(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.OneOf) == 2 && s.OneOf[1].Type == "null" {
		*s = jsonschema.Schema{Description: s.OneOf[0].Type + " or null"}
	}
	clean(s.Items)
	clean(s.AdditionalProperties)
	if s.Properties == nil {
		return
	}
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		clean(p.Value)
	}
}

// shorten leaves out what lies deeper than depth levels of objects.
func shorten(s *jsonschema.Schema, depth int) {
	switch {
	case s == nil:
	case s.Type == "array":
		shorten(s.Items, depth)
	case s.Type == "object" && depth == 0:
		*s = jsonschema.Schema{Type: "object", Description: s.Description}
	case s.Type == "object":
		shorten(s.AdditionalProperties, depth-1)
		if s.Properties == nil {
			return
		}
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			shorten(p.Value, depth-1)
		}
	}
}
