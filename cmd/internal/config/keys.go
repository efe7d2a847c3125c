package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A Kind says how a key's value is written as text.
type Kind int

// The kinds of keys.
const (
	Text   Kind = iota // as it is
	Bool               // true or false
	Number             // in digits
	List               // separated by commas
	Pairs              // NAME=VALUE, separated by commas
	Bytes              // a [Size]
	Span               // a [Duration]
)

// A Key is one thing that can be configured.
type Key struct {
	Name    string // such as "ipfs.timeout"
	Kind    Kind
	Doc     string // what it does, in sentences
	Flags   []string
	Envs    []string
	Project bool // a project's own file may set it
	Reload  bool // SIGHUP changes it while the server runs
}

// EnvPrefix begins the name of every variable that sets a key.
const EnvPrefix = "IPFS_ACCELERATE_"

// Keys returns all keys in the order of [Config].
var Keys = sync.OnceValue(func() []Key { return keysOf(reflect.TypeFor[Config](), "") })

func keysOf(t reflect.Type, prefix string) []Key {
	var keys []Key
	for f := range t.Fields() {
		name := prefix + f.Tag.Get("json")
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(f.Type, name+".")...)
			continue
		}
		keys = append(keys, newKey(name, f))
	}
	return keys
}

func newKey(name string, f reflect.StructField) Key {
	marks := strings.Split(f.Tag.Get("config"), ",")
	k := Key{
		Name: name, Kind: kindOf(f.Type), Doc: f.Tag.Get("jsonschema_description"),
		Flags: []string{strings.NewReplacer(".", "-", "_", "-").Replace(name)}, Envs: []string{envOf(name)},
		Project: slices.Contains(marks, "project"), Reload: slices.Contains(marks, "reload"),
	}
	if flag := f.Tag.Get("flag"); flag != "" {
		k.Flags = append(k.Flags, flag)
	}
	if env := f.Tag.Get("env"); env != "" {
		k.Envs = append(k.Envs, env)
	}
	return k
}

func envOf(name string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

func kindOf(t reflect.Type) Kind {
	switch {
	case t == reflect.TypeFor[Size]():
		return Bytes
	case t == reflect.TypeFor[Duration]():
		return Span
	case t == reflect.TypeFor[[]Source]():
		return Pairs
	case t.Kind() == reflect.Slice:
		return List
	case t.Kind() == reflect.Bool:
		return Bool
	case t.Kind() == reflect.String:
		return Text
	case t.Kind() == reflect.Int, t.Kind() == reflect.Float64:
		return Number
	}
	panic(fmt.Sprintf("config: no kind for %s", t))
}

// keyOf finds a key by its name.
func keyOf(name string) (Key, bool) {
	i := slices.IndexFunc(Keys(), func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return Keys()[i], true
}
