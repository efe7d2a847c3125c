package benchdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
)

// A spool is where one process appends its records, in files of its own named
// WRITER-N.ndjson; a full one is followed by the next. For as long as the
// process lives it holds a lock on WRITER.lock, so that others know.
type spool struct {
	dir    string
	writer string // names this process's spools
	flush  *time.Timer

	mu     sync.Mutex // guards what follows
	n      int
	file   *os.File
	lock   *flock.Flock
	size   int64
	dirty  bool // written to since the last fdatasync
	closed bool
}

// flushAfter is how long a record may be lost to a power cut.
const flushAfter = time.Second

func newSpool(dir string) *spool {
	s := &spool{dir: dir, writer: uuid.Must(uuid.NewV7()).String()}
	s.flush = time.AfterFunc(flushAfter, s.sync)
	s.flush.Stop()
	return s
}

// append writes lines at the end of the spool in one write. full says that the
// spool was so large that a new one was begun.
func (s *spool) append(lines []byte, sync bool) (full bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, os.ErrClosed
	}
	if full = s.size >= maxSpool; full || s.file == nil {
		if err := s.next(); err != nil {
			return false, err
		}
	}
	n, err := s.file.Write(lines)
	if err != nil {
		// A torn line would swallow the next record: take it back.
		return full, errors.Join(err, s.file.Truncate(s.size))
	}
	s.size += int64(n)
	if sync {
		s.dirty = false
		return full, s.file.Sync()
	}
	if !s.dirty {
		s.dirty = true
		s.flush.Reset(flushAfter)
	}
	return full, nil
}

// next begins a new file; s.mu is held. The lock is there before the first
// file, for a spool without one is a dead process's and is removed once it is
// ingested.
func (s *spool) next() error {
	if s.lock == nil {
		lock := flock.New(filepath.Join(s.dir, s.writer+lockSuffix))
		if _, err := lock.TryLock(); err != nil {
			return err
		}
		s.lock = lock
	}
	s.n++
	name := filepath.Join(s.dir, fmt.Sprintf("%s-%d%s", s.writer, s.n, spoolSuffix))
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return errors.Join(err, file.Close())
	}
	err = s.finish()
	s.file, s.size = file, 0
	return err
}

// finish closes the current file, if there is one; s.mu is held.
func (s *spool) finish() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Sync(), s.file.Close())
	s.file, s.dirty = nil, false
	return err
}

// sync puts what was written on disk. A failure shows in the next write.
func (s *spool) sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil && s.dirty {
		s.dirty = s.file.Sync() != nil
	}
}

func (s *spool) close() error {
	s.flush.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	err := s.finish()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}
