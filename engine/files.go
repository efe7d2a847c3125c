package engine

import (
	"io"
	"mime"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
)

// keepFiles is how long the files of a run are kept, as its answer is.
const keepFiles = 24 * time.Hour

// runFiles are the files that runs made, in a folder per run.
type runFiles struct{ dir string }

// write makes a file of a run and returns how it is named to callers. The
// folders of runs long past are removed.
func (f runFiles) write(run, name string, content func(io.Writer) error) (FileRef, error) {
	if !plainName(name) {
		return FileRef{}, Errorf(ErrInvalidArgument, "%q is no plain file name", name).WithHint("name a file without folders, such as \"v.npy\"")
	}
	f.expire()
	dir := filepath.Join(f.dir, "files", run)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return FileRef{}, err
	}
	out, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return FileRef{}, err
	}
	err = content(out)
	st, serr := out.Stat()
	for _, err := range []error{err, serr, out.Close()} {
		if err != nil {
			return FileRef{}, err
		}
	}
	return FileRef{URI: "results://" + run + "/" + name, MIMEType: mimeType(name), Bytes: st.Size()}, nil
}

// read returns a file of a run.
func (f runFiles) read(run, name string) ([]byte, string, error) {
	if _, err := uuid.Parse(run); err != nil || !plainName(name) {
		return nil, "", Errorf(ErrRunNotFound, "no file %q of a run %q", name, run)
	}
	data, err := os.ReadFile(filepath.Join(f.dir, "files", run, name))
	if err != nil {
		return nil, "", Errorf(ErrRunNotFound, "no file %q of run %q is kept", name, run).WithHint("files are kept for 24 hours")
	}
	return data, mimeType(name), nil
}

func (f runFiles) expire() {
	entries, err := os.ReadDir(filepath.Join(f.dir, "files"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > keepFiles {
			os.RemoveAll(filepath.Join(f.dir, "files", e.Name()))
		}
	}
}

// plainName reports whether name is one element of a path that every system
// takes.
func plainName(name string) bool {
	return name != "" && len(name) < 128 && filepath.IsLocal(name) && !strings.ContainsAny(name, `/\:`) && name[0] != '.'
}

func mimeType(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// File returns a file that a run made, with its media type.
func (e *Engine) File(run, name string) ([]byte, string, error) { return e.files.read(run, name) }
