package engine

import (
	"encoding/json"

	"github.com/invopop/jsonschema"
)

// An Object is a JSON object that is passed on as it is.
type Object struct{ json.RawMessage }

// JSONSchema describes any object.
func (Object) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "object"} }

// A Dim is a dimension of a signature: a size, or the name of one that the
// caller chooses.
type Dim struct {
	Size int64
	Name string
}

// MarshalJSON writes the name if there is one, else the size, else "?".
func (d Dim) MarshalJSON() ([]byte, error) {
	switch {
	case d.Size >= 0 && d.Name == "":
		return json.Marshal(d.Size)
	case d.Name != "":
		return json.Marshal(d.Name)
	}
	return []byte(`"?"`), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *Dim) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &d.Size) == nil {
		return nil
	}
	d.Size = -1
	return json.Unmarshal(data, &d.Name)
}

// JSONSchema leaves the type open: a number or a string.
func (Dim) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Description: "a size, or the name of a dimension that the caller chooses"}
}
