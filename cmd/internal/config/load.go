package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// ProjectName is the project's own file, in the working directory.
const ProjectName = "ipfs_accelerate.json"

// A Given is what a flag says of a key.
type Given struct {
	Flag  string // as it was written, such as "--log-level"
	Value any    // in JSON's terms
}

// Options say where to look for settings.
type Options struct {
	File    string           // the user's file, which must be there; empty: the first of [UserFiles]
	Files   []string         // where the user's file may be, best first
	WorkDir string           // the folder of the project's file; empty: there is none
	Environ []string         // NAME=VALUE
	Flags   map[string]Given // by key

	// Suggest returns the valid word that was meant, or "".
	Suggest func(word string, valid []string) string
}

// A Loaded is a configuration with where each part of it comes from.
type Loaded struct {
	Config
	User     string    // the user's file that was read, or ""
	Project  string    // the project's file that was read, or ""
	Warnings []Problem // what was left out, such as what a project's file may not set

	origins map[string]Origin
}

// Origin returns where the value of a key comes from.
func (l *Loaded) Origin(key string) Origin { return l.origins[key] }

// Load joins the five levels. What is wrong with flags, variables or the
// user's file is an [Error]; what is wrong with the project's file, which may
// be a stranger's, is left out and a warning.
func Load(o Options) (*Loaded, error) {
	l := &loading{o: o, out: &Loaded{Config: Defaults(), origins: map[string]Origin{}}}
	if o.Suggest == nil {
		l.o.Suggest = func(string, []string) string { return "" }
	}
	for _, k := range Keys() {
		l.out.origins[k.Name] = Origin{}
	}
	if err := l.project(); err != nil {
		return nil, err
	}
	if err := l.user(); err != nil {
		return nil, err
	}
	if err := l.environment(); err != nil {
		return nil, err
	}
	if err := l.flags(); err != nil {
		return nil, err
	}
	if len(l.problems) > 0 {
		return nil, Error{l.problems}
	}
	return l.out, nil
}

// loading is one Load as it goes.
type loading struct {
	o        Options
	out      *Loaded
	problems []Problem
}

// project reads the project's file.
func (l *loading) project() error {
	path := filepath.Join(l.o.WorkDir, ProjectName)
	if l.o.WorkDir == "" || !exists(path) {
		return nil
	}
	problems, err := l.file(path, ProjectFile)
	l.out.Project = path
	l.out.Warnings = append(l.out.Warnings, problems...)
	return err
}

// user reads the user's file.
func (l *loading) user() error {
	path := l.o.File
	if path == "" {
		i := slices.IndexFunc(l.o.Files, exists)
		if i < 0 {
			return nil
		}
		path = l.o.Files[i]
	}
	problems, err := l.file(path, UserFile)
	l.out.User = path
	l.problems = append(l.problems, problems...)
	return err
}

// file takes the keys of a file that are right, and returns what is wrong.
func (l *loading) file(path string, level Level) ([]Problem, error) {
	d, err := readDocument(path)
	var broken Error
	switch {
	case errors.As(err, &broken):
		for i := range broken.Problems {
			broken.Problems[i].Origin.Level = level
		}
		return broken.Problems, nil
	case err != nil:
		return []Problem{{Origin: Origin{Level: level, File: path}, Message: plain(err)}}, nil
	}
	where := func(at []string) Origin { return Origin{Level: level, File: path, Line: d.line(at)} }
	return l.take(d.value, where, level)
}

// plain is a failure to read without the path, which is said beside it.
func plain(err error) string {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err.Error()
	}
	return err.Error()
}

// line finds where a part of a document stands: where its parent does, if it
// is not known.
func (d *document) line(at []string) int {
	for n := len(at); n >= 0; n-- {
		var pointer strings.Builder
		for _, part := range at[:n] {
			pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
		}
		if line := d.lines[pointer.String()]; line > 0 {
			return line
		}
	}
	return 0
}

