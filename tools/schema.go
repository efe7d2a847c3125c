package tools

import (
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

// inputSchema describes a request: unknown keys are refused, and a field is
// required only if its tag says so.
func inputSchema(v any) json.RawMessage { return schemaOf(v, false) }

// outputSchema describes an answer. Nothing is required of it and more may be
// added, for clients validate answers against it, errors too.
func outputSchema(v any) json.RawMessage { return schemaOf(v, true) }

func schemaOf(v any, output bool) json.RawMessage {
	r := jsonschema.Reflector{
		DoNotReference: true, Anonymous: true, AllowAdditionalProperties: output, RequiredFromJSONSchemaTags: true,
	}
	s := r.Reflect(v)
	s.Version = ""
	clean(s)
	data, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("tools: schema of %T: %v", v, err))
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
