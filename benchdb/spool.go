package benchdb

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
)

// A spool is where one process, the writer, appends its records: in files of
// its own named WRITER-N.ndjson. A full or old one is followed by the next, and
// never written to again. For as long as the writer lives it holds a lock on
// WRITER.lock, so that others know.
type spool struct {
	dir   string
	limit int64 // a file of so many bytes is full
	log   *slog.Logger
	flush *time.Timer

	mu     sync.Mutex // guards what follows
	writer string
	lock   *flock.Flock
	n      int
	file   *os.File
	size   int64
	begun  time.Time
	dirty  bool // written to since the last fsync was begun
	closed bool
}

// flushAfter is how long a record may be lost to a power cut.
const flushAfter = time.Second

// spoolAge is how long a file is written to: its records are in the database
// too, and what is forgotten there should not be kept here.
const spoolAge = time.Hour

func newSpool(dir string, log *slog.Logger) *spool {
	s := &spool{dir: dir, limit: maxSpool, log: log}
	s.flush = time.AfterFunc(flushAfter, s.sync)
	s.flush.Stop()
	return s
}

// append writes a line at the end of the spool in one write. rotated says that
// a file was finished for it.
func (s *spool) append(line []byte, sync bool) (rotated bool, err error) {
	file, rotated, err := s.write(line, sync)
	if err != nil || !sync {
		return rotated, err
	}
	return rotated, syncFile(file)
}

func (s *spool) write(line []byte, sync bool) (file *os.File, rotated bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, os.ErrClosed
	}
	rotated = s.file != nil && (s.size >= s.limit || time.Since(s.begun) > spoolAge)
	if rotated || s.file == nil {
		if err := s.next(); err != nil {
			return nil, false, err
		}
	}
	if _, err := s.file.Write(line); err != nil {
		return nil, rotated, errors.Join(err, s.takeBack())
	}
	s.size += int64(len(line))
	if !sync && !s.dirty {
		s.dirty = true
		s.flush.Reset(flushAfter)
	}
	return s.file, rotated, nil
}

// takeBack removes a line that was written in part: the next would become the
// rest of it. No worker can have read it, for it has no end. s.mu is held.
func (s *spool) takeBack() error {
	err := s.file.Truncate(s.size)
	if err != nil {
		s.size = s.limit // go on in another file
	}
	return err
}

// next finishes the file and begins another; s.mu is held. The lock is there
// before the first file, for a spool without one is a dead writer's and is
// removed once it is ingested; so is one that has a successor.
func (s *spool) next() error {
	if err := s.join(); err != nil {
		return err
	}
	if err := s.finish(); err != nil {
		s.log.Warn("finish a spool", "error", err)
	}
	s.n++
	name := filepath.Join(s.dir, fmt.Sprintf("%s-%06d%s", s.writer, s.n, spoolSuffix))
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return errors.Join(err, file.Close())
	}
	s.file, s.size, s.begun = file, 0, time.Now()
	return nil
}

// join makes this process a writer; s.mu is held. A worker that tidies up may
// have removed the lock before it was taken: then it is tried again.
func (s *spool) join() error {
	for s.lock == nil {
		writer := uuid.Must(uuid.NewV7()).String()
		lock := flock.New(filepath.Join(s.dir, writer+lockSuffix))
		ok, err := lock.TryLock()
		if err != nil {
			return err
		}
		if ok && stillThere(lock) {
			s.writer, s.lock = writer, lock
			return nil
		}
		if err := lock.Close(); err != nil {
			return err
		}
	}
	return nil
}

// stillThere reports whether a lock that is held is on the file of its name.
func stillThere(lock *flock.Flock) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(lock.Path())
	return err == nil && os.SameFile(held, named)
}

// rotate finishes the file, if anything is in it, so that it can be ingested
// and removed.
func (s *spool) rotate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.file == nil || s.size == 0 {
		return nil
	}
	return s.next()
}

// finish closes the file, if there is one; s.mu is held.
func (s *spool) finish() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Sync(), s.file.Close())
	s.file, s.dirty = nil, false
	return err
}

// sync puts what was written on disk. Records don't wait for it.
func (s *spool) sync() {
	s.mu.Lock()
	file := s.file
	s.dirty = false
	s.mu.Unlock()
	if file == nil {
		return
	}
	if err := syncFile(file); err != nil {
		s.log.Warn("put records on disk", "error", err)
	}
}

// syncFile puts a file on disk, unless that was done when it was finished.
func syncFile(f *os.File) error {
	if err := datasync(f); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

func (s *spool) close() error {
	s.flush.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	err := s.finish()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
		s.lock = nil
	}
	return err
}
