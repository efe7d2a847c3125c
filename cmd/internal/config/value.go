package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Parse reads the text of a variable or flag as a value in JSON's terms.
func (k Key) Parse(text string) (any, error) {
	switch k.Kind {
	case Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither true nor false", text)
		}
		return b, nil
	case Number:
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return nil, fmt.Errorf("%q is no number", text)
		}
		return json.Number(text), nil
	case List:
		return split(text, func(s string) (any, error) { return s, nil })
	case Pairs:
		return split(text, func(s string) (any, error) {
			source, err := ParseSource(s)
			return map[string]any{"name": source.Name, "url": source.URL}, err
		})
	}
	return text, nil
}

// split reads a list that is separated by commas.
func split(text string, read func(string) (any, error)) (any, error) {
	out := []any{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		v, err := read(part)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Auto is the value of ipfs.local_node that has the node found.
const Auto = "auto"

// check says what a schema can't about a value that fits it.
func (k Key) check(value any) error {
	text, _ := value.(string)
	switch k.Name {
	case "ipfs.gateway", "ipfs.local_node", "ipfs.hub_endpoint", "telemetry.otlp_endpoint":
		if k.Name == "ipfs.local_node" && text == Auto {
			return nil
		}
		if _, err := hostOf(text); text != "" && err != nil {
			return fmt.Errorf("%q %w", redact(text), err)
		}
	case "logging.file":
		if text != "" && !filepath.IsAbs(text) {
			return fmt.Errorf("%q is no absolute path", text)
		}
	case "allow_paths":
		return each(value, func(item any) error {
			if path, _ := item.(string); !filepath.IsAbs(path) {
				return fmt.Errorf("%q is no absolute path", path)
			}
			return nil
		})
	case "sources":
		return checkSources(value)
	}
	if k.Kind == Bytes || k.Kind == Span {
		return k.measure(value)
	}
	return nil
}

// measure reads a size or duration, which one the schema has told apart.
func (k Key) measure(value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var c Config
	return place(&c, k.Name, data)
}

func checkSources(value any) error {
	n := 0
	seen := map[string]bool{}
	return each(value, func(item any) error {
		n++
		fields, _ := item.(map[string]any)
		name, _ := fields["name"].(string)
		address, _ := fields["url"].(string)
		if _, err := ParseSource(name + "=" + address); err != nil {
			return fmt.Errorf("source %d: %w", n, err)
		}
		if seen[name] {
			return fmt.Errorf("two sources are called %q", name)
		}
		seen[name] = true
		return nil
	})
}

func each(value any, f func(any) error) error {
	items, _ := value.([]any)
	for _, item := range items {
		if err := f(item); err != nil {
			return err
		}
	}
	return nil
}

// place sets one key of a configuration to a value in JSON.
func place(c *Config, name string, value json.RawMessage) error {
	parts := strings.Split(name, ".")
	for _, part := range slices.Backward(parts) {
		wrapped, err := json.Marshal(map[string]json.RawMessage{part: value})
		if err != nil {
			return err
		}
		value = wrapped
	}
	return json.Unmarshal(value, c)
}
