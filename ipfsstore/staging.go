package ipfsstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gofrs/flock"
)

// A staging is a private folder for files on their way into the store. It is
// locked while in use, so that another process can tell it from rubbish.
type staging struct {
	dir  string
	lock *flock.Flock
}

func (s *Store) newStaging(ctx context.Context) (*staging, error) {
	unlock, err := s.lock(ctx) // sweep holds this too: it can't come between the next steps
	if err != nil {
		return nil, err
	}
	defer unlock()
	dir, err := os.MkdirTemp(s.path("tmp"), "")
	if err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	if _, err := l.TryLock(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &staging{dir, l}, nil
}

func (st *staging) path(i int) string { return filepath.Join(st.dir, strconv.Itoa(i)) }

func (st *staging) discard() {
	_ = st.lock.Close()
	_ = os.RemoveAll(st.dir)
}