// take sets the keys of a document that are right, and returns what is wrong.
func (l *loading) take(value any, where func([]string) Origin, level Level) ([]Problem, error) {
	problems, err := validate(value, where, l.o.Suggest)
	if err != nil {
		return nil, err
	}
	wrong := map[string]bool{}
	for _, p := range problems {
		wrong[p.Key] = true
	}
	for _, k := range Keys() {
		v, ok := lookUp(value, strings.Split(k.Name, "."))
		if !ok || blamed(wrong, k.Name) {
			continue
		}
		origin := where(strings.Split(k.Name, "."))
		if problem := l.set(k, v, origin, level); problem != nil {
			problems = append(problems, *problem)
		}
	}
	return problems, nil
}

// blamed reports whether a problem is with a key, a part of it or its section.
func blamed(wrong map[string]bool, name string) bool {
	for w := range wrong {
		if w == name || strings.HasPrefix(w, name+".") || strings.HasPrefix(name, w+".") && w != "" {
			return true
		}
	}
	return wrong[""] && !strings.Contains(name, ".") // the document is no object
}

func (l *loading) set(k Key, v any, origin Origin, level Level) *Problem {
	if level == ProjectFile && !k.Project {
		return &Problem{Origin: origin, Key: k.Name, Message: "a project's file may not set this: it comes with a stranger's code", Hint: "it may set " + allowedInProjects()}
	}
	err := k.check(v)
	var data []byte
	if err == nil {
		data, err = json.Marshal(v)
	}
	if err == nil {
		err = place(&l.out.Config, k.Name, data)
	}
	if err != nil {
		return &Problem{Origin: origin, Key: k.Name, Message: err.Error()}
	}
	l.out.origins[k.Name] = origin
	return nil
}

// allowedInProjects is what a project's file may set, in words.
func allowedInProjects() string {
	return "hardware.prefer_*, hardware.allow_*, hardware.precision, performance.* and models"
}

// lookUp finds a key's value in a document.
func lookUp(value any, path []string) (any, bool) {
	for _, part := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[part]; !ok {
			return nil, false
		}
	}
	return value, true
}

// notKeys are variables of the program that set no key.
var notKeys = []string{EnvHome, EnvConfig}

// environment reads the variables. An unknown one is a warning: it may be
// meant for another version.
func (l *loading) environment() error {
	values := map[string]string{}
	for _, entry := range l.o.Environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	known := slices.Clone(notKeys)
	for _, k := range Keys() {
		for _, name := range k.Envs {
			known = append(known, name)
			text, ok := values[name]
			if !ok || text == "" {
				continue
			}
			origin := Origin{Level: Environment, Name: name}
			v, wrong := k.Parse(text)
			if wrong != nil {
				l.problems = append(l.problems, Problem{Origin: origin, Key: k.Name, Message: wrong.Error()})
				break
			}
			if err := l.one(k, v, origin); err != nil {
				return err
			}
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if strings.HasPrefix(name, EnvPrefix) && !slices.Contains(known, name) {
			l.out.Warnings = append(l.out.Warnings, Problem{
				Origin: Origin{Level: Environment, Name: name}, Message: "there is no such variable", Hint: didYouMean(l.o.Suggest(name, known)),
			})
		}
	}
	return nil
}

func (l *loading) flags() error {
	for _, name := range slices.Sorted(maps.Keys(l.o.Flags)) {
		k, ok := keyOf(name)
		if !ok {
			return fmt.Errorf("there is no key %q", name)
		}
		given := l.o.Flags[name]
		if err := l.one(k, given.Value, Origin{Level: Flag, Name: given.Flag}); err != nil {
			return err
		}
	}
	return nil
}

// one takes the value of one key, as a document that has no more.
func (l *loading) one(k Key, v any, origin Origin) error {
	parts := strings.Split(k.Name, ".")
	for _, part := range slices.Backward(parts) {
		v = map[string]any{part: v}
	}
	problems, err := l.take(v, func([]string) Origin { return origin }, origin.Level)
	l.problems = append(l.problems, problems...)
	return err
}

// Check reads one file by itself, and returns what is wrong with it.
func Check(path string, level Level, suggest func(string, []string) string) ([]Problem, error) {
	l := &loading{o: Options{Suggest: suggest}, out: &Loaded{Config: Defaults(), origins: map[string]Origin{}}}
	if level == UserFile {
		l.o.File = path
		err := l.user()
		return l.problems, err
	}
	problems, err := l.file(path, level)
	return problems, err
}
