package tasks

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// readParameters decodes a task's parameters into v, over what v holds
// already. An unknown key is an error with the valid ones.
func readParameters(raw json.RawMessage, v any) error {
	if len(raw) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		return nil
	}
	e := engine.Errorf(engine.ErrInvalidArgument, "parameters: %s", strings.TrimPrefix(err.Error(), "json: "))
	e.ValidValues = parameterNames(v)
	if key := unknownKey(raw, e.ValidValues); key != "" {
		e.Message = "unknown parameter \"" + key + "\""
		if s := engine.Suggest(key, e.ValidValues); s != "" {
			e.Hint = "did you mean \"" + s + "\"?"
		}
	}
	return e
}

// parameterNames lists the keys that v has in JSON.
func parameterNames(v any) []string {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(data, &keys) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(keys))
}

func unknownKey(raw json.RawMessage, valid []string) string {
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &keys) != nil {
		return ""
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(valid, k) {
			return k
		}
	}
	return ""
}

// graphOf reads what the file that the model runs by default says of itself.
func graphOf(m *engine.Model) (engine.Graph, error) {
	file, err := m.OnnxFile()
	if err != nil {
		return engine.Graph{}, err
	}
	return m.Graph(file)
}

// among is an error if a parameter is none of the values it may have; an empty
// one, if it may be, is not shown.
func among(name, value string, valid ...string) error {
	if slices.Contains(valid, value) {
		return nil
	}
	e := engine.Errorf(engine.ErrInvalidArgument, "unknown %s %q", name, value)
	e.ValidValues = slices.DeleteFunc(slices.Clone(valid), func(v string) bool { return v == "" })
	return e
}
