package config

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// A Setting is one key as it holds.
type Setting struct {
	Key    string          `json:"key"`
	Value  json.RawMessage `json:"value"`
	Origin Origin          `json:"origin"`
}

// Settings are all keys as they hold, in the order of [Config].
func (l *Loaded) Settings() []Setting {
	values := valuesOf(l.Config)
	var out []Setting
	for _, k := range Keys() {
		out = append(out, Setting{k.Name, values[k.Name], l.origins[k.Name]})
	}
	return out
}

// Public are the settings as they may be shown to anyone: what in a URL may be
// a secret is left out, and the user's home folder is "~".
func (l *Loaded) Public() []Setting {
	out := l.Settings()
	for i, s := range out {
		switch k, _ := keyOf(s.Key); k.Kind {
		case Text, List, Pairs:
			out[i].Value = publicValue(s.Value)
		}
		out[i].Origin.File = Shorten(s.Origin.File)
	}
	return out
}

func publicValue(value json.RawMessage) json.RawMessage {
	var v any
	if json.Unmarshal(value, &v) != nil {
		return value
	}
	data, err := json.Marshal(public(v))
	if err != nil {
		return value
	}
	return data
}

func public(v any) any {
	switch v := v.(type) {
	case string:
		return Shorten(redact(v))
	case []any:
		for i := range v {
			v[i] = public(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = public(v[k])
		}
	}
	return v
}

// redact leaves out what in a URL may be a secret.
func redact(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return text
	}
	if u.User != nil {
		u.User = url.User("xxxxx")
	}
	if u.RawQuery != "" {
		u.RawQuery = "xxxxx"
	}
	return u.String()
}

// Shorten writes the user's home folder at the beginning of a path as "~".
func Shorten(path string) string {
	home, err := os.UserHomeDir()
	if err != nil || home == "" || home == string(filepath.Separator) {
		return path
	}
	if rest, ok := strings.CutPrefix(path, filepath.Clean(home)); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		return "~" + rest
	}
	return path
}

// defaults are the values of [Defaults] by key.
func defaults() map[string]json.RawMessage { return valuesOf(Defaults()) }

func valuesOf(c Config) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	collect(reflect.ValueOf(c), "", out)
	return out
}

func collect(v reflect.Value, prefix string, out map[string]json.RawMessage) {
	for f := range v.Type().Fields() {
		name, field := prefix+f.Tag.Get("json"), v.FieldByIndex(f.Index)
		if f.Type.Kind() == reflect.Struct {
			collect(field, name+".", out)
			continue
		}
		data, err := json.Marshal(field.Interface())
		if err != nil { // its types are ours
			panic(err)
		}
		out[name] = data
	}
}

// DefaultValues are what the keys are by default, as JSON.
func DefaultValues() map[string]string {
	out := map[string]string{}
	for name, value := range defaults() {
		out[name] = string(value)
	}
	return out
}

// Template is a file that sets some keys to what they are by default.
func Template(names []string) ([]byte, error) {
	tree := map[string]any{}
	values := defaults()
	for _, name := range names {
		section, key, nested := strings.Cut(name, ".")
		if !nested {
			tree[name] = values[name]
			continue
		}
		if tree[section] == nil {
			tree[section] = map[string]any{}
		}
		tree[section].(map[string]any)[key] = values[name]
	}
	data, err := json.MarshalIndent(tree, "", "  ")
	return append(data, '\n'), err
}
