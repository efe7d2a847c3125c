package benchdb

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// A spoolFile is one file of a spool as a worker finds it.
type spoolFile struct {
	name   string
	writer string
}

func (s spoolFile) path() string { return filepath.Join(spoolDir, s.name) }

// spoolFiles lists the files of all spools, oldest writer first and in the
// order in which each wrote them.
func spoolFiles() ([]spoolFile, error) {
	entries, err := os.ReadDir(spoolDir)
	if err != nil {
		return nil, err
	}
	var out []spoolFile
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), spoolSuffix)
		if cut := strings.LastIndexByte(name, '-'); ok && cut >= 0 {
			out = append(out, spoolFile{name: e.Name(), writer: name[:cut]})
		}
	}
	return out, nil
}

// spoolFilesOf lists the files of one writer's spool.
func spoolFilesOf(writer string) ([]spoolFile, error) {
	all, err := spoolFiles()
	return slices.DeleteFunc(all, func(s spoolFile) bool { return s.writer != writer }), err
}

// writers lists all that have a spool or a lock, oldest first.
func writers() ([]string, error) {
	files, err := spoolFiles()
	if err != nil {
		return nil, err
	}
	locks, err := filepath.Glob(filepath.Join(spoolDir, "*"+lockSuffix))
	var out []string
	for _, f := range files {
		out = append(out, f.writer)
	}
	for _, l := range locks {
		out = append(out, strings.TrimSuffix(filepath.Base(l), lockSuffix))
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

// lockOf is a writer's lock, which is not made where there is none.
func lockOf(writer string) *flock.Flock {
	return flock.New(filepath.Join(spoolDir, writer+lockSuffix), flock.SetFlag(os.O_RDONLY))
}

// dead reports whether a writer's lock can be taken by try, or is gone.
func dead(try func() (bool, error)) (bool, error) {
	ok, err := try()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return ok, err
}

// upToDate reports whether nothing has been written since the last ingest, and
// every writer may yet write.
func upToDate() (bool, error) {
	files, err := spoolFiles()
	if err != nil {
		return false, err
	}
	for i, s := range files {
		st, err := os.Stat(s.path())
		if err != nil || st.Size() > s.drained() {
			return false, nil //nolint:nilerr // another worker has removed it: the database is not what it was
		}
		if i > 0 && s.writer == files[i-1].writer {
			return false, nil // the one before is finished
		}
		lock := lockOf(s.writer)
		over, err := dead(lock.TryRLock)
		if err := errors.Join(err, lock.Close()); over || err != nil {
			return false, err
		}
	}
	return true, nil
}

// drained is how far the file was ingested, as the note beside it says. The
// database knows better, but may be held by another program.
func (s spoolFile) drained() int64 {
	data, err := os.ReadFile(s.path() + drainedSuffix)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// note writes down how far the file was ingested.
func (s spoolFile) note(position int64) error {
	if s.drained() == position {
		return nil
	}
	return os.WriteFile(s.path()+drainedSuffix, strconv.AppendInt(nil, position, 10), 0o600)
}

// remove removes the file.
func (s spoolFile) remove() error {
	if err := os.Remove(s.path() + drainedSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Remove(s.path())
}

// maxBatch is how much of a spool is ingested in one transaction, in bytes,
// unless its next line alone is longer.
const maxBatch = 1 << 20

// read reads whole lines from a position on.
func (s spoolFile) read(position int64) ([]byte, error) {
	f, err := os.Open(s.path())
	if err != nil {
		return nil, err
	}
	defer f.Close() // read-only
	for size := int64(maxBatch); ; size *= 2 {
		data, err := io.ReadAll(io.NewSectionReader(f, position, size))
		if err != nil {
			return nil, err
		}
		if end := bytes.LastIndexByte(data, '\n'); end >= 0 || int64(len(data)) < size {
			return data[:end+1], nil // what has no end is still being written
		}
	}
}

// pendingRows counts the rows that are not ingested. What can't be read counts
// nothing.
func pendingRows() int64 {
	files, err := spoolFiles()
	if err != nil {
		return 0
	}
	var n int64
	for _, s := range files {
		for position := s.drained(); ; {
			data, err := s.read(position)
			if err != nil || len(data) == 0 {
				break
			}
			for l := range bytes.Lines(data) {
				n += number(l, "rows")
			}
			position += int64(len(data))
		}
	}
	return n
}

// number reads a number from a line's beginning, which is the same in every
// version; 0 if there is none.
func number(line []byte, key string) int64 {
	_, after, _ := bytes.Cut(line[:min(len(line), 64)], []byte(`"`+key+`":`))
	digits, _, _ := bytes.Cut(after, []byte(","))
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
