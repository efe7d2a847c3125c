package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxProfile bounds what is kept of one profile, in bytes.
const maxProfile = 256 << 20

// profiling has the sessions of o write profiles, if the engine is told to.
// The function hands those that were written to keep, once o is released.
func (e *Engine) profiling(ctx context.Context, o *opened, run string, keep func(FileRef)) (done func()) {
	if !e.o.Profile {
		return func() {}
	}
	err := os.MkdirAll(e.o.Dir, 0o700)
	dir := ""
	if err == nil {
		dir, err = os.MkdirTemp(e.o.Dir, "profile-")
	}
	if err != nil {
		e.log.ErrorContext(ctx, "no profile is made", "error", err)
		return func() {}
	}
	o.profile = dir
	return func() {
		defer os.RemoveAll(dir) // rubbish in our own folder if it fails
		found, _ := filepath.Glob(filepath.Join(dir, "*.json"))
		if len(found) == 0 {
			e.log.WarnContext(ctx, "no profile was written", "device", o.c.ID)
		}
		for i, path := range found {
			ref, err := e.files.write(run, fmt.Sprintf("profile-%s-%d.json", fileWord(o.c.ID), i), func(w io.Writer) error { return copyFile(w, path) })
			if err != nil {
				e.log.ErrorContext(ctx, "a profile can't be kept", "error", err)
				continue
			}
			keep(ref)
		}
	}
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // read-only
	_, err = io.Copy(w, io.LimitReader(f, maxProfile))
	return err
}

// fileWord is a device's id as part of a file's name.
func fileWord(id string) string {
	word := []byte(id)
	for i, b := range word {
		if b == ':' || b == '@' || b == '/' || b == '\\' {
			word[i] = '-'
		}
	}
	return string(word)
}

// profilePrefix is how the path of the next session's profile begins.
func (o *opened) profilePrefix() string {
	if o.profile == "" {
		return ""
	}
	return filepath.Join(o.profile, fmt.Sprint(len(o.byFile)))
}
