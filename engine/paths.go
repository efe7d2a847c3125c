package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Paths says which files of this machine a caller may name.
type Paths struct {
	Allowed []string // folders; everything below them may be read
	All     bool     // a person at the command line may name any file
	Hint    string   // how to allow a folder, fit to how the program was started
}

// Open opens a file that a caller named. A link that leads out of the allowed
// folders is refused, also when it is changed while we look.
func (p Paths) Open(name string) (*os.File, error) {
	if p.All {
		f, err := os.Open(name)
		if err != nil {
			return nil, p.unreadable(name, err)
		}
		return f, nil
	}
	dir, rel, err := p.locate(name)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, p.unreadable(name, err)
	}
	defer root.Close()
	f, err := root.Open(rel)
	if err != nil {
		return nil, p.unreadable(name, err)
	}
	return f, nil
}

// Resolve returns the real path of a file or folder that a caller named, all
// links followed, if it lies in an allowed folder.
func (p Paths) Resolve(name string) (string, error) {
	found, err := filepath.EvalSymlinks(name)
	if err != nil {
		if !p.All {
			if _, _, denied := p.locate(name); denied != nil {
				return "", denied // don't tell what exists outside
			}
		}
		return "", p.unreadable(name, err)
	}
	if found, err = filepath.Abs(found); err != nil {
		return "", p.unreadable(name, err)
	}
	if p.All {
		return found, nil
	}
	for _, dir := range p.Allowed {
		if base, err := filepath.EvalSymlinks(dir); err == nil {
			if rel, err := filepath.Rel(base, found); err == nil && filepath.IsLocal(rel) {
				return found, nil
			}
		}
	}
	return "", p.denied(name)
}

// locate splits a name into an allowed folder and the path below it.
func (p Paths) locate(name string) (dir, rel string, err error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", "", p.unreadable(name, err)
	}
	for _, dir := range p.Allowed {
		if rel, err := filepath.Rel(dir, abs); err == nil && filepath.IsLocal(rel) {
			return dir, rel, nil
		}
	}
	// The caller may know an allowed folder by a link to it.
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", "", p.denied(name)
	}
	for _, dir := range p.Allowed {
		target, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(target, filepath.Join(parent, filepath.Base(abs))); err == nil && filepath.IsLocal(rel) {
			return dir, rel, nil
		}
	}
	return "", "", p.denied(name)
}

func (p Paths) denied(name string) error {
	if len(p.Allowed) == 0 {
		return Errorf(ErrNotAllowed, "no folder is allowed, so %q can't be read", name).WithHint("%s", p.Hint)
	}
	return Errorf(ErrNotAllowed, "%q is outside the allowed folders", name).WithHint("%s", p.Hint)
}

func (p Paths) unreadable(name string, err error) error {
	reason := "it can't be read"
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		reason = "there is no such file"
	case errors.As(err, &pe) && strings.Contains(pe.Err.Error(), "escapes"):
		return p.denied(name)
	}
	return &Error{Code: ErrInvalidArgument, Message: "open \"" + name + "\": " + reason, Hint: "check the path", Err: err}
}
